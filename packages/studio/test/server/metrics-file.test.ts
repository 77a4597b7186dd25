/** metrics.jsonl while it is written, rewritten, damaged and gone. */

import { appendFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { MetricsFile } from "../../src/server/metrics-file.js";
import { metricsLine } from "../support/make-run.js";
import { temporaryFolder } from "../support/studio.js";

let path: string;
let file: MetricsFile;

beforeEach(async () => {
  const folder = await temporaryFolder();
  path = join(folder, "metrics.jsonl");
  file = new MetricsFile(folder, path);
});

const lines = (from: number, to: number): string =>
  Array.from({ length: to - from + 1 }, (_, i) => `${metricsLine(from + i)}\n`).join("");
const epochs = (): readonly number[] => file.history.columns().epoch;

test("takes what is appended, a half-written line once it is whole", async () => {
  await writeFile(path, lines(1, 2));
  await file.refresh();
  expect(epochs()).toEqual([1, 2]);
  const next = lines(3, 3);
  await appendFile(path, next.slice(0, 100));
  await file.refresh();
  expect(epochs()).toEqual([1, 2]);
  expect(file.cut).toBe(true);
  expect(file.problems).toEqual([]);
  await appendFile(path, next.slice(100));
  await file.refresh();
  expect(epochs()).toEqual([1, 2, 3]);
  expect(file.cut).toBe(false);
});

test("leaves damaged lines out and names the first of them", async () => {
  await writeFile(path, `${lines(1, 1)}{"epoch": 2, "tr\n{}\n[1]\n\n${metricsLine(1)}\n"x"\n${lines(2, 3)}`);
  await file.refresh();
  expect(epochs()).toEqual([1, 2, 3]);
  expect(file.problems).toHaveLength(4);
  expect(file.problems[0]).toMatch(/^metrics\.jsonl, line 2: damaged, left out: it is no JSON/);
  expect(file.problems[1]).toMatch(/^metrics\.jsonl, line 3: damaged, left out: epoch: /);
  expect(file.problems[3]).toBe("metrics.jsonl: 2 more damaged lines, left out");
});

test("does with lines that lack values, or have null for NaN", async () => {
  await writeFile(
    path,
    '{"epoch":1}\n{"epoch":2,"train":{"loss":null},"tau":"x","validation":{"accuracy":0.5}}\n',
  );
  await file.refresh();
  expect(file.history.columns()).toMatchObject({
    epoch: [1, 2],
    trainLoss: [null, null],
    validationAccuracy: [null, 0.5],
    tau: [null, null],
  });
  expect(file.history.layerRows(undefined)).toEqual([]);
  expect(file.problems).toEqual([]);
});

test("begins anew where the file was cut, written anew in place, or replaced", async () => {
  await writeFile(path, lines(1, 6));
  await file.refresh();
  await truncate(path, lines(1, 3).length);
  await file.refresh();
  expect(epochs()).toEqual([1, 2, 3]);
  // Longer than what was read, with other content before that place.
  await writeFile(path, lines(11, 16));
  await file.refresh();
  expect(epochs()).toEqual([11, 12, 13, 14, 15, 16]);
  await rm(path);
  await writeFile(path, lines(1, 2));
  await file.refresh();
  expect(epochs()).toEqual([1, 2]);
});

test("a file that is gone has no lines, and that is said", async () => {
  await writeFile(path, lines(1, 2));
  await file.refresh();
  await rm(path);
  await file.refresh();
  expect(epochs()).toEqual([]);
  expect(file.problems[0]).toMatch(/can't be read/);
});

test("reads a file larger than one chunk to the same columns", async () => {
  const shape = { epochs: 120, layers: 40 };
  const all = Array.from({ length: 120 }, (_, i) => `${metricsLine(i + 1, shape)}\n`).join("");
  expect(all.length).toBeGreaterThan(2 ** 20);
  await writeFile(path, all);
  await file.refresh();
  expect(epochs()).toHaveLength(120);
  const rows = file.history.layerRows(undefined);
  expect(rows).toHaveLength(40);
  expect(rows[0].spark.confidence).toHaveLength(64);
  expect(rows[0].last.confidence).toBe(file.history.layerHistory(0)?.series.confidence.at(-1));
  const { layers } = JSON.parse(metricsLine(60, shape)) as { layers: { confidence: number }[] };
  expect(file.history.layerHistory(7)?.series.confidence[59]).toBe(layers[7].confidence);
  const mean = layers.reduce((sum, { confidence }) => sum + confidence, 0) / layers.length;
  expect(file.history.columns().confidence[59]).toBeCloseTo(mean, 12);
});
