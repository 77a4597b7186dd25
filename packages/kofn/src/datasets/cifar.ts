/** CIFAR-10 and CIFAR-100 in their binary version: plain .bin files, or inside the .tar.gz as it is downloaded. */

import { stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { InputError } from "../errors.js";
import type { Normalization } from "../data/normalization.js";
import type { Augmentation } from "../data/augment.js";
import { ByteReader } from "./bytes.js";
import { checkLabels, listFolder, splitTraining } from "./split.js";
import { TAR_BLOCK, tarMembers } from "./tar.js";
import type { ResidentDataset, ResidentSplit } from "../data/types.js";

const SIDE = 32;
const PIXELS = 3 * SIDE * SIDE;
/** Records that are read at a time. */
const CHUNK_RECORDS = 512;
/** Bytes of an archive that may belong to other members than the images. */
const MAX_OTHER_BYTES = 1 << 24;

/** The customary one for 32x32 photographs. */
export const CIFAR_AUGMENTATION: Augmentation = { crop: 4, flip: true };

/** How the binary version of a CIFAR data set is laid out. */
export interface CifarLayout {
  readonly archive: string;
  /** The folder inside the archive. */
  readonly folder: string;
  readonly train: readonly string[];
  readonly test: string;
  /** Images per file for training, and in the file for testing. */
  readonly trainCount: number;
  readonly testCount: number;
  /** Bytes before the pixels; the label is the last of them (CIFAR-100 has the coarse label first). */
  readonly labelBytes: number;
  /** Of the training images, as it is used in the literature. */
  readonly normalization: Normalization;
}

export const CIFAR10: CifarLayout = {
  archive: "cifar-10-binary.tar.gz",
  folder: "cifar-10-batches-bin",
  train: [1, 2, 3, 4, 5].map((i) => `data_batch_${i}.bin`),
  test: "test_batch.bin",
  trainCount: 10_000,
  testCount: 10_000,
  labelBytes: 1,
  normalization: { mean: [0.4914, 0.4822, 0.4465], std: [0.247, 0.2435, 0.2616] },
};

export const CIFAR100: CifarLayout = {
  archive: "cifar-100-binary.tar.gz",
  folder: "cifar-100-binary",
  train: ["train.bin"],
  test: "test.bin",
  trainCount: 50_000,
  testCount: 10_000,
  labelBytes: 2,
  normalization: { mean: [0.5071, 0.4865, 0.4409], std: [0.2673, 0.2564, 0.2762] },
};

/**
 * A CIFAR data set out of a folder that holds the .bin files, or the folder of the archive with them, or the archive
 * itself (the first of these that is complete). The last 5,000 images for training become the validation split.
 * CIFAR-100 has its 100 fine labels.
 *
 * @param classes names of the classes, in the order of the labels.
 * @throws InputError if files are missing, damaged or cut off, or a label is out of range.
 */
export async function cifarDataset(
  name: string,
  dir: string,
  layout: CifarLayout,
  classes: readonly string[],
): Promise<ResidentDataset> {
  const remedy = `Get a sound copy with "kofn data get ${name}", or name its folder with --data-dir.`;
  const location = await locateCifar(dir, layout);
  if (location === undefined) {
    throw new InputError(
      `data set ${name}: ${dir} has neither ${[...layout.train, layout.test].join(", ")} nor ${layout.archive}; ` +
        `found there: ${await listFolder(dir)}. Get it with "kofn data get ${name}", or name its folder with --data-dir.`,
    );
  }
  const train = emptySplit(layout.train.length * layout.trainCount);
  const test = emptySplit(layout.testCount);
  const parts: Part[] = layout.train.map((file, i) => ({
    file,
    split: train,
    first: i * layout.trainCount,
    count: layout.trainCount,
  }));
  parts.push({ file: layout.test, split: test, first: 0, count: layout.testCount });
  const context = { layout, classes: classes.length, remedy };
  if (location.archived) await readArchive(location.path, parts, context);
  else await readFiles(location.path, parts, context);
  return {
    name,
    channels: 3,
    height: SIDE,
    width: SIDE,
    classes,
    ...splitTraining(train, location.path),
    test,
    normalization: layout.normalization,
    augmentation: CIFAR_AUGMENTATION,
  };
}

/** Where a folder has the data set, if it has: unpacked (the path is a folder), or archived (it is the .tar.gz). */
export async function locateCifar(
  dir: string,
  layout: CifarLayout,
): Promise<{ readonly path: string; readonly archived: boolean } | undefined> {
  for (const folder of [dir, join(dir, layout.folder)]) {
    const present = await Promise.all(
      [...layout.train, layout.test].map((file) => isFile(join(folder, file))),
    );
    if (present.every(Boolean)) return { path: folder, archived: false };
  }
  const archive = join(dir, layout.archive);
  return (await isFile(archive)) ? { path: archive, archived: true } : undefined;
}

/** A file, and the images of a split that it holds. */
interface Part {
  readonly file: string;
  readonly split: ResidentSplit;
  readonly first: number;
  readonly count: number;
}

interface Context {
  readonly layout: CifarLayout;
  readonly classes: number;
  readonly remedy: string;
}

async function readFiles(folder: string, parts: readonly Part[], context: Context): Promise<void> {
  for (const part of parts) {
    const path = join(folder, part.file);
    const reader = await ByteReader.open(path, context.remedy);
    try {
      checkSize(path, reader.fileSize, part, context);
      await readRecords(reader, path, part, context);
    } finally {
      reader.close();
    }
  }
}

async function readArchive(archive: string, parts: readonly Part[], context: Context): Promise<void> {
  const missing = new Map(parts.map((part) => [part.file, part]));
  const reader = await ByteReader.open(archive, context.remedy);
  try {
    let other = 0;
    for await (const member of tarMembers(reader, context.remedy)) {
      const part = missing.get(basename(member.name));
      if (part === undefined) {
        other += TAR_BLOCK + member.size;
        if (other > MAX_OTHER_BYTES) break;
        continue;
      }
      const path = `${archive}: ${member.name}`;
      checkSize(path, member.size, part, context);
      await readRecords(member, path, part, context);
      missing.delete(part.file);
      if (missing.size === 0) return;
    }
  } finally {
    reader.close();
  }
  throw new InputError(
    `${archive}: expected the archive of ${context.layout.folder}, found none of ${[...missing.keys()].join(", ")} ` +
      `up to its end or among its first ${MAX_OTHER_BYTES} other bytes. ${context.remedy}`,
  );
}

function checkSize(path: string, size: number, part: Part, { layout, remedy }: Context): void {
  const record = layout.labelBytes + PIXELS;
  if (size === part.count * record) return;
  throw new InputError(
    `${path}: expected ${part.count} images of ${record} bytes, ${part.count * record} bytes in all, found ${size}. ${remedy}`,
  );
}

async function readRecords(
  source: Pick<ByteReader, "fill">,
  path: string,
  part: Part,
  { layout, classes, remedy }: Context,
): Promise<void> {
  const { split, first, count } = part;
  const record = layout.labelBytes + PIXELS;
  const chunk = new Uint8Array(Math.min(CHUNK_RECORDS, count) * record);
  for (let done = 0; done < count; done += CHUNK_RECORDS) {
    const records = Math.min(CHUNK_RECORDS, count - done);
    const wanted = chunk.subarray(0, records * record);
    const read = await source.fill(wanted);
    if (read < wanted.length) {
      throw new InputError(
        `${path}: expected ${count * record} bytes, found ${done * record + read}: the file was cut off. ${remedy}`,
      );
    }
    for (let i = 0; i < records; i++) {
      const at = first + done + i;
      const pixels = i * record + layout.labelBytes;
      split.labels[at] = wanted[pixels - 1];
      split.images.set(wanted.subarray(pixels, pixels + PIXELS), at * PIXELS);
    }
  }
  checkLabels(split.labels.subarray(first, first + count), classes, path, remedy);
}

function emptySplit(count: number): ResidentSplit {
  return { count, images: new Uint8Array(count * PIXELS), labels: new Uint16Array(count) };
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}
