/** Trains runs in processes of their own, several at a time. */

import { spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { fileURLToPath } from "node:url";
import { InputError, KofnError } from "../errors.js";

const PROGRAM = fileURLToPath(new URL("../../bin/kofn.js", import.meta.url));
/** So much of what a process wrote last stands in an error. */
const TAIL = 2000;

/** One `kofn train`. */
export interface Job<T> {
  readonly of: T;
  /** Arguments behind `kofn train`. */
  readonly args: readonly string[];
  /** File that gets what the process writes. */
  readonly log: string;
}

/**
 * Runs jobs, at most `workers` at a time, in their order.
 *
 * @param done called when a job has ended well, before the next one begins in its place.
 * @throws InputError or KofnError with what a process wrote last, when one fails; the others are stopped, and can be resumed. The
 * signal's reason if it is aborted.
 */
export async function trainAll<T>(
  jobs: readonly Job<T>[],
  workers: number,
  done: (of: T) => void | Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const failed = new AbortController();
  const stop = AbortSignal.any([signal, failed.signal]);
  const isStopped = (): boolean => stop.aborted;
  const left = [...jobs];
  const work = async (): Promise<void> => {
    for (let job = left.shift(); job !== undefined && !isStopped(); job = left.shift()) {
      await trainOne(job, stop);
      if (!isStopped()) await done(job.of);
    }
  };
  const all = Array.from({ length: Math.min(workers, jobs.length) }, () =>
    work().catch((error: unknown) => {
      failed.abort(error);
    }),
  );
  await Promise.all(all);
  stop.throwIfAborted();
}

/** Resolves when the process has ended, well or because it was to stop. */
function trainOne<T>({ args, log }: Job<T>, stop: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [PROGRAM, "train", ...args], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    const file = createWriteStream(log, { flags: "a" });
    let tail = "";
    child.stderr.on("data", (data: Buffer) => {
      file.write(data);
      tail = (tail + data.toString()).slice(-TAIL);
    });
    const interrupt = (): void => {
      child.kill("SIGINT");
    };
    if (stop.aborted) interrupt();
    stop.addEventListener("abort", interrupt, { once: true });
    child.on("error", reject);
    child.on("close", (code) => {
      stop.removeEventListener("abort", interrupt);
      file.end();
      if (code === 0 || stop.aborted) {
        resolve();
        return;
      }
      const Failure = code === 2 ? InputError : KofnError;
      const said = tail
        .slice(tail.lastIndexOf("error:"))
        .replace(/^error: /, "")
        .trim();
      reject(
        new Failure(`kofn train ${args.join(" ")} ended with exit code ${code ?? "none"}: ${said} (${log})`),
      );
    });
  });
}
