/** Runs other programs: for their output, and for the most memory that they ever held. */

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";

const POLL_MS = 5;

/**
 * The message of anything that was thrown.
 *
 * @param {unknown} thrown
 */
export function messageOf(thrown) {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/**
 * Runs a program to its end.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {(pid: number) => void} [poll] called every few milliseconds while it runs
 * @returns {Promise<string>} what it wrote to stdout
 * @throws Error if it can't be started or fails
 */
export function run(command, args, poll) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
    const { pid } = child;
    const timer = poll && pid !== undefined ? setInterval(() => poll(pid), POLL_MS) : undefined;
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text) => (stderr += text));
    child.on("error", (error) => {
      clearInterval(timer);
      reject(error);
    });
    child.on("close", (code, signal) => {
      clearInterval(timer);
      if (code === 0) resolve(stdout);
      else
        reject(new Error(`${[command, ...args].join(" ")} ended with ${signal ?? code}: ${stderr.trim()}`));
    });
  });
}

/**
 * The peak resident memory of a program: VmHWM in /proc/PID/status, read until it ends.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @returns {Promise<number>} MiB
 * @throws Error if the program fails, or the system has no /proc
 */
export async function peakMemory(command, args) {
  let peak = 0;
  await run(command, args, (pid) => {
    peak = Math.max(peak, highWaterMark(pid) ?? 0);
  });
  if (peak === 0)
    throw new Error("peak memory is read from /proc/PID/status, which this system does not have");
  return peak / 1024;
}

/**
 * @param {number} pid
 * @returns {number | undefined} KiB; undefined once the process has ended
 */
function highWaterMark(pid) {
  try {
    const found = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
    return found === null ? undefined : Number(found[1]);
  } catch (error) {
    if (/ENOENT|ESRCH/.test(messageOf(error))) return undefined;
    throw error;
  }
}
