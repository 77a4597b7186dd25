/** Writes files that are whole or not there. */

import { open, rename, rm } from "node:fs/promises";
import { KofnError } from "../errors.js";
import { reasonOf } from "./reason.js";

/** Temporary files that this process has made, to name the next one. */
let temporaries = 0;

/**
 * Writes chunks, one after the other, to a temporary file beside `path`, which then takes its place.
 *
 * @throws KofnError if that fails; no temporary file is left behind.
 */
export async function writeAtomically(path: string, chunks: readonly Uint8Array[]): Promise<void> {
  const temporary = `${path}.${process.pid}.${++temporaries}.tmp`;
  try {
    const file = await open(temporary, "w");
    try {
      for (const chunk of chunks) await file.writeFile(chunk);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw new KofnError(`can't write ${path}: ${reasonOf(error)}`, { cause: error });
  }
}
