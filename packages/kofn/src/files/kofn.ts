/** Loads .kofn files, and tells them from others. */

import { open, readFile } from "node:fs/promises";
import { isKofn } from "@kofn/format/file/header.js";
import { InputError, messageOf } from "../errors.js";
import { decodeKofn } from "../pack/file.js";
import type { Unpacked } from "../pack/types.js";

/** Whether a path is one of a .kofn file, by its name or by its first bytes. */
export async function isKofnFile(path: string): Promise<boolean> {
  if (path.endsWith(".kofn")) return true;
  try {
    const file = await open(path, "r");
    try {
      const { buffer } = await file.read(new Uint8Array(4), 0, 4);
      return isKofn(buffer);
    } finally {
      await file.close();
    }
  } catch {
    // Whoever reads the file says why that is impossible.
    return false;
  }
}

/**
 * Loads a .kofn file.
 *
 * @throws InputError if it can't be read, or is damaged.
 * @example
 * const { model, masks, labels } = await loadKofn("model.kofn");
 */
export async function loadKofn(path: string): Promise<Unpacked> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    throw new InputError(`${path}: can't read the file: ${messageOf(error)}.`, { cause: error });
  }
  return decodeKofn(bytes, path);
}
