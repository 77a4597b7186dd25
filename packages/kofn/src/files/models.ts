/** Loads ONNX models from files, with the tensors that they keep in files beside them, and saves them. */

import { closeSync, openSync, readSync, realpathSync, statSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { dirname, isAbsolute, join, relative, sep, win32 } from "node:path";
import { InputError, KofnError } from "../errors.js";
import { decodeModel, encodeModel } from "../onnx/codec.js";
import type { ExternalLocation } from "../onnx/codec/tensor.js";
import type { Model } from "../onnx/model.js";
import { validate } from "../onnx/validate.js";
import { writeAtomically } from "./atomic.js";
import { reasonOf } from "./reason.js";

/** Protobuf's limit of a message, and so of an ONNX file. */
const MAX_MODEL_BYTES = 2 ** 31 - 1;

/** The most that one read call is asked for. */
const READ_BYTES = 2 ** 30;

/**
 * Loads a model, with the tensors that it keeps in other files of its folder.
 *
 * @throws InputError if the file is missing or no ONNX model, or if a tensor's file is missing, too short, or outside
 * the model's folder.
 *
 * @example
 * const model = await loadModel("lenet.onnx");
 */
export async function loadModel(path: string): Promise<Model> {
  const bytes = await readModelFile(path);
  const external = new ExternalFiles(path);
  const model = decodeModel(bytes, path, (at, tensor) => external.read(at, tensor));
  validate(model, path);
  return model;
}

async function readModelFile(path: string): Promise<Uint8Array> {
  let size: number;
  try {
    const info = await stat(path);
    if (!info.isFile()) {
      const found = info.isDirectory() ? "a folder" : "no regular file";
      throw new InputError(`${path}: expected an ONNX file, found ${found}`);
    }
    size = info.size;
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError(`${path}: can't open the model: ${reasonOf(error)}`, { cause: error });
  }
  if (size > MAX_MODEL_BYTES) {
    throw new InputError(
      `${path}: the file has ${size} bytes, and an ONNX file ends at 2 GB (${MAX_MODEL_BYTES} bytes); ` +
        "larger models keep their weights in files beside it",
    );
  }
  try {
    return await readFile(path);
  } catch (error) {
    throw new InputError(`${path}: can't read the model: ${reasonOf(error)}`, { cause: error });
  }
}

interface ExternalFile {
  readonly size: number;
  /** Ranges that were read, by "offset+length". */
  readonly ranges: Map<string, Uint8Array>;
  /** Bytes in those ranges. */
  read: number;
}

/** The files that hold a model's external tensors. */
class ExternalFiles {
  readonly #model: string;
  readonly #files = new Map<string, ExternalFile>();

  constructor(model: string) {
    this.#model = model;
  }

  /** The bytes of a tensor; tensors at the same place share them. */
  read({ location, offset, length }: ExternalLocation, tensor: string): Uint8Array {
    const path = this.#resolve(location, tensor);
    const file = this.#file(path, location, tensor);
    if (offset + length > file.size) {
      this.#fail(
        location,
        tensor,
        `bytes ${offset} to ${offset + length} are expected there, but the file has ${file.size}; it is cut short ` +
          "or belongs to another model",
      );
    }
    const key = `${offset}+${length}`;
    const known = file.ranges.get(key);
    if (known !== undefined) return known;
    // Without overlaps, a file's tensors take no more memory than the file.
    file.read += length;
    if (file.read > file.size) {
      this.#fail(location, tensor, "this tensor overlaps others there; the model is damaged");
    }
    try {
      const bytes = readRange(path, offset, length);
      file.ranges.set(key, bytes);
      return bytes;
    } catch (error) {
      return this.#fail(location, tensor, reasonOf(error), error);
    }
  }

  #file(path: string, location: string, tensor: string): ExternalFile {
    const known = this.#files.get(path);
    if (known !== undefined) return known;
    const info = statSync(path);
    // Opening a pipe would wait for its other end.
    if (!info.isFile()) this.#fail(location, tensor, "it is no regular file");
    const file = { size: info.size, ranges: new Map<string, Uint8Array>(), read: 0 };
    this.#files.set(path, file);
    return file;
  }

  /** The real path of a location, which must be in the model's folder. */
  #resolve(location: string, tensor: string): string {
    if (isAbsolute(location) || win32.isAbsolute(location)) {
      this.#fail(location, tensor, "the path is absolute, where one within the model's folder is expected");
    }
    if (location.includes("\0")) this.#fail(location, tensor, "the path has a zero byte");
    const folder = dirname(this.#model);
    if (leadsOutside(folder, join(folder, location))) {
      this.#fail(location, tensor, "the path leads outside the model's folder");
    }
    let target: string;
    try {
      target = realpathSync(join(folder, location));
    } catch (error) {
      return this.#fail(location, tensor, reasonOf(error), error);
    }
    if (leadsOutside(realpathSync(folder), target)) {
      this.#fail(location, tensor, "the path leads outside the model's folder through a symbolic link");
    }
    return target;
  }

  #fail(location: string, tensor: string, what: string, cause?: unknown): never {
    throw new InputError(
      `${this.#model}: ${tensor} is stored in the file ${JSON.stringify(location)}: ${what}`,
      { cause },
    );
  }
}

function readRange(path: string, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  const descriptor = openSync(path, "r");
  try {
    for (let at = 0; at < length;) {
      const count = readSync(descriptor, bytes, at, Math.min(length - at, READ_BYTES), offset + at);
      if (count === 0) throw new KofnError("the file became shorter while it was read");
      at += count;
    }
  } finally {
    closeSync(descriptor);
  }
  return bytes;
}

function leadsOutside(folder: string, path: string): boolean {
  const inside = relative(folder, path);
  return inside === ".." || inside.startsWith(`..${sep}`) || isAbsolute(inside);
}

/**
 * Saves a model as one file, weights included. Whoever reads `path` meanwhile sees the file that was there before, or
 * the new one, never a part.
 *
 * @throws KofnError if the model is larger than the 2 GB that an ONNX file can hold, or can't be written.
 *
 * @example
 * await saveModel(run.model, "lenet.onnx");
 */
export async function saveModel(model: Model, path: string): Promise<void> {
  const chunks = encodeModel(model);
  const size = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  if (size > MAX_MODEL_BYTES) {
    throw new KofnError(
      `can't save ${path}: the model takes ${size} bytes, and an ONNX file ends at 2 GB (${MAX_MODEL_BYTES} bytes)`,
    );
  }
  await writeAtomically(path, chunks);
}
