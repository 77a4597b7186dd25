/** What lies in the folder of a run, and whether one can be made there. */

import { existsSync, mkdirSync, rmdirSync, statSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import {
  CHECKPOINT_FILE,
  CHECKPOINT_FOLDER,
  HEATMAPS,
  LIVE_ENTRIES,
  MASKED_MODEL,
  PAGE,
  QUANTIZATION,
  QUANTIZED_MODEL,
  RUN_FILES,
} from "@kofn/format/run/files.js";
import { InputError, messageOf } from "../errors.js";
import { finalName, removeAbandoned } from "../files/atomic.js";
import { codeOf } from "../files/reason.js";

/** All that may lie in a run directory and is replaced with it. */
const RUN_ENTRIES: ReadonlySet<string> = new Set([
  ...Object.values(RUN_FILES),
  MASKED_MODEL,
  QUANTIZATION,
  QUANTIZED_MODEL,
  HEATMAPS,
  PAGE,
  CHECKPOINT_FOLDER,
]);

/** Ends the name of the lock that is held while the one without it is taken over. */
export const TAKEOVER = ".takeover";

/**
 * Names in a folder, but for those that a process leaves that was killed before its first epoch; none if it does not exist yet.
 *
 * @throws InputError if the folder can't be read.
 */
export async function entriesOf(folder: string, path: string): Promise<string[]> {
  try {
    return (await readdir(folder)).filter((name) => !isLive(name));
  } catch (error) {
    if (codeOf(error) === "ENOENT") return [];
    throw unusable(path, error);
  }
}

/** Whether a folder holds a run, be it one that was killed while its first file was written. */
export function isRun(entries: readonly string[]): boolean {
  if (entries.includes(RUN_FILES.config) && entries.includes(RUN_FILES.metrics)) return true;
  return entries.length > 0 && entries.every(belongsToRun);
}

/** Whether a name is one of a run's, or of the temporary files from which they are renamed. */
export function belongsToRun(name: string): boolean {
  return RUN_ENTRIES.has(finalName(name));
}

/** Whether a name is one of the files of a process that has the folder open. */
export function isLive(name: string): boolean {
  let final = finalName(name);
  while (final.endsWith(TAKEOVER)) final = final.slice(0, -TAKEOVER.length);
  return LIVE_ENTRIES.has(final);
}

/** Removes the temporary files that processes have left there which are gone; the folder is this process's. */
export function removeLeftovers(folder: string): void {
  removeAbandoned(folder, (name) => belongsToRun(name) || isLive(name));
  const checkpoints = join(folder, CHECKPOINT_FOLDER);
  if (existsSync(checkpoints)) removeAbandoned(checkpoints, (name) => name === CHECKPOINT_FILE);
}

/** Makes a folder and those above it that are missing, and adds what it made to `made`, outermost first. */
export function makeFolders(folder: string, made: string[]): void {
  // A recursive mkdir never ends in /proc.
  const missing: string[] = [];
  for (let at = folder; !existsSync(at); at = dirname(at)) missing.unshift(at);
  for (const at of missing) if (makeFolder(at)) made.push(at);
}

/** @returns whether the folder was made here; false if it is there by now. */
function makeFolder(folder: string): boolean {
  try {
    mkdirSync(folder);
    return true;
  } catch (error) {
    const isThere = statSync(folder, { throwIfNoEntry: false })?.isDirectory() ?? false;
    if (codeOf(error) === "EEXIST" && isThere) return false;
    throw error;
  }
}

/** Removes those of the folders, outermost first, that are empty. */
export function removeEmpty(folders: readonly string[]): void {
  for (const folder of folders.toReversed()) {
    try {
      rmdirSync(folder);
    } catch {
      // What is no longer empty belongs to the run, or to somebody else.
    }
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOTDIR: "the path, or a part of it, is a file and no folder",
  EEXIST: "the path, or a part of it, is a file and no folder",
  ENOENT: "a folder can't be made there",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EROFS: "the file system is read-only",
  ENAMETOOLONG: "the name is too long",
  ENOSPC: "the disk is full",
};

export function unusable(path: string, error: unknown): InputError {
  const reason = REASONS[codeOf(error) ?? ""] ?? messageOf(error);
  return new InputError(`run directory "${path}": can't write there: ${reason}. Choose another folder.`, {
    cause: error,
  });
}
