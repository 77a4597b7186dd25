/** Whether the process that running.json names is there. */

import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { presenceOf, type System } from "@kofn/format/run/liveness.js";
import type { Running } from "./schemas.js";

const SYSTEM: System = {
  host: hostname(),
  signal: (pid) => process.kill(pid, 0),
  read: (path) => readFileSync(path, "utf8"),
};

/** Of a process on another machine nothing is known; it counts as gone. */
export function isAlive(running: Running): boolean {
  return presenceOf(running, SYSTEM) === "here";
}
