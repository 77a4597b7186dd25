/** Makes pictures of masks, and writes and reads them in heatmaps.bin of a run directory, whose form @kofn/format has. */

import { appendFileSync, existsSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import {
  type HeatmapFile,
  heatmapFile,
  type HeatmapHeader,
  type HeatmapLayer,
  MOST_CELLS,
} from "@kofn/format/run/heatmaps.js";
import { HEATMAP_HEADER } from "@kofn/format/run/schemas.js";
import { InputError, messageOf } from "../errors.js";

/** A header is read up to this length. */
const MOST_HEADER = 1 << 24;

/** A mask of [R, n] as a picture of at most 64 x 64 cells. */
export interface Heatmap extends HeatmapLayer {
  /** [height, width]; 255 times the share of a cell's units that are kept, rounded. */
  readonly cells: Uint8Array;
}

/**
 * The heatmap of a mask. Row r lies in cell floor(r * height / rows), unit i in cell floor(i * width / n): cells of as equal sizes as
 * can be, none of them empty.
 *
 * @param units the mask, [rows, n], of 0 and 1.
 *
 * @example
 * heatmapOf("fc", 1, 4, Uint8Array.of(1, 0, 0, 1)).cells; // 255, 0, 0, 255
 */
export function heatmapOf(name: string, rows: number, n: number, units: Uint8Array): Heatmap {
  const height = Math.min(rows, MOST_CELLS);
  const width = Math.min(n, MOST_CELLS);
  const kept = new Uint32Array(height * width);
  const count = new Uint32Array(height * width);
  const columns = Int32Array.from({ length: n }, (_, i) => Math.floor((i * width) / n));
  for (let row = 0; row < rows; row++) {
    const first = Math.floor((row * height) / rows) * width;
    for (let i = 0; i < n; i++) {
      kept[first + columns[i]] += units[row * n + i];
      count[first + columns[i]]++;
    }
  }
  const cells = Uint8Array.from(kept, (ones, cell) => Math.round((255 * ones) / count[cell]));
  return { name, rows, n, height, width, cells };
}

/** The bytes of a file with the heatmaps of the first epochs. */
export function encodeHeatmaps(epochs: readonly (readonly Heatmap[])[]): Uint8Array {
  const layers = (epochs.at(0) ?? []).map(({ name, rows, n, height, width }) => ({
    name,
    rows,
    n,
    height,
    width,
  }));
  const header: HeatmapHeader = { kofn: "heatmaps", version: 1, layers };
  return Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), ...epochs.map(recordOf)]);
}

function recordOf(heatmaps: readonly Heatmap[]): Uint8Array {
  return Buffer.concat(heatmaps.map(({ cells }) => cells));
}

/**
 * Adds an epoch, counted from 1, to a file of those before it. The first makes the file; where it is missing later on, it
 * stays so, as its epochs could not be told any more.
 */
export function appendHeatmaps(path: string, epoch: number, heatmaps: readonly Heatmap[]): void {
  if (heatmaps.length === 0) return;
  if (epoch === 1) writeFileSync(path, encodeHeatmaps([heatmaps]));
  else if (existsSync(path)) appendFileSync(path, recordOf(heatmaps));
}

/** Cuts a file down to its first epochs; removes it where it has not so many, or is damaged. */
export function truncateHeatmaps(path: string, epochs: number): void {
  if (!existsSync(path)) return;
  const bytes = readFileSync(path);
  const header = headerOf(bytes, bytes.length);
  if (epochs === 0 || header === undefined || header.epochs < epochs) rmSync(path);
  else truncateSync(path, header.offset + epochs * header.record);
}

/**
 * Reads the header of a file of heatmaps, and tells how many epochs it holds.
 *
 * @param path of heatmaps.bin in a run directory.
 * @throws InputError if the file can't be read, or is no such file.
 *
 * @example
 * const { layers, epochs } = await readHeatmapHeader("runs/a/heatmaps.bin");
 */
export async function readHeatmapHeader(path: string): Promise<HeatmapFile> {
  return opened(path, (file) => fileHeader(file, path));
}

/**
 * Reads the heatmaps of one epoch.
 *
 * @param path of heatmaps.bin in a run directory.
 * @param epoch counted from 1.
 * @returns one heatmap per pruned layer, in the order of the header.
 * @throws InputError if the file can't be read, is no such file, or has no such epoch.
 *
 * @example
 * const [fc1] = await readHeatmap("runs/a/heatmaps.bin", 3);
 * fc1.cells[0]; // 13: a twentieth of the first cell's units is kept
 */
export async function readHeatmap(path: string, epoch: number): Promise<Heatmap[]> {
  return opened(path, async (file) => {
    const { layers, epochs, offset, record } = await fileHeader(file, path);
    if (!Number.isInteger(epoch) || epoch < 1 || epoch > epochs) {
      throw new InputError(
        `${path}: expected an epoch from 1 to ${epochs}, which the file holds, got ${epoch}.`,
      );
    }
    const bytes = await readAt(file, offset + (epoch - 1) * record, record);
    if (bytes.length < record) throw damaged(path, `it ends within epoch ${epoch}`);
    let at = 0;
    return layers.map((layer) => {
      const size = layer.height * layer.width;
      at += size;
      return { ...layer, cells: bytes.subarray(at - size, at) };
    });
  });
}

async function opened<T>(path: string, read: (file: FileHandle) => Promise<T>): Promise<T> {
  let file: FileHandle | undefined;
  try {
    file = await open(path);
    return await read(file);
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError(`${path}: can't read the file: ${messageOf(error)}.`, { cause: error });
  } finally {
    await file?.close();
  }
}

async function fileHeader(file: FileHandle, path: string): Promise<HeatmapFile> {
  const { size } = await file.stat();
  for (let length = 1 << 14; ; length *= 4) {
    const bytes = await readAt(file, 0, Math.min(length, size));
    const header = headerOf(bytes, size);
    if (header !== undefined) return header;
    if (length >= size || length >= MOST_HEADER || bytes.includes(NEWLINE)) {
      throw damaged(path, "its first line is not their header");
    }
  }
}

function damaged(path: string, how: string): InputError {
  return new InputError(
    `${path}: expected the heatmaps of a run, but ${how}. The file is damaged, or not one of kofn train.`,
  );
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await file.read(bytes, done, length - done, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return bytes.subarray(0, done);
}

const NEWLINE = 0x0a;

/** The header at the beginning of `bytes`, of a file of so many; undefined if it is none, or not all of it is there. */
function headerOf(bytes: Uint8Array, size: number): HeatmapFile | undefined {
  const end = bytes.indexOf(NEWLINE);
  if (end < 0) return undefined;
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(bytes.subarray(0, end)));
  } catch {
    return undefined;
  }
  const header = HEATMAP_HEADER.safeParse(json);
  return header.success ? heatmapFile(header.data, end + 1, size) : undefined;
}
