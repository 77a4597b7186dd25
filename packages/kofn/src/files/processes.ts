/** The processes of this machine. */

import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { birthOf, type ProcessName, type System } from "@kofn/format/run/liveness.js";

export const SYSTEM: System = {
  host: hostname(),
  signal: (pid) => process.kill(pid, 0),
  read: (path) => readFileSync(path, "utf8"),
};

/** How files name this process. */
export function thisProcess(): ProcessName {
  const born = birthOf(process.pid, SYSTEM);
  return { pid: process.pid, host: SYSTEM.host, ...(born === undefined ? {} : { born }) };
}
