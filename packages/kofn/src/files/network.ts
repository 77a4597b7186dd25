/** Opens .kofn files with @kofn/runtime, for the commands that run them. */

import { readFile } from "node:fs/promises";
import { isKofn } from "@kofn/format/file/header.js";
import { load, type Network, NetworkError } from "@kofn/runtime";
import { InputError, messageOf } from "../errors.js";
import { isFolder } from "./folder.js";

/**
 * The bytes of a .kofn file.
 *
 * @throws InputError if it can't be read, or is something else.
 */
export async function readKofn(path: string): Promise<Uint8Array> {
  if (await isFolder(path)) throw otherThanKofn(path, "a folder");
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    throw new InputError(`${path}: can't read the file: ${messageOf(error)}.`, { cause: error });
  }
  if (!isKofn(bytes)) throw otherThanKofn(path, "something else");
  return bytes;
}

function otherThanKofn(path: string, found: string): InputError {
  return new InputError(
    `${path}: expected a .kofn file, found ${found}. Of a run directory or an .onnx file, kofn pack writes one: kofn pack ${path} -o model.kofn.`,
  );
}

/**
 * @param threads that share batches
 * @throws InputError if the file is damaged, or has an operator that the runtime has no kernel for.
 */
export async function loadNetwork(path: string, bytes: Uint8Array, threads = 1): Promise<Network> {
  try {
    return await load(bytes, { threads });
  } catch (error) {
    if (!(error instanceof NetworkError)) throw error;
    throw new InputError(`${path}: @kofn/runtime can't run the network: ${error.message}.`, { cause: error });
  }
}
