/** Before tests: makes anew what src/host has of other sources, so that these are tested and no earlier build. */

import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { TestProject } from "vitest/node";

const SCRIPT = fileURLToPath(new URL("../../build.js", import.meta.url));

export function setup(project: TestProject): void {
  generate();
  project.onTestsRerun(generate);
}

/** Throws if it can't be made: then no test runs. */
function generate(): void {
  execFileSync(process.execPath, [SCRIPT], { stdio: "inherit" });
}
