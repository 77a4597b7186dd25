/** Whether the process that running.json names is there. */

import { readFile } from "node:fs/promises";
import { hostname } from "node:os";
import { codeOf } from "./errors.js";
import type { Running } from "./schemas.js";

/** Of a process on another machine nothing is known; it counts as gone. */
export async function isAlive({ pid, host, born }: Running): Promise<boolean> {
  if (host !== hostname() || !isThere(pid)) return false;
  const stat = await statOf(pid);
  if (stat === undefined) return true;
  return stat.state !== "Z" && (born === undefined || stat.born === born);
}

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // There, but somebody else's.
    return codeOf(error) === "EPERM";
  }
}

/** State and start time of a process, where the system is Linux. */
async function statOf(pid: number): Promise<{ state: string; born: string } | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, "utf8");
    // The second field, the program's name, may hold spaces and brackets; the state and the start time are the 3rd and 22nd.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return { state: fields[0], born: fields[19] };
  } catch {
    return undefined;
  }
}
