/** `kofn pack` and what reads its files, as processes: a run goes in and comes back byte for byte. */

import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Report } from "@kofn/format/run/types.js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadModel } from "../../src/files/models.js";
import type { Accounting } from "../../src/pack/accounting.js";
import { largestDifference, runModel, uniform } from "../import/support.js";
import { kofn, type Result, writeDigits } from "./process.js";

let base: string;
const cli = (...args: string[]): Promise<Result> => kofn(args, { cwd: base });
const read = (path: string): Promise<Buffer> => readFile(join(base, path));
const reportOf = async (run: string): Promise<Report> =>
  JSON.parse((await read(`${run}/report.json`)).toString()) as Report;

const RUNS = ["float", "int4", "maps"] as const;

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), "kofn-pack-"));
  await writeDigits(join(base, "digits"), 200, 60);
  const data = "--data mnist --data-dir digits --batch 20 --threads 1 --epochs 1".split(" ");
  const pruned = ["train", "lenet-300-100", ...data, "--prune", "fc1=weights:40"];
  const runs = [
    [...pruned, "--prune", "fc2=weights:30", "--out", "float"],
    [...pruned, "--quantize", "*=int4", "--quantize", "activations=uint8", "--out", "int4"],
    [...pruned, "--prune", "fc2=maps:60", "--quantize", "fc1=binary", "--out", "maps"],
  ];
  for (const { code, stderr } of await Promise.all(runs.map((run) => cli(...run)))) {
    expect(code, stderr).toBe(0);
  }
}, 120_000);
afterAll(async () => {
  await rm(base, { recursive: true, force: true });
});

describe.each(RUNS)("the run %s", (run) => {
  test("packs into as many bytes as its report says, and comes back byte for byte", async () => {
    const packed = await cli("pack", run, "-o", `${run}.kofn`, "--json");
    expect(packed.code, packed.stderr).toBe(0);
    const { size } = await stat(join(base, `${run}.kofn`));
    const { totals, sizes = [] } = await reportOf(run);
    expect(totals.bytesPacked).toBe(size);
    const { layers, total } = JSON.parse(packed.stdout) as Accounting;
    expect(total.file).toBe(size);
    expect(total.file).toBeLessThan(1.03 * total.limit);
    for (const { name, positions, positionsLimit } of layers) {
      expect(positions).toBeLessThanOrEqual(1.01 * positionsLimit);
      expect(sizes.find((layer) => layer.name === name)?.bytes.indices).toBe(positions);
    }
    const exported = await cli("export", `${run}.kofn`, "--format", "onnx", "-o", `${run}.onnx`);
    expect(exported.code, exported.stderr).toBe(0);
    expect(Buffer.compare(await read(`${run}.onnx`), await read(`${run}/model.onnx`))).toBe(0);
  });

  test("packs into ONNX that computes the same", async () => {
    const packed = await cli("pack", run, "--format", "onnx", "-o", `${run}-packed.onnx`, "--json");
    expect(packed.code, packed.stderr).toBe(0);
    const { bytes, predictedBytes } = JSON.parse(packed.stdout) as { bytes: number; predictedBytes: number };
    expect(Math.abs(predictedBytes / bytes - 1)).toBeLessThan(0.02);
    expect(bytes).toBeLessThan((await stat(join(base, run, "model.onnx"))).size / 5);
    const images = uniform([8, 1, 28, 28], 1);
    const [expected, actual] = await Promise.all(
      [`${run}/model.onnx`, `${run}-packed.onnx`].map(async (path) =>
        runModel(await loadModel(join(base, path)), images),
      ),
    );
    expect(largestDifference(actual.get("logits"), expected.get("logits"))).toBe(0);
  });
});

test("eval and inspect read a .kofn file", async () => {
  await cli("pack", "float", "-o", "e.kofn");
  const [file, run, inspected, text] = await Promise.all([
    cli("eval", "e.kofn", "--data-dir", "digits", "--json"),
    cli("eval", "float", "--json"),
    cli("inspect", "e.kofn", "--json"),
    cli("inspect", "e.kofn"),
  ]);
  const { accuracy, loss } = JSON.parse(file.stdout) as { accuracy: number; loss: number };
  expect(JSON.parse(run.stdout)).toMatchObject({ accuracy, loss });
  expect(JSON.parse(inspected.stdout)).toMatchObject({
    provenance: { data: "mnist", seed: 1, accuracy },
    labels: ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
    layers: [{ name: "fc1", n: 784, k: [40, 40] }, { name: "fc2", n: 300, k: [30, 30] }, { name: "fc3" }],
  });
  expect(text.stdout).toMatch(/fc1 +float32 +40 of 784 +range/);
});

test("masks alone come back as the run has them", async () => {
  await cli("pack", "float", "-o", "m.kofn");
  for (const source of ["m.kofn", "float"]) {
    const { code, stderr } = await cli("export", source, "--format", "masks", "-o", "m.safetensors");
    expect(code, stderr).toBe(0);
    expect(Buffer.compare(await read("m.safetensors"), await read("float/masks.safetensors"))).toBe(0);
  }
});

test("masks alone can be trained with, and stay as they are", async () => {
  const args =
    "train lenet-300-100 --data mnist --data-dir digits --batch 20 --threads 1 --epochs 1 --seed 2".split(
      " ",
    );
  const pruned = [...args, "--prune", "fc1=weights:40", "--masks", "float/masks.safetensors"];
  const [same, other] = await Promise.all([
    cli(...pruned, "--prune", "fc2=weights:30", "--out", "again"),
    cli(...pruned, "--prune", "fc2=weights:31", "--out", "other"),
  ]);
  expect(same.code, same.stderr).toBe(0);
  expect(Buffer.compare(await read("again/masks.safetensors"), await read("float/masks.safetensors"))).toBe(
    0,
  );
  expect(Buffer.compare(await read("again/model.onnx"), await read("float/model.onnx"))).not.toBe(0);
  expect(other.code).toBe(2);
  expect(other.stderr).toContain(
    "is to keep exactly 31 of 300 in each group, but the mask keeps 30 in group 0",
  );
});

test("a model with zeros packs without its masks, and a .kofn file can be packed anew", async () => {
  const plain = await cli("pack", "float/model.onnx", "-o", "plain.kofn");
  expect(plain.code, plain.stderr).toBe(0);
  expect((await stat(join(base, "plain.kofn"))).size).toBeLessThan(80_000);
  const smaller = await cli("pack", "plain.kofn", "-o", "smaller.kofn", "--entropy", "--values", "float16");
  expect(smaller.code, smaller.stderr).toBe(0);
  expect(smaller.stdout).toContain("largest error of a weight or bias");
  expect((await stat(join(base, "smaller.kofn"))).size).toBeLessThan(45_000);
});

test("what can't be is refused with exit code 2", async () => {
  await cli("pack", "float", "-o", "x.kofn");
  const bytes = await read("x.kofn");
  bytes[bytes.length - 100] ^= 1;
  await writeFile(join(base, "damaged.kofn"), bytes);
  await writeFile(join(base, "short.kofn"), bytes.subarray(0, 5000));
  const cases: readonly (readonly [RegExp, ...string[]])[] = [
    [/section "values" is damaged/, "inspect", "damaged.kofn"],
    [/cut short in section "masks"/, "export", "short.kofn", "-o", "y.onnx"],
    [
      /expected auto, bitmap, indices, range, got "best"/,
      "pack",
      "float",
      "-o",
      "y.kofn",
      "--positions",
      "best",
    ],
    [
      /--positions range and --entropy go with --format kofn/,
      "pack",
      "float",
      "-o",
      "y.onnx",
      "--format",
      "onnx",
      "--entropy",
    ],
    [/which have masks/, "export", "float/model.onnx", "--format", "masks", "-o", "y.safetensors"],
    [/there is no such file|no such file/, "pack", "nothing.onnx", "-o", "y.kofn"],
    [/no such file/, "eval", "nothing.kofn"],
  ];
  for (const [expected, ...args] of cases) {
    const { code, stderr } = await cli(...args);
    expect(stderr).toMatch(expected);
    expect(code, stderr).toBe(2);
  }
});
