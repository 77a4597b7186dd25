/** IDX files, the format of MNIST and its relatives, and data sets that consist of four of them. */

import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { InputError } from "../errors.js";
import { ByteReader } from "./bytes.js";
import { checkLabels, listFolder, splitTraining } from "./split.js";
import type { ResidentDataset, ResidentSplit } from "../data/types.js";

/** An IDX file of unsigned bytes. */
export interface IdxArray {
  readonly dims: readonly number[];
  /** Row-major. */
  readonly data: Uint8Array;
}

const TYPES: Readonly<Record<number, string>> = {
  0x08: "unsigned bytes",
  0x09: "signed bytes",
  0x0b: "16-bit integers",
  0x0c: "32-bit integers",
  0x0d: "32-bit floats",
  0x0e: "64-bit floats",
};
const UNSIGNED_BYTE = 0x08;
const MAX_BYTES = 2 ** 31;

/** The four files of an IDX data set, without the `.gz` that each may have. */
export const IDX_FILES = {
  trainImages: "train-images-idx3-ubyte",
  trainLabels: "train-labels-idx1-ubyte",
  testImages: "t10k-images-idx3-ubyte",
  testLabels: "t10k-labels-idx1-ubyte",
} as const;

/**
 * Reads an IDX file of unsigned bytes, gzipped or not (told by its content).
 *
 * @param rank number of dimensions that the file must have: 3 for images, 1 for labels.
 * @param remedy a sentence for error messages: how to get a sound file.
 * @throws InputError for a wrong magic number, another element type or rank, fewer or more bytes than the header
 * declares, absurd sizes, and gzip files that are damaged or cut off. Never reads on beyond the declared bytes.
 */
export async function readIdx(path: string, rank: number, remedy = ""): Promise<IdxArray> {
  const reader = await ByteReader.open(path, remedy);
  const fail = (what: string): InputError => new InputError(`${path}: ${what}. ${remedy}`.trimEnd());
  try {
    const header = new Uint8Array(4 + 4 * rank);
    const read = await reader.fill(header);
    checkMagic(header.subarray(0, Math.min(read, 4)), rank, fail);
    if (read < header.length) {
      throw fail(`expected an IDX header of ${header.length} bytes, found only ${read} bytes`);
    }
    const view = new DataView(header.buffer);
    const dims = Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i));
    const size = dims.reduce((product, dim) => product * dim, 1);
    const declared = `the header declares [${dims.join(", ")}], that is ${size} bytes`;
    if (size > MAX_BYTES) throw fail(`${declared}, more than the ${MAX_BYTES} that kofn reads from one file`);
    if (header.length + size > reader.capacity) {
      const held = reader.gzipped
        ? `but a gzip file of ${reader.fileSize} bytes can't hold so many`
        : `found ${reader.fileSize - header.length} bytes after it: the file was cut off`;
      throw fail(`${declared}, ${held}`);
    }
    const data = new Uint8Array(size);
    const filled = await reader.fill(data);
    if (filled < size) throw fail(`${declared}, found only ${filled}: the file was cut off`);
    if ((await reader.skip(1)) > 0) {
      const more = reader.gzipped ? "more" : String(reader.fileSize - header.length);
      throw fail(`${declared}, found ${more} after it`);
    }
    return { dims, data };
  } finally {
    reader.close();
  }
}

/** The magic number is two zero bytes, the element type, the number of dimensions. */
function checkMagic(magic: Uint8Array, rank: number, fail: (what: string) => InputError): void {
  const hex = [...magic].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const dimensions = (count: number): string => `${count} dimension${count === 1 ? "" : "s"}`;
  const expected = `expected an IDX file of unsigned bytes with ${dimensions(rank)} (magic number 0000080${rank})`;
  if (magic.length < 4 || magic[0] !== 0 || magic[1] !== 0 || !(magic[2] in TYPES)) {
    throw fail(`${expected}, found ${magic.length === 0 ? "an empty file" : `the bytes ${hex}`}`);
  }
  if (magic[2] !== UNSIGNED_BYTE || magic[3] !== rank) {
    throw fail(`${expected}, found ${TYPES[magic[2]]} with ${dimensions(magic[3])} (${hex})`);
  }
}

/**
 * A data set out of the four IDX files in a folder: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`,
 * `t10k-images-idx3-ubyte` and `t10k-labels-idx1-ubyte`, each plain or with `.gz`. The last 5,000 images for training
 * (the last tenth, if there are fewer than 50,000) become the validation split.
 *
 * @param classes names of the classes, in the order of the labels.
 * @throws InputError if a file is missing or wrong, if images and labels differ in number, or a label is out of range.
 */
export async function idxDataset(
  name: string,
  dir: string,
  classes: readonly string[],
): Promise<ResidentDataset> {
  const remedy = `Get sound files with "kofn data get ${name}", or name their folder with --data-dir.`;
  const paths = await locateIdx(dir);
  if (paths.missing.length > 0) {
    const files = paths.missing.map((file) => `${file}[.gz]`).join(", ");
    throw new InputError(
      `data set ${name}: ${dir} lacks ${files}; found there: ${await listFolder(dir)}. ` +
        `Get the files with "kofn data get ${name}", or name their folder with --data-dir.`,
    );
  }
  const { trainImages, trainLabels, testImages, testLabels } = paths.found;
  const train = await readSplit(trainImages, trainLabels, classes, remedy);
  const test = await readSplit(testImages, testLabels, classes, remedy);
  if (train.height !== test.height || train.width !== test.width) {
    throw new InputError(
      `${testImages}: expected images of ${train.height}x${train.width} pixels like those of ${trainImages}, ` +
        `found ${test.height}x${test.width}. ${remedy}`,
    );
  }
  return {
    name,
    channels: 1,
    height: train.height,
    width: train.width,
    classes,
    ...splitTraining(train.split, trainImages),
    test: test.split,
  };
}

type IdxRole = keyof typeof IDX_FILES;

/** Which of the four files are in a folder (the plain one wins where both are), and the names of those that are not. */
export async function locateIdx(
  dir: string,
): Promise<{ readonly found: Record<IdxRole, string>; readonly missing: readonly string[] }> {
  const present = new Set(await readdir(dir).catch(() => []));
  const found: Record<IdxRole, string> = { ...IDX_FILES };
  const missing: string[] = [];
  for (const role of Object.keys(IDX_FILES) as IdxRole[]) {
    const file = IDX_FILES[role];
    const name = [file, `${file}.gz`].find((candidate) => present.has(candidate));
    if (name === undefined) missing.push(file);
    else found[role] = join(dir, name);
  }
  return { found, missing };
}

async function readSplit(
  imagesPath: string,
  labelsPath: string,
  classes: readonly string[],
  remedy: string,
): Promise<{ split: ResidentSplit; height: number; width: number }> {
  const labels = await readIdx(labelsPath, 1, remedy);
  const images = await readIdx(imagesPath, 3, remedy);
  const [count, height, width] = images.dims;
  if (labels.dims[0] !== count) {
    throw new InputError(
      `${labelsPath}: expected ${count} labels, one for each image of ${imagesPath}, found ${labels.dims[0]}. ${remedy}`,
    );
  }
  if (images.data.length === 0) {
    throw new InputError(`${imagesPath}: expected images, found [${images.dims.join(", ")}]. ${remedy}`);
  }
  const split = { count, images: images.data, labels: Uint16Array.from(labels.data) };
  checkLabels(split.labels, classes.length, labelsPath, remedy);
  return { split, height, width };
}
