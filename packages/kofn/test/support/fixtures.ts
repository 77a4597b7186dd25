/** Finds the data sets that tests use but the repository does not hold. */

import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/**
 * A file or folder in `shared/` beside the workspace, or undefined (and a line on stderr that says which tests are
 * skipped, and why) if it is not there.
 *
 * @throws Error instead, if the environment has KOFN_NO_SKIP=1.
 */
export function sharedFolder(name: string): string | undefined {
  const path = fileURLToPath(new URL(`../../../../../shared/${name}`, import.meta.url));
  if (existsSync(path)) return path;
  const what = `${path} is absent: the tests that need it are skipped`;
  if (process.env.KOFN_NO_SKIP === "1") throw new Error(`KOFN_NO_SKIP=1, but ${what}`);
  process.stderr.write(`SKIPPED: ${what}\n`);
  return undefined;
}
