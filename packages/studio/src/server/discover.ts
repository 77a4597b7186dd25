/** Finds the run directories below a folder. */

import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { CHECKPOINT_FOLDER, LIVE_FILES, RUN_FILES } from "@kofn/format/run/files.js";

const MOST_LEVELS = 6;
const MOST_FOLDERS = 20_000;

/** A folder with one of these is a run. */
const RUN_MARKS: ReadonlySet<string> = new Set([RUN_FILES.metrics, LIVE_FILES.running]);

const SKIPPED: ReadonlySet<string> = new Set(["node_modules", CHECKPOINT_FOLDER]);

/**
 * The paths of runs relative to `root`, sorted; "." if it is one itself. Hidden folders, and symbolic links to folders,
 * are left out.
 *
 * @throws the system's error if `root` can't be read.
 */
export async function discoverRuns(root: string): Promise<string[]> {
  const found: string[] = [];
  let folders = [""];
  let visited = 0;
  for (let level = 0; level <= MOST_LEVELS && folders.length > 0; level++) {
    const below: string[] = [];
    for (const folder of folders) {
      if (++visited > MOST_FOLDERS) break;
      const entries = await readdir(join(root, folder), { withFileTypes: true }).catch((error: unknown) => {
        if (folder === "") throw error;
        return [];
      });
      if (entries.some((entry) => RUN_MARKS.has(entry.name))) found.push(folder === "" ? "." : folder);
      for (const entry of entries) {
        if (!entry.isDirectory() || entry.name.startsWith(".") || SKIPPED.has(entry.name)) continue;
        below.push(folder === "" ? entry.name : join(folder, entry.name));
      }
    }
    folders = below;
  }
  return found.sort();
}
