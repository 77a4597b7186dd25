/** Reads heatmaps.bin: a line of JSON, then a record of fixed size for each epoch. */

import type { FileHandle } from "node:fs/promises";
import { type HeatmapFile, heatmapFile } from "@kofn/format/run/heatmaps.js";
import { HEATMAP_HEADER } from "@kofn/format/run/schemas.js";
import { openInside } from "./inside.js";
import { parseJson } from "./json-file.js";

const MOST_HEADER_BYTES = 2 ** 21;
const MOST_LAYERS = 4096;
const CHUNK = 2 ** 16;
const NEWLINE = 0x0a;

const HEADER = HEATMAP_HEADER.refine(({ layers }) => layers.length <= MOST_LAYERS, "it has too many layers");

/** @throws Error whose message says what is wrong, or the system's error if there is no such file. */
export async function readHeatmapIndex(root: string, path: string): Promise<HeatmapFile> {
  const file = await openInside(root, path);
  try {
    const line = await firstLine(file);
    const header = parseJson(line.toString("utf8"), HEADER);
    const { size } = await file.stat();
    return heatmapFile(header, line.length + 1, size);
  } finally {
    await file.close();
  }
}

async function firstLine(file: FileHandle): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for (let offset = 0; offset < MOST_HEADER_BYTES; offset += CHUNK) {
    const chunk = Buffer.alloc(CHUNK);
    const { bytesRead } = await file.read(chunk, 0, CHUNK, offset);
    const end = chunk.subarray(0, bytesRead).indexOf(NEWLINE);
    chunks.push(chunk.subarray(0, end === -1 ? bytesRead : end));
    if (end !== -1) return Buffer.concat(chunks);
    if (bytesRead < CHUNK) break;
  }
  throw new Error("its first line has no end");
}

/**
 * The cells of all layers in one epoch, or of one layer.
 *
 * @param epoch from 0.
 * @returns undefined if the file does not hold them.
 */
export async function readCells(
  root: string,
  path: string,
  { offset, record, epochs, layers }: HeatmapFile,
  epoch: number,
  layer?: number,
): Promise<Uint8Array | undefined> {
  if (epoch >= epochs || (layer !== undefined && layer >= layers.length)) return undefined;
  const sizes = layers.map(({ height, width }) => height * width);
  const before = sizes.slice(0, layer ?? 0).reduce((sum, size) => sum + size, 0);
  const cells = new Uint8Array(layer === undefined ? record : sizes[layer]);
  const file = await openInside(root, path);
  try {
    const { bytesRead } = await file.read(cells, 0, cells.length, offset + epoch * record + before);
    return bytesRead === cells.length ? cells : undefined;
  } finally {
    await file.close();
  }
}
