/**
 * While a run trains, two files in its directory connect it with the studio: running.json says which process trains it and
 * how far it is, and stop.request, which the studio makes, asks it to stop.
 */

import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { LIVE_FILES } from "@kofn/format/run/files.js";
import type { Progress } from "@kofn/format/run/types.js";
import type { Config } from "../options/config.js";
import type { RunDirectory } from "./directory.js";

const PROGRESS_MS = 1000;
const POLL_MS = 250;

/**
 * Says in running.json with which settings a run is trained, which config.json holds from the first epoch on.
 *
 * @returns what says how far the run is; it may be called as often as one likes.
 * @throws KofnError if that can't be written.
 * @example
 * const onProgress = announceRun(directory, config);
 * await train({ ...options, onProgress });
 */
export function announceRun(directory: RunDirectory, config: Config): (progress: Progress) => void {
  directory.tell({ config });
  let written = performance.now();
  return (progress) => {
    const now = performance.now();
    if (now - written < PROGRESS_MS) return;
    written = now;
    try {
      directory.tell({ config, ...progress });
    } catch {
      // A disk that is full for a moment must not end a run: the next call says how far it is by then.
    }
  };
}

/** Calls `stop` once when the studio asks for it. Returns what ends the watch. */
export function watchForStop(folder: string, stop: () => void): () => void {
  const request = join(folder, LIVE_FILES.stop);
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
}
