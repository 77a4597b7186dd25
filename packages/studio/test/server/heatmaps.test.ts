/** heatmaps.bin, read by seeking. */

import { appendFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readCells, readHeatmapIndex } from "../../src/server/heatmaps.js";
import { heatmapHeader, heatmapRecord } from "../support/make-run.js";
import { temporaryFolder } from "../support/studio.js";

const SHAPE = { epochs: 4, layers: 3 };

async function written(): Promise<{ root: string; path: string }> {
  const root = await temporaryFolder();
  const path = join(root, "heatmaps.bin");
  await writeFile(path, [heatmapHeader(3), ...[1, 2, 3, 4].map((epoch) => heatmapRecord(epoch, SHAPE))]);
  return { root, path };
}

test("gives the cells of an epoch, and of one layer of it", async () => {
  const { root, path } = await written();
  const index = await readHeatmapIndex(root, path);
  expect(index.epochs).toBe(4);
  expect(index.layers.map(({ height, width }) => [height, width])).toEqual([
    [64, 64],
    [64, 64],
    [10, 64],
  ]);
  const record = heatmapRecord(3, SHAPE);
  expect(await readCells(root, path, index, 2)).toEqual(new Uint8Array(record));
  expect(await readCells(root, path, index, 2, 1)).toEqual(new Uint8Array(record.subarray(4096, 8192)));
  expect(await readCells(root, path, index, 2, 2)).toEqual(new Uint8Array(record.subarray(8192)));
  expect(await readCells(root, path, index, 4)).toBeUndefined();
  expect(await readCells(root, path, index, 0, 3)).toBeUndefined();
});

test("does not count a last record that is cut off, also if it was cut after the index was read", async () => {
  const { root, path } = await written();
  const whole = await readHeatmapIndex(root, path);
  await truncate(path, whole.offset + 3 * whole.record + 100);
  expect((await readHeatmapIndex(root, path)).epochs).toBe(3);
  expect(await readCells(root, path, whole, 3)).toBeUndefined();
  await appendFile(path, "x".repeat(whole.record));
  expect((await readHeatmapIndex(root, path)).epochs).toBe(4);
});

test("refuses files that are none", async () => {
  const { root, path } = await written();
  const layer = { name: "a", rows: 1, n: 1, height: 1, width: 1 };
  for (const header of [
    "",
    "no json\n",
    `${JSON.stringify({ kofn: "heatmaps", version: 2, layers: [layer] })}\n`,
    `${JSON.stringify({ kofn: "heatmaps", version: 1, layers: [] })}\n`,
    `${JSON.stringify({ kofn: "heatmaps", version: 1, layers: [{ ...layer, height: 1e9 }] })}\n`,
    JSON.stringify({ kofn: "heatmaps", version: 1, layers: [layer] }),
    "x".repeat(3e6),
  ]) {
    await writeFile(path, header);
    await expect(readHeatmapIndex(root, path), header.slice(0, 60)).rejects.toThrow();
  }
});
