/** Writes files that are whole or not there, by way of temporary files beside them. */

import { randomBytes } from "node:crypto";
import {
  closeSync,
  constants,
  copyFileSync,
  fsyncSync,
  linkSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { resolve } from "node:path";
import { presenceOf } from "@kofn/format/run/liveness.js";
import { KofnError } from "../errors.js";
import { SYSTEM } from "./processes.js";
import { codeOf, reasonOf } from "./reason.js";

/** A temporary file is called NAME.PID.HEX.tmp; those of older versions, too, or NAME.tmp. */
const TEMPORARY = /^(.+?)(?:\.(\d+)\.[0-9a-f]+)?\.tmp$/;

/** Temporary files that this process is writing. */
const inFlight = new Set<string>();

/** A name that nobody can have put a link at. Files are opened exclusively all the same. */
function temporaryName(path: string): string {
  return resolve(`${path}.${process.pid}.${randomBytes(6).toString("hex")}.tmp`);
}

/** The name that a file is to get: that of a temporary one without what makes it temporary, any other as it is. */
export function finalName(name: string): string {
  return TEMPORARY.exec(name)?.[1] ?? name;
}

/**
 * Writes chunks, one after the other, to a temporary file beside `path`, which then takes its place.
 *
 * @throws KofnError if that fails; no temporary file is left behind.
 */
export async function writeAtomically(path: string, chunks: readonly Uint8Array[]): Promise<void> {
  const temporary = temporaryName(path);
  inFlight.add(temporary);
  try {
    const file = await open(temporary, "wx");
    try {
      await fill(file, chunks);
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  } catch (error) {
    throw cantWrite(path, error);
  } finally {
    inFlight.delete(temporary);
  }
}

async function fill(file: FileHandle, chunks: readonly Uint8Array[]): Promise<void> {
  try {
    for (const chunk of chunks) await file.writeFile(chunk);
    await file.sync();
  } finally {
    await file.close();
  }
}

/**
 * The same at once, for short texts.
 *
 * @param durable whether to wait until the text is on the disk.
 * @throws KofnError if that fails; no temporary file is left behind.
 */
export function writeAtomicallySync(path: string, text: string, durable = true): void {
  try {
    const temporary = writeTemporary(path, text, durable);
    try {
      renameSync(temporary, path);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    }
  } catch (error) {
    throw cantWrite(path, error);
  }
}

function cantWrite(path: string, error: unknown): KofnError {
  return new KofnError(`can't write ${path}: ${reasonOf(error)}`, { cause: error });
}

/**
 * Makes a file, with its text in it from the first moment on. Where a file system has no hard links it is empty for a moment.
 *
 * @returns false if there is such a file (a link that leads nowhere, too), which then stays as it is.
 * @throws the system's error if the file can't be made.
 */
export function createAtomically(path: string, text: string): boolean {
  const temporary = writeTemporary(path, text, false);
  try {
    linkOrCopy(temporary, path);
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    throw error;
  } finally {
    rmSync(temporary, { force: true });
  }
}

function linkOrCopy(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch (error) {
    const code = codeOf(error);
    if (code === "EEXIST" || code === "ENOENT") throw error;
    copyFileSync(from, to, constants.COPYFILE_EXCL);
  }
}

/** @returns the name of a new temporary file that holds the text. */
function writeTemporary(path: string, text: string, durable: boolean): string {
  const temporary = temporaryName(path);
  const file = openSync(temporary, "wx");
  try {
    writeFileSync(file, text);
    if (durable) fsyncSync(file);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  } finally {
    closeSync(file);
  }
  return temporary;
}

/**
 * Removes the temporary files in a folder that a process has left which is gone. One that has this process's pid, but is not
 * written by it, is such a file, too: containers give the same pids again.
 *
 * @param concerns whether to remove those of a file of this name.
 */
export function removeAbandoned(folder: string, concerns: (name: string) => boolean): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const temporary = TEMPORARY.exec(entry.name);
    if (temporary === null || !concerns(temporary[1]) || entry.isDirectory()) continue;
    const path = resolve(folder, entry.name);
    if (!inFlight.has(path) && !isAnotherProcess(temporary.at(2))) rmSync(path, { force: true });
  }
}

/** Whether a process other than this one has the number in a temporary file's name. */
function isAnotherProcess(pid = String(process.pid)): boolean {
  const owner = { pid: Number(pid), host: SYSTEM.host };
  return owner.pid !== process.pid && presenceOf(owner, SYSTEM) === "here";
}
