/** Parquet files of encoded images and labels, as Hugging Face's data sets have them. */

import { readdir, stat } from "node:fs/promises";
import { basename, extname, join } from "node:path";
import { asyncBufferFromFile, type FileMetaData, parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { z } from "zod";
import { InputError, messageOf } from "../errors.js";
import type { Picture } from "./decoder.js";
import { dividePictures, inRandomOrder, pictureDataset, type PictureOptions } from "./pictures.js";
import type { Dataset } from "../data/types.js";

/** Names of the columns, in the order in which they are looked for. */
const IMAGE_COLUMNS = ["image", "img"];
const LABEL_COLUMNS = ["label", "fine_label", "labels"];
const MAX_CLASSES = 1 << 16;

const REMEDY = "Get a sound copy of the file.";
const LAYOUT =
  `expected a column ${IMAGE_COLUMNS.join(" or ")} of encoded images (bytes, or a group with bytes and path) ` +
  `and a column ${LABEL_COLUMNS.join(" or ")} of whole numbers`;

const cellSchema = z.union([
  z.instanceof(Uint8Array),
  z.object({ bytes: z.instanceof(Uint8Array), path: z.string().nullish() }).transform(({ bytes }) => bytes),
]);
const labelSchema = z
  .union([z.bigint(), z.number()])
  .transform(Number)
  .refine((label) => Number.isSafeInteger(label) && label >= 0 && label < MAX_CLASSES);
const classLabel = z.looseObject({ names: z.array(z.string()).min(1) });
const featuresSchema = z.looseObject({
  info: z.looseObject({ features: z.record(z.string(), z.unknown()) }),
});

/** The .parquet files of a data set by what they are for. */
interface Files {
  readonly train: readonly string[];
  readonly validation: readonly string[];
  readonly test: readonly string[];
}

/**
 * A data set of a .parquet file, or of a folder of them whose names begin with `train`, `validation` or `test` (in it, or in
 * a folder `data` in it). Columns: `image` (or `img`), the encoded bytes or a group with `bytes`; `label` (or `fine_label`),
 * the class's number. Names of classes come from the metadata that Hugging Face's `datasets` writes, else they are numbers. What
 * there is only one file for is divided as a folder of class folders is.
 *
 * @throws InputError if a file is no parquet, truncated or damaged, lacks a column, has labels out of range or images that
 * can't be decoded, or there are fewer than two classes.
 *
 * @example
 * const data = await parquetDataset("cifar10/train.parquet");
 */
export async function parquetDataset(
  path: string,
  options: PictureOptions = {},
  memory?: number,
): Promise<Dataset> {
  const files = await locateParquet(path);
  if (files === undefined) {
    throw new InputError(
      `${path}: expected a .parquet file, or a folder with .parquet files whose names begin with train, validation or test.`,
    );
  }
  const names: { classes: readonly string[] | undefined } = { classes: undefined };
  const read = async (paths: readonly string[]): Promise<Picture[]> => {
    const pictures: Picture[] = [];
    for (const file of paths) {
      options.signal?.throwIfAborted();
      const { rows, classes } = await readParquet(file);
      names.classes ??= classes;
      for (const row of rows) pictures.push(row);
    }
    return pictures;
  };
  const [train, validation, test] = [
    await read(files.train),
    await read(files.validation),
    await read(files.test),
  ];
  let most = 0;
  for (const { label } of [...train, ...validation, ...test]) most = Math.max(most, label);
  const classes = names.classes ?? Array.from({ length: most + 1 }, (_, i) => String(i));
  if (classes.length < 2 || new Set(train.map(({ label }) => label)).size < 2) {
    throw new InputError(`${path}: expected images of at least two classes for training, found fewer.`);
  }
  const wrong = [...train, ...validation, ...test].find(({ label }) => label >= classes.length);
  if (wrong !== undefined) {
    throw new InputError(
      `${wrong.name}: expected labels from 0 to ${classes.length - 1}, for the metadata names ${classes.length} classes, ` +
        `found ${wrong.label}.`,
    );
  }
  const one = validation.length > 0 ? validation : test;
  const divided =
    validation.length > 0 && test.length > 0
      ? { train: inRandomOrder(train), validation, test }
      : dividePictures(train, path, one.length > 0 ? one : undefined);
  return pictureDataset(basename(path, ".parquet"), classes, divided, options, memory);
}

/** The parquet files that a path stands for; undefined if there are none for training. */
export async function locateParquet(path: string): Promise<Files | undefined> {
  if (extname(path) === ".parquet") {
    const isFile = await stat(path).then(
      (found) => found.isFile(),
      () => false,
    );
    if (isFile) return { train: [path], validation: [], test: [] };
  }
  for (const folder of [path, join(path, "data")]) {
    const names = (await readdir(folder).catch(() => []))
      .filter((name) => extname(name) === ".parquet")
      .sort();
    const of = (role: string): string[] =>
      names.filter((name) => name.startsWith(role)).map((name) => join(folder, name));
    const train = of("train");
    if (train.length > 0) return { train, validation: of("validation"), test: of("test") };
  }
  return undefined;
}

async function readParquet(
  path: string,
): Promise<{ rows: Picture[]; classes: readonly string[] | undefined }> {
  const sound = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      throw new InputError(`${path}: expected a sound parquet file: ${messageOf(error)}. ${REMEDY}`, {
        cause: error,
      });
    }
  };
  const file = await sound(asyncBufferFromFile(path));
  const metadata = await sound(parquetMetadataAsync(file));
  const columns = metadata.schema.map(({ name }) => name);
  const image = IMAGE_COLUMNS.find((name) => columns.includes(name));
  const label = LABEL_COLUMNS.find((name) => columns.includes(name));
  if (image === undefined || label === undefined) {
    throw new InputError(`${path}: ${LAYOUT}, found ${columns.slice(1).join(", ")}.`);
  }
  const rows: Picture[] = [];
  let start = 0;
  for (const group of metadata.row_groups) {
    const end = start + Number(group.num_rows);
    const part = await sound(
      parquetReadObjects({
        file,
        metadata,
        columns: [image, label],
        rowStart: start,
        rowEnd: end,
        compressors,
        utf8: false,
      }),
    );
    part.forEach((row, i) => {
      const name = `${path}: row ${start + i}`;
      const [bytes, number] = [cellSchema.safeParse(row[image]), labelSchema.safeParse(row[label])];
      if (!bytes.success)
        throw new InputError(`${name}: ${LAYOUT}; the image of this row is something else.`);
      if (!number.success) {
        throw new InputError(
          `${name}: expected a label from 0 to ${MAX_CLASSES - 1}, found ${String(row[label])}.`,
        );
      }
      // A copy: the reader's bytes are part of a whole page.
      rows.push({ name, label: number.data, source: bytes.data.slice() });
    });
    start = end;
  }
  return { rows, classes: classesIn(metadata, label) };
}

/** The names of the classes in the metadata that Hugging Face's `datasets` writes. */
function classesIn(
  { key_value_metadata: entries = [] }: FileMetaData,
  label: string,
): readonly string[] | undefined {
  const text = entries.find(({ key }) => key === "huggingface")?.value;
  if (text === undefined) return undefined;
  try {
    const { features } = featuresSchema.parse(JSON.parse(text)).info;
    return classLabel.parse(features[label]).names;
  } catch {
    return undefined;
  }
}
