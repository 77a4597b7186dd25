/** What is told of a network: results that agree with onnxruntime's, or do not; figures that belong together; work of layers. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
// As it is built: it starts a process with a script of its own.
import { compare } from "../../dist/bench/compare.js";
import { layersOf } from "../../src/bench/layers.js";
import { openSubject } from "../../src/bench/subject.js";
import { linearModel, sidesModel, writeKofn } from "../support/kofn-files.js";
import { tinyModel } from "../support/tiny.js";

let base: string;
let sides: string;
let tiny: string;
beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), "kofn-compare-"));
  sides = join(base, "sides.kofn");
  tiny = join(base, "tiny.kofn");
  await Promise.all([writeKofn(sides, sidesModel()), writeKofn(tiny, tinyModel())]);
});
afterAll(async () => {
  await rm(base, { recursive: true, force: true });
});

const OPTIONS = { threads: 1, runs: 10 };
const PEER = "onnxruntime-node";

test.each([1, 2])("figures of engines and ratios belong together, %i threads", async (threads) => {
  const done: string[] = [];
  const samples = 16 * threads + 3;
  const subject = await openSubject(sides, samples, threads);
  const [{ kofn, peers }] = await compare([subject], [PEER], {
    ...OPTIONS,
    threads,
    onDone: (what) => done.push(what),
  });
  expect(done).toEqual([
    `${sides}: loaded by kofn, ${PEER}`,
    ...Array.from({ length: 10 }, (_, i) => `round ${i + 1} of 10`),
  ]);
  const [{ comparison, ...peer }] = peers;
  for (const { runs, latencyMs, samplesPerSecond, loadMs, memoryBytes, fileBytes } of [kofn, peer]) {
    expect(runs).toBeGreaterThanOrEqual(OPTIONS.runs);
    const { best, low, median, high } = latencyMs;
    expect([best, low, median, high].toSorted((a, b) => a - b)).toEqual([best, low, median, high]);
    expect(samplesPerSecond).toBeCloseTo((1000 * samples) / median, 5);
    for (const figure of [best, loadMs, memoryBytes, fileBytes]) expect(figure).toBeGreaterThan(0);
  }
  expect(comparison).toEqual({
    peer: PEER,
    speed: peer.latencyMs.median / kofn.latencyMs.median,
    bestSpeed: peer.latencyMs.best / kofn.latencyMs.best,
    loading: peer.loadMs / kofn.loadMs,
    memory: kofn.memoryBytes / peer.memoryBytes,
    file: kofn.fileBytes / peer.fileBytes,
    largestDifference: expect.any(Number) as number,
    tolerance: 1e-4,
    agrees: true,
  });
  expect(comparison.largestDifference).toBeLessThan(1e-5);
});

test("a model that computes something else does not agree", async () => {
  const subject = await openSubject(sides, 1, 1);
  const model = linearModel(["batch", 1, 4, 4], 3, (of, i) =>
    of === 2 ? 0 : i % 4 < 2 === (of === 0) ? 1.001 : 0,
  );
  const [{ peers }] = await compare([{ ...subject, model }], [PEER], OPTIONS);
  expect(peers[0].comparison).toMatchObject({ agrees: false });
  expect(peers[0].comparison.largestDifference).toBeCloseTo(0.001, 5);
});

test("layers have their work and the bits of their weights", async () => {
  const layers = layersOf(await openSubject(tiny, 1, 1));
  expect(layers).toMatchObject([
    { name: "conv", bits: 32, kept: 36, macsKept: 36 * 36 },
    { name: "fc", bits: 32, kept: 108, macsKept: 108 },
  ]);
});
