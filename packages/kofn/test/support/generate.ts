/** Before tests: makes anew what kofn and the runtime have of other sources (kernels, workers), so that these are tested and no earlier build. */

import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { TestProject } from "vitest/node";

const SCRIPTS = ["../../build.js", "../../../runtime/build.js"].map((path) =>
  fileURLToPath(new URL(path, import.meta.url)),
);

export function setup(project: TestProject): void {
  generate();
  project.onTestsRerun(generate);
}

/** Throws if it can't be made: then no test runs. */
function generate(): void {
  for (const script of SCRIPTS) execFileSync(process.execPath, [script], { stdio: "inherit" });
}
