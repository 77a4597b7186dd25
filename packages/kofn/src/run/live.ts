/**
 * While a run trains, two files in its directory connect it with the studio: running.json says which process trains it and
 * how far it is, and stop.request, which the studio makes, asks it to stop.
 */

import { existsSync, mkdirSync, readFileSync, renameSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { LIVE_FILES } from "@kofn/format/run/files.js";
import type { Progress, Running } from "@kofn/format/run/types.js";
import type { Config } from "../options/config.js";

const PROGRESS_MS = 1000;
const POLL_MS = 250;

/** A run that says that it is being trained. Made by {@link announceRun}. */
export interface LiveRun {
  /** Says how far the run is; may be called as often as one likes. */
  onProgress(progress: Progress): void;
  /** Calls `stop` once when the studio asks for it. Returns what ends the watch. */
  watchForStop(stop: () => void): () => void;
  /** Takes the files away, and the folder if there is nothing else in it and it was made here. */
  end(): void;
}

/**
 * Says in a run directory, which is made if need be, that this process trains there. Requests to stop that were left
 * there by an earlier run are removed.
 *
 * @example
 * const live = announceRun("runs/a", config);
 * try {
 *   await train({ ...options, onProgress: (progress) => live.onProgress(progress) });
 * } finally {
 *   live.end();
 * }
 */
export function announceRun(folder: string, config: Config): LiveRun {
  const outermost = mkdirSync(folder, { recursive: true });
  const running = join(folder, LIVE_FILES.running);
  const request = join(folder, LIVE_FILES.stop);
  rmSync(request, { force: true });
  const born = birthOf("self");
  const about: Running = {
    pid: process.pid,
    host: hostname(),
    ...(born === undefined ? {} : { born }),
    started: new Date().toISOString(),
    config,
  };
  writeWhole(running, about);

  let written = performance.now();
  let ended = false;
  const end = (): void => {
    if (ended) return;
    ended = true;
    process.off("exit", end);
    for (const file of [running, request]) rmSync(file, { force: true });
    if (outermost !== undefined) removeEmpty(folder, outermost);
  };
  // A second Ctrl-C ends the process at once.
  process.on("exit", end);

  return {
    onProgress(progress) {
      const now = performance.now();
      if (now - written < PROGRESS_MS) return;
      written = now;
      try {
        writeWhole(running, { ...about, ...progress });
      } catch {
        // A disk that is full for a moment must not end a run: the next call says how far it is by then.
      }
    },
    watchForStop(stop) {
      const timer = setInterval(() => {
        if (!existsSync(request)) return;
        clearInterval(timer);
        rmSync(request, { force: true });
        stop();
      }, POLL_MS);
      timer.unref();
      return () => {
        clearInterval(timer);
      };
    },
    end,
  };
}

/** Readers see the file that was there before, or the new one. */
function writeWhole(path: string, content: object): void {
  const temporary = `${path}.tmp`;
  writeFileSync(temporary, `${JSON.stringify(content)}\n`);
  renameSync(temporary, path);
}

/** When a process started, in clock ticks since the system did (Linux); undefined where that can't be known. */
function birthOf(process: number | "self"): string | undefined {
  try {
    const stat = readFileSync(`/proc/${process}/stat`, "utf8");
    // The second field, the program's name, may hold spaces and brackets. The start time is the 22nd.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    return undefined;
  }
}

/** Removes a folder and those above it, up to `outermost`, as far as they are empty. */
function removeEmpty(folder: string, outermost: string): void {
  try {
    for (let at = folder; ; at = dirname(at)) {
      rmdirSync(at);
      if (at === outermost) return;
    }
  } catch {
    // What is not empty belongs to the run, or to somebody else.
  }
}
