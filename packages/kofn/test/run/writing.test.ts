/** How a run directory is written: what a process leaves that is killed at any moment can be gone on from. */

import { linkSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import type { EpochMetrics } from "@kofn/format/run/types.js";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Heatmap, heatmapOf } from "../../src/metrics/heatmaps.js";
import { Random } from "../../src/random.js";
import { prepareRunDirectory, type RunDirectory } from "../../src/run/directory.js";
import { reopenRunDirectory } from "../../src/run/read.js";

/** What was done to which file, in order. */
const calls = vi.hoisted((): [string, string][] => []);

vi.mock("node:fs", async (load) => {
  const real = await load<Record<string, (...args: unknown[]) => unknown>>();
  const names = ["appendFileSync", "openSync", "rmSync", "truncateSync", "writeFileSync"];
  const watched = names.map((name) => [
    name,
    (...args: unknown[]) => {
      if (typeof args[0] === "string") calls.push([name, args[0]]);
      return real[name](...args);
    },
  ]);
  return { ...real, ...(Object.fromEntries(watched) as typeof real) };
});

let base: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "kofn-writing-"));
});
afterEach(() => {
  rmSync(base, { recursive: true });
});

const CONFIG = { model: "lenet-300-100", data: "glyphs" };
const FILES = ["config.json", "heatmaps.bin", "metrics.jsonl"];
const EPOCHS = 4;

const metrics = (epoch: number): EpochMetrics => ({
  epoch,
  step: epoch,
  train: { loss: 1 / epoch, accuracy: 0.5 },
  validation: { loss: 1 / epoch, accuracy: 0.5 },
  learningRate: 1e-3,
  tau: 1,
  beta: 0.1,
  samplesPerSecond: 1,
  seconds: epoch,
  k: { fc: 2 },
  best: true,
});
const heatmaps = (epoch: number): Heatmap[] => [heatmapOf("fc", 2, 5, new Uint8Array(10).fill(1, 0, epoch))];

const path = (name = ""): string => join(base, "a", name);
const contents = (): string[] => FILES.map((name) => readFileSync(path(name), "latin1"));

/** Records epochs, with a checkpoint after each up to the last one that has one. */
async function record(directory: RunDirectory, from: number, to: number, checkpoints: number): Promise<void> {
  for (let epoch = from; epoch <= to; epoch++) {
    directory.recordEpoch(metrics(epoch), CONFIG, heatmaps(epoch));
    if (epoch > checkpoints) continue;
    const epochs = Array.from({ length: epoch }, (_, i) => metrics(i + 1));
    await directory.checkpoint({ tensors: new Map(), metrics: epochs, seconds: epoch });
  }
}

test("files that were cut off at any place behind the checkpoint are whole after the run has gone on", async () => {
  const seed = Math.floor(Math.random() * 1e6);
  const random = new Random(seed, "writing");
  const begun = async (to: number, checkpoints: number): Promise<void> => {
    const directory = await prepareRunDirectory(path(), { overwrite: true });
    await record(directory, 1, to, checkpoints);
    directory.close();
  };
  const ends: number[][] = [];
  for (let epoch = 0; epoch <= EPOCHS; epoch++) {
    await begun(Math.max(epoch, 1), 0);
    ends.push(FILES.map((name) => (epoch === 0 ? 0 : readFileSync(path(name)).length)));
  }
  const whole = contents();
  for (let i = 0; i < 60; i++) {
    const checkpoint = random.below(EPOCHS);
    await begun(EPOCHS, checkpoint);
    const cuts = FILES.map((name, file) => {
      if (file === 0) return Infinity;
      const bytes = readFileSync(path(name));
      const cut = ends[checkpoint][file] + random.below(bytes.length - ends[checkpoint][file] + 1);
      writeFileSync(path(name), bytes.subarray(0, cut));
      return cut;
    });
    const { directory } = await reopenRunDirectory(path());
    await record(directory, checkpoint + 1, EPOCHS, EPOCHS);
    directory.close();
    expect(contents(), `seed ${seed}, checkpoint ${checkpoint}, cut to ${cuts.join()}`).toEqual(whole);
  }
});

test("nothing is written in place but what is appended, and a run goes only when the next one comes", async () => {
  const directory = await prepareRunDirectory(path());
  await record(directory, 1, 3, 2);
  directory.close();
  linkSync(path("metrics.jsonl"), join(base, "metrics of then"));
  const then = readFileSync(path("metrics.jsonl"), "utf8");
  const stopped = await reopenRunDirectory(path());
  expect(readFileSync(path("metrics.jsonl"), "utf8")).toBe(then);
  await record(stopped.directory, 3, 4, 3);
  stopped.directory.close();
  expect(readFileSync(join(base, "metrics of then"), "utf8")).toBe(then);
  writeFileSync(path("report.json"), "{}");

  calls.length = 0;
  const next = await prepareRunDirectory(path(), { overwrite: true });
  expect(readdirSync(path())).toContain("report.json");
  await record(next, 1, 2, 1);
  next.close();
  const inRun = calls.filter(([, file]) => [...FILES, "report.json"].some((name) => file === path(name)));
  expect(inRun.map(([call, file]) => `${call} ${basename(file)}`)).toEqual([
    // Without a report, what is left of the old run counts as unfinished.
    "rmSync report.json",
    ...["config.json", "heatmaps.bin", "metrics.jsonl", "report.json"].map((name) => `rmSync ${name}`),
    "writeFileSync heatmaps.bin",
    "appendFileSync metrics.jsonl",
    "appendFileSync heatmaps.bin",
    "appendFileSync metrics.jsonl",
  ]);
});
