/** Files of a run as they are read: what kofn writes, what older versions wrote, and what is damaged. */

import { describe, expect, test } from "vitest";
import { heatmapFile, MOST_CELLS } from "../../src/run/heatmaps.js";
import { HEATMAP_HEADER, RUNNING } from "../../src/run/schemas.js";
import type { Running } from "../../src/run/types.js";

const begun: Running = {
  pid: 7,
  host: "here",
  born: "12",
  started: "2026-01-01T00:00:00.000Z",
  config: { seed: 1 },
};

/** Through JSON, as a file has it. */
const written = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe("running.json", () => {
  const unknown = { epoch: null, epochs: null, step: null, steps: null, loss: null, samplesPerSecond: null };

  test("before the run begins says whose the directory is", () => {
    const owner = { ...begun, config: undefined };
    expect(RUNNING.parse(written(owner))).toMatchObject({ ...begun, ...unknown, config: {} });
  });

  test("before the first step says who trains, and nothing of how far", () => {
    expect(RUNNING.parse(written(begun))).toEqual({ ...begun, ...unknown, remainingSeconds: null });
  });

  test("says how far the run is; numbers that JSON can't hold are not known", () => {
    const progress = {
      epoch: 1,
      epochs: 2,
      step: 3,
      steps: 4,
      loss: NaN,
      samplesPerSecond: 5,
      remainingSeconds: Infinity,
    };
    expect(RUNNING.parse(written({ ...begun, ...progress }))).toEqual({
      ...begun,
      ...progress,
      loss: null,
      remainingSeconds: null,
    });
  });

  test("without what older versions do not write, or with damage to it, names the process", () => {
    const { pid, host } = begun;
    for (const more of [{}, { config: "none", epoch: "first" }, { config: 3, loss: {} }]) {
      expect(RUNNING.parse(written({ pid, host, ...more }))).toEqual({
        pid,
        host,
        config: {},
        ...unknown,
        remainingSeconds: null,
      });
    }
  });

  test.each([
    ["no process", { ...begun, pid: undefined }],
    ["a process of no number", { ...begun, pid: -1 }],
    ["half a process", { ...begun, pid: 1.5 }],
    ["no host", { ...begun, host: undefined }],
    ["a list", []],
  ])("is refused: %s", (_, value) => {
    expect(RUNNING.safeParse(written(value)).success).toBe(false);
  });
});

describe("the header of heatmaps.bin", () => {
  const layers = [
    { name: "a", rows: 300, n: 784, height: MOST_CELLS, width: MOST_CELLS },
    { name: "b", rows: 2, n: 3, height: 2, width: 3 },
  ];

  test("says where records lie, of which the last may be cut off", () => {
    const header = HEATMAP_HEADER.parse({ kofn: "heatmaps", version: 1, layers });
    const record = MOST_CELLS ** 2 + 6;
    expect(heatmapFile(header, 100, 100 + 3 * record)).toEqual({ layers, epochs: 3, offset: 100, record });
    expect(heatmapFile(header, 100, 99 + 3 * record).epochs).toBe(2);
  });

  test.each([
    ["no layers", { layers: [] }],
    ["another file", { kofn: "masks" }],
    ["another version", { version: 2 }],
    ["too many cells", { layers: [{ ...layers[0], width: MOST_CELLS + 1 }] }],
    ["half a cell", { layers: [{ ...layers[0], height: 0.5 }] }],
    ["no units", { layers: [{ ...layers[0], n: 0 }] }],
  ])("is refused: %s", (_, damage) => {
    expect(HEATMAP_HEADER.safeParse({ kofn: "heatmaps", version: 1, layers, ...damage }).success).toBe(false);
  });
});
