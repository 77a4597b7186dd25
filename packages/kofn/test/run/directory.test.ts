/** The run directory: checked without a trace, written, read back, and every message about what is wrong with one. */

import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { EpochMetrics, MaskMetrics, Report } from "@kofn/format/run/types.js";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { InputError } from "../../src/errors.js";
import { loadModel } from "../../src/files/models.js";
import { type Heatmap, heatmapOf, readHeatmap, readHeatmapHeader } from "../../src/metrics/heatmaps.js";
import { zoo } from "../../src/models/zoo.js";
import { tensor } from "../../src/onnx/tensor.js";
import { configOf } from "../../src/options/settings.js";
import { prepareRunDirectory, type RunDirectory } from "../../src/run/directory.js";
import { readRun, reopenRunDirectory } from "../../src/run/read.js";
import type { RunContents } from "../../src/run/types.js";

let base: string;
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), "kofn-run-"));
});
afterEach(async () => {
  await rm(base, { recursive: true, force: true });
});

const epoch = (number: number): EpochMetrics => ({
  epoch: number,
  step: 10 * number,
  train: { loss: 0.5, accuracy: 0.8 },
  validation: { loss: 0.6, accuracy: 0.75 },
  learningRate: 1e-3,
  tau: 2,
  beta: 0.1,
  samplesPerSecond: 1000,
  seconds: number,
  k: { fc1: 40 },
  layers: [MASK],
  best: true,
});

const MASK: MaskMetrics = {
  name: "fc1",
  members: ["fc1", "fc2"],
  rows: 300,
  n: 784,
  k: 40,
  confidence: 0.5,
  diversity: 0.4,
  softmaxConfidence: 0.1,
  jensenShannon: 0.05,
  churn: 0.3,
  overlapMagnitude: 0.6,
  neverChosen: 12,
};

const REPORT: Report = {
  kofn: "0.1.0",
  model: "lenet-300-100",
  seed: 1,
  provider: "cpu",
  data: { name: "mnist", train: 1, validation: 1, test: 1 },
  result: { validation: { loss: 0.5, accuracy: 0.8 }, test: { loss: 0.6, accuracy: 0.75 } },
  totals: {
    weights: 266_200,
    kept: 16_000,
    compression: 16.6375,
    macs: 266_200,
    macsKept: 16_000,
    bytesDense: 1,
    bytesPacked: 1,
    bytesLimit: 1,
  },
  layers: [
    {
      name: "fc1",
      weight: "fc1.weight",
      granularity: "weights",
      groups: 300,
      n: 784,
      k: 40,
      weights: 235_200,
      kept: 12_000,
      confidence: 0.5,
      diversity: 0.4,
      softmaxConfidence: 0.1,
      jensenShannon: 0.05,
      overlapMagnitude: 0.6,
      neverChosen: 12,
      inclusion: [235_200 - 12_000, ...new Array<number>(18).fill(0), 12_000],
    },
  ],
  training: { epochs: 2, steps: 20, seconds: 2, samplesPerSecond: 1000 },
};

const MODEL = zoo.lenet300100();

const contents = (): RunContents => ({
  model: MODEL,
  masked: MODEL,
  report: REPORT,
  masks: new Map([["fc1.weight", tensor("uint8", [2, 2], Uint8Array.of(1, 0, 0, 1))]]),
  metrics: [epoch(1), epoch(2)],
  config: { model: "lenet-300-100", data: "mnist", ...configOf({ threads: 2 }) },
  quantization: {
    weights: [
      {
        layer: "fc1",
        weight: "fc1.weight",
        format: "int4",
        axis: 0,
        scale: new Float32Array(300).fill(0.5),
        codes: new Int8Array(300 * 784).fill(-7, 0, 100),
      },
    ],
    activations: [],
  },
  heatmaps: { epochs: [1, 2].map(heatmaps), result: heatmaps(2) },
});

/** Two masks of which so many units are kept. */
function heatmaps(kept: number): Heatmap[] {
  const units = (n: number): Uint8Array => new Uint8Array(n).fill(1, 0, kept);
  return [heatmapOf("fc1", 1, 4, units(4)), heatmapOf("fc2", 3, 70, units(210))];
}

/** The message of the InputError with which a promise is rejected; paths are cut to what lies in `base`. */
async function complaint(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(error instanceof InputError)) throw new Error("expected an InputError", { cause: error });
  return error.message.replaceAll(base, "BASE");
}

async function finished(name: string): Promise<string> {
  const path = join(base, name);
  await withDirectory(prepareRunDirectory(path), (directory) => directory.finish(contents()));
  return path;
}

/** Works in a directory and closes it. */
async function withDirectory(
  opened: Promise<RunDirectory>,
  work: (directory: RunDirectory) => void | Promise<void>,
): Promise<void> {
  const directory = await opened;
  try {
    await work(directory);
  } finally {
    directory.close();
  }
}

const reopened = async (path: string): Promise<RunDirectory> => (await reopenRunDirectory(path)).directory;

describe("prepareRunDirectory", () => {
  test("many at once, in folders that none of them found, get in nobody's way", async () => {
    const paths = Array.from({ length: 16 }, (_, i) => join(base, "sweep/deep", `${i}`));
    const directories = await Promise.all(paths.map((path) => prepareRunDirectory(path)));
    for (const directory of directories) directory.close();
    expect(await readdir(base, { recursive: true })).toEqual(["sweep", "sweep/deep"]);
  });

  test("leaves no trace where nothing is written", async () => {
    await mkdir(join(base, "empty"));
    const paths = ["empty", "a/b/c"].map((path) => join(base, path));
    const directories = await Promise.all(paths.map((path) => prepareRunDirectory(path)));
    expect((await readdir(base, { recursive: true })).sort()).toEqual([
      "a",
      "a/b",
      "a/b/c",
      "a/b/c/running.json",
      "empty",
      "empty/running.json",
    ]);
    for (const directory of directories) directory.close();
    expect(await readdir(base, { recursive: true })).toEqual(["empty"]);
  });

  test("says why it can't be used", async () => {
    await writeFile(join(base, "file"), "");
    await mkdir(join(base, "project/src"), { recursive: true });
    await writeFile(join(base, "project/config.json"), "{}");
    await symlink(join(base, "nowhere"), join(base, "dangling"));
    const refused = (path: string): Promise<string> => complaint(prepareRunDirectory(join(base, path)));
    expect(await refused("file")).toMatchInlineSnapshot(
      `"run directory "BASE/file": can't write there: the path, or a part of it, is a file and no folder. Choose another folder."`,
    );
    expect(await refused("file/below")).toMatchInlineSnapshot(
      `"run directory "BASE/file/below": can't write there: the path, or a part of it, is a file and no folder. Choose another folder."`,
    );
    expect(await refused("project")).toMatchInlineSnapshot(
      `"run directory "BASE/project": the folder is not empty and holds no run (found config.json, src). Choose a new or an empty folder."`,
    );
    expect(await refused("dangling")).toMatchInlineSnapshot(
      `"run directory "BASE/dangling": can't write there: the path, or a part of it, is a file and no folder. Choose another folder."`,
    );
    expect((await refused("x".repeat(300))).slice(-100)).toMatchInlineSnapshot(
      `"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx": can't write there: the name is too long. Choose another folder."`,
    );
    expect(await complaint(prepareRunDirectory("/proc/kofn/a"))).toMatchInlineSnapshot(
      `"run directory "/proc/kofn/a": can't write there: a folder can't be made there. Choose another folder."`,
    );
    expect(await complaint(prepareRunDirectory("a\0b"))).toContain("can't write there");
    expect((await readdir(base)).sort()).toEqual(["dangling", "file", "project"]);
  });

  test("a folder that holds other things is refused even to overwrite", async () => {
    await writeFile(join(base, "thesis.tex"), "");
    await writeFile(join(base, "config.json"), "");
    expect(await complaint(prepareRunDirectory(base, { overwrite: true }))).toContain("holds no run");
  });

  test("a run is kept unless it is to be overwritten", async () => {
    const path = await finished("a");
    expect(await complaint(prepareRunDirectory(path))).toMatchInlineSnapshot(
      `"run directory "BASE/a": the folder already holds a run. Choose another folder, replace the run (--overwrite; overwrite: true in the library), or go on with one that was stopped (--resume)."`,
    );
    const before = await readdir(path);
    (await prepareRunDirectory(path, { overwrite: true })).close();
    expect(await readdir(path)).toEqual(before);
  });

  test("overwriting removes the old run with its leftovers, and nothing else, when the first result comes", async () => {
    const path = await finished("a");
    await writeFile(join(path, "model.onnx.1234.5.tmp"), "left by a process that was killed");
    await writeFile(join(path, "notes.txt"), "mine");
    const directory = await prepareRunDirectory(path, { overwrite: true });
    directory.recordEpoch(epoch(1), contents().config);
    directory.close();
    expect((await readdir(path)).sort()).toEqual(["config.json", "metrics.jsonl", "notes.txt"]);
    expect(await complaint(prepareRunDirectory(path))).toMatchInlineSnapshot(
      `"run directory "BASE/a": the folder already holds a run that was not finished. Choose another folder, replace the run (--overwrite; overwrite: true in the library), or go on with one that was stopped (--resume)."`,
    );
    await withDirectory(prepareRunDirectory(path, { overwrite: true }), (next) => next.finish(contents()));
    expect((await readRun(path)).report).toEqual(REPORT);
  });

  test("a run that was killed while it wrote its first file can be overwritten", async () => {
    await writeFile(join(base, "config.json.77.1.tmp"), "{");
    (await prepareRunDirectory(base, { overwrite: true })).close();
  });
});

describe("heatmaps.bin", () => {
  const path = (): string => join(base, "a");
  const file = (): string => join(path(), "heatmaps.bin");
  const record = (directory: RunDirectory, epochs: readonly number[]): void => {
    for (const number of epochs) directory.recordEpoch(epoch(number), contents().config, heatmaps(number));
  };
  const begun = (epochs: readonly number[]): Promise<void> =>
    withDirectory(prepareRunDirectory(path()), (directory) => {
      record(directory, epochs);
    });
  /** Goes on from a checkpoint after so many epochs, for one more. */
  const resumed = async (epochs: number): Promise<void> => {
    const metrics = Array.from({ length: epochs }, (_, i) => epoch(i + 1));
    await withDirectory(reopened(path()), (directory) =>
      directory.checkpoint({ tensors: new Map(), metrics, seconds: 1 }),
    );
    await withDirectory(reopened(path()), (directory) => {
      record(directory, [epochs + 1]);
    });
  };

  test("grows by an epoch at a time, and goes back to a checkpoint's", async () => {
    await begun([1, 2, 3]);
    expect((await readHeatmapHeader(file())).epochs).toBe(3);
    const whole = await readFile(file());
    await resumed(2);
    expect(await readFile(file())).toEqual(whole);
    expect(await readHeatmap(file(), 3)).toEqual(heatmaps(3));
  });

  test("begins anew with the first epoch, and ends for good where epochs are missing", async () => {
    await begun([1, 2]);
    await resumed(0);
    expect((await readHeatmapHeader(file())).epochs).toBe(1);
    await resumed(2);
    expect(await readdir(path())).not.toContain("heatmaps.bin");
  });

  test("is not there without masks, nor in a run whose first epochs are not known", async () => {
    const { heatmaps: all, ...rest } = contents();
    const directory = await prepareRunDirectory(path());
    await directory.finish({ ...rest, heatmaps: { epochs: all.epochs.slice(1), result: all.result } });
    expect(await readdir(path())).not.toContain("heatmaps.bin");
    const dense = await prepareRunDirectory(join(base, "dense"));
    dense.recordEpoch({ ...epoch(1), layers: [] }, rest.config, []);
    await dense.finish({ ...rest, heatmaps: { epochs: [[], []], result: [] } });
    expect(await readdir(join(base, "dense"))).not.toContain("heatmaps.bin");
  });
});

describe("readRun", () => {
  test("gives back what was written", async () => {
    const { model, masked, heatmaps, ...rest } = contents();
    const path = await finished("a");
    const run = await readRun(path);
    const modelPath = join(path, "model.onnx");
    expect({ ...run }).toEqual({ ...rest, path, modelPath, maskedPath: modelPath });
    expect(masked).toBe(model);
    expect(await readHeatmap(join(path, "heatmaps.bin"), 2)).toEqual(heatmaps.result);
    expect((await loadModel(run.modelPath)).graph.nodes).toEqual(model.graph.nodes);
    expect((await readdir(path)).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });

  test("reads runs of versions without mask metrics", async () => {
    const path = await finished("a");
    const old = async (name: string, change: (value: Record<string, unknown>) => object): Promise<void> => {
      const lines = (await readFile(join(path, name), "utf8")).trim();
      const values = name.endsWith("l") ? lines.split("\n") : [lines];
      const changed = values.map((line) =>
        JSON.stringify(change(JSON.parse(line) as Record<string, unknown>)),
      );
      await writeFile(join(path, name), `${changed.join("\n")}\n`);
    };
    await old("metrics.jsonl", ({ layers, ...line }) => (expect(layers).toHaveLength(1), line));
    const [layer] = REPORT.layers;
    const { name, weight, granularity, groups, n, k, weights, kept, confidence, diversity } = layer;
    const before = { name, weight, granularity, groups, n, k, weights, kept, confidence, diversity };
    await old("report.json", (report) => ({ ...report, layers: [before] }));
    const run = await readRun(path);
    expect(run.metrics[0].layers).toBeUndefined();
    expect(run.report.layers).toEqual([before]);
  });

  test("finds the model with the masks' shapes beside one whose maps were removed", async () => {
    await withDirectory(prepareRunDirectory(join(base, "maps")), (directory) =>
      directory.finish({ ...contents(), masked: zoo.lenet300100({ seed: 2 }) }),
    );
    const { path, modelPath, maskedPath } = await readRun(join(base, "maps"));
    expect([modelPath, maskedPath]).toEqual([join(path, "model.onnx"), join(path, "model.masked.onnx")]);
    await withDirectory(prepareRunDirectory(path, { overwrite: true }), (again) => again.finish(contents()));
    expect((await readRun(path)).maskedPath).toBe(modelPath);
  });

  test("says what is missing", async () => {
    await mkdir(join(base, "empty"));
    const directory = await prepareRunDirectory(join(base, "unfinished"));
    directory.recordEpoch(epoch(1), contents().config);
    expect(await complaint(readRun(join(base, "none")))).toMatchInlineSnapshot(
      `"run directory "BASE/none": can't read it: there is no such folder."`,
    );
    expect(await complaint(readRun(join(base, "empty")))).toMatchInlineSnapshot(
      `"run directory "BASE/empty": expected a folder that kofn train has written. Missing: model.onnx, report.json, masks.safetensors, metrics.jsonl, config.json."`,
    );
    expect(await complaint(readRun(join(base, "unfinished")))).toMatchInlineSnapshot(
      `"run directory "BASE/unfinished": the run in it was not finished. Missing: model.onnx, report.json, masks.safetensors."`,
    );
  });

  test("says what is damaged", async () => {
    const path = await finished("a");
    const damaged = async (name: string, damage: (text: string) => string): Promise<string> => {
      const file = join(path, name);
      const sound = await readFile(file, "latin1");
      await writeFile(file, damage(sound), "latin1");
      const message = await complaint(readRun(path));
      await writeFile(file, sound, "latin1");
      return message;
    };
    const half = (text: string): string => text.slice(0, text.length / 2);
    expect(
      await damaged("report.json", (text) => text.replace('"weights": 266200', '"weights": "many"')),
    ).toMatchInlineSnapshot(
      `"BASE/a/report.json: totals.weights: Invalid input: expected number, received string."`,
    );
    expect(await damaged("report.json", half)).toContain(
      "BASE/a/report.json: expected JSON, but it is damaged",
    );
    expect(await damaged("config.json", (text) => text.replace('"epochs"', '"epoch"'))).toMatchInlineSnapshot(
      `"BASE/a/config.json: epoch: unknown key "epoch"."`,
    );
    expect(
      await damaged("metrics.jsonl", (text) => text.replace('"step":20', '"step":null')),
    ).toMatchInlineSnapshot(`"BASE/a/metrics.jsonl:2: step: Invalid input: expected number, received null."`);
    expect(await damaged("metrics.jsonl", (text) => text.slice(0, -9))).toContain(
      "BASE/a/metrics.jsonl:2: expected JSON",
    );
    expect(await damaged("masks.safetensors", half)).toContain(
      "BASE/a/masks.safetensors: expected a safetensors file",
    );
    expect(await damaged("masks.safetensors", (text) => text.replace('"U8"', '"I8"'))).toMatchInlineSnapshot(
      `"BASE/a/masks.safetensors: expected masks of type uint8, but that of "fc1.weight" is int8."`,
    );
    await rm(join(path, "report.json"));
    await mkdir(join(path, "report.json"));
    expect(await complaint(readRun(path))).toMatchInlineSnapshot(
      `"BASE/a/report.json: can't read the file: EISDIR: illegal operation on a directory, read."`,
    );
  });
});
