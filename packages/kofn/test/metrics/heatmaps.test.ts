/** Heatmaps of masks: their cells by hand, and the file of a run, whole, growing, cut off and damaged. */

import { mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { InputError } from "../../src/errors.js";
import {
  appendHeatmaps,
  encodeHeatmaps,
  type Heatmap,
  heatmapOf,
  readHeatmap,
  readHeatmapHeader,
  truncateHeatmaps,
} from "../../src/metrics/heatmaps.js";
import { Random } from "../../src/random.js";

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "kofn-heatmaps-"));
  file = join(folder, "heatmaps.bin");
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** Two random masks. */
function masks(seed: number): Heatmap[] {
  const random = new Random(seed, "heatmaps");
  const units = (size: number): Uint8Array => Uint8Array.from({ length: size }, () => random.below(2));
  return [heatmapOf("conv1", 3, 5, units(15)), heatmapOf("größer", 70, 130, units(70 * 130))];
}

describe("heatmapOf", () => {
  test("a small mask is its own picture", () => {
    const { height, width, cells } = heatmapOf("fc", 2, 3, Uint8Array.of(1, 0, 0, 0, 1, 1));
    expect([height, width]).toEqual([2, 3]);
    expect(cells).toEqual(Uint8Array.of(255, 0, 0, 0, 255, 255));
  });

  test("a large one has the share that is kept in each cell", () => {
    // Rows 0 to 127 in 64 cells of 2, columns 0 to 191 in 64 cells of 3: 6 units in a cell.
    const units = new Uint8Array(128 * 192);
    units[0] = units[1] = units[192 + 2] = 1;
    units[127 * 192 + 191] = 1;
    const { height, width, cells } = heatmapOf("fc", 128, 192, units);
    expect([height, width]).toEqual([64, 64]);
    expect(cells[0]).toBe(Math.round(255 / 2));
    expect(cells[64 * 64 - 1]).toBe(Math.round(255 / 6));
    expect(cells.reduce((sum, cell) => sum + cell, 0)).toBe(cells[0] + cells[64 * 64 - 1]);
  });

  test.each([
    [65, 100],
    [1, 64],
    [300, 784],
    [63, 127],
  ])("every unit of %i x %i counts in one cell: floor(r height / rows), floor(i width / n)", (rows, n) => {
    const random = new Random(rows, "units");
    const units = Uint8Array.from({ length: rows * n }, () => random.below(2));
    const { height, width, cells } = heatmapOf("fc", rows, n, units);
    const sums = Array.from({ length: height * width }, () => [0, 0]);
    units.forEach((bit, at) => {
      const [row, i] = [Math.floor(at / n), at % n];
      const cell = sums[Math.floor((row * height) / rows) * width + Math.floor((i * width) / n)];
      cell[0] += bit;
      cell[1]++;
    });
    expect(Math.min(...sums.map(([, count]) => count))).toBeGreaterThan(0);
    expect(Array.from(cells)).toEqual(sums.map(([ones, count]) => Math.round((255 * ones) / count)));
  });
});

describe("the file", () => {
  test("gives back each epoch, by a fixed size of record", async () => {
    const epochs = [1, 2, 3].map(masks);
    for (const [i, epoch] of epochs.entries()) appendHeatmaps(file, i + 1, epoch);
    const bytes = await readFile(file);
    expect(bytes.equals(encodeHeatmaps(epochs))).toBe(true);
    const [line] = bytes.toString("utf8").split("\n");
    const layers = [
      { name: "conv1", rows: 3, n: 5, height: 3, width: 5 },
      { name: "größer", rows: 70, n: 130, height: 64, width: 64 },
    ];
    expect(JSON.parse(line)).toEqual({ kofn: "heatmaps", version: 1, layers });
    const offset = Buffer.byteLength(line) + 1;
    expect(bytes.length).toBe(offset + 3 * (15 + 4096));
    expect(await readHeatmapHeader(file)).toEqual({ layers, epochs: 3, offset, record: 15 + 4096 });
    for (const [i, epoch] of epochs.entries()) expect(await readHeatmap(file, i + 1)).toEqual(epoch);
  });

  test("a header longer than what is read at once", async () => {
    const layers = Array.from({ length: 300 }, (_, i) =>
      heatmapOf(`layer${i}${"x".repeat(100)}`, 1, 2, Uint8Array.of(0, 1)),
    );
    appendHeatmaps(file, 1, layers);
    expect(await readHeatmap(file, 1)).toEqual(layers);
  });

  test("a last record that is cut off does not count, and is overwritten after a resume", async () => {
    for (const epoch of [1, 2, 3]) appendHeatmaps(file, epoch, masks(epoch));
    const { offset, record } = await readHeatmapHeader(file);
    await truncate(file, offset + 3 * record - 1);
    expect((await readHeatmapHeader(file)).epochs).toBe(2);
    await expect(readHeatmap(file, 3)).rejects.toThrow(/expected an epoch from 1 to 2, .* got 3/);
    truncateHeatmaps(file, 2);
    appendHeatmaps(file, 3, masks(3));
    expect((await readFile(file)).equals(encodeHeatmaps([1, 2, 3].map(masks)))).toBe(true);
  });

  test("is removed where it lacks epochs that count, and then stays away", async () => {
    appendHeatmaps(file, 1, masks(1));
    truncateHeatmaps(file, 2);
    await expect(readHeatmapHeader(file)).rejects.toThrow(InputError);
    appendHeatmaps(file, 3, masks(3));
    truncateHeatmaps(file, 3);
    await expect(readHeatmapHeader(file)).rejects.toThrow(/can't read the file: ENOENT/);
  });

  test.each([
    ["nothing", ""],
    ["no header", "hello"],
    [
      "no line end",
      '{"kofn":"heatmaps","version":1,"layers":[{"name":"a","rows":1,"n":1,"height":1,"width":1}]}',
    ],
    ["no layers", '{"kofn":"heatmaps","version":1,"layers":[]}\n'],
    ["another version", '{"kofn":"heatmaps","version":2,"layers":[]}\n'],
    [
      "huge cells",
      '{"kofn":"heatmaps","version":1,"layers":[{"name":"a","rows":1,"n":1,"height":1e9,"width":1e9}]}\n',
    ],
    [
      "half a cell",
      '{"kofn":"heatmaps","version":1,"layers":[{"name":"a","rows":1,"n":1,"height":0.5,"width":1}]}\n',
    ],
  ])("damaged: %s", async (_, content) => {
    await writeFile(file, content);
    await expect(readHeatmapHeader(file)).rejects.toThrow(/expected the heatmaps of a run/);
    await expect(readHeatmap(file, 1)).rejects.toThrow(InputError);
  });

  test("epochs are whole numbers from 1", async () => {
    appendHeatmaps(file, 1, masks(1));
    for (const epoch of [0, -1, 1.5, 2, NaN])
      await expect(readHeatmap(file, epoch)).rejects.toThrow(InputError);
  });
});
