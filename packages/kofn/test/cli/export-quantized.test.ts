/** `kofn export --format qdq` as a process: runs that were trained quantized, and float ones that are quantized now. */

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import type { LayerSize } from "@kofn/format/run/types.js";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { FusedKernel } from "../../src/files/fused-kernels.js";
import { loadModel } from "../../src/files/models.js";
import { largestDifference, runModel, uniform } from "../import/support.js";
import { kofn, type Result, writeDigits } from "./process.js";

let base: string;
const cli = (...args: string[]): Promise<Result> => kofn(args, { cwd: base });

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), "kofn-export-quantized-"));
  await writeDigits(join(base, "digits"), 200, 60);
  const data = "--data mnist --data-dir digits --batch 20 --threads 1 --epochs 1".split(" ");
  const pruned = ["train", "lenet-300-100", ...data, "--prune", "fc1=weights:40", "--prune", "fc2=maps:60"];
  const [float, quantized] = await Promise.all([
    cli(...pruned, "--out", "float"),
    cli(...pruned, "--quantize", "*=int4", "--quantize", "fc3=ternary", "--out", "quantized"),
  ]);
  expect([float.code, quantized.code], float.stderr + quantized.stderr).toEqual([0, 0]);
}, 120_000);
afterAll(async () => {
  await rm(base, { recursive: true, force: true });
});

interface Exported {
  readonly bytes: number;
  readonly kernels: readonly FusedKernel[];
  readonly exempt: readonly string[];
}

test("of a run that was trained quantized, computes what its model computes, in a small file", async () => {
  const { code, stdout, stderr } = await cli(
    "export",
    "quantized",
    "--format",
    "qdq",
    "-o",
    "q.onnx",
    "--json",
  );
  expect(code, stderr).toBe(0);
  const { bytes, kernels } = JSON.parse(stdout) as Exported;
  expect(kernels.map(({ layer }) => layer)).toEqual(["fc1", "fc2", "fc3"]);
  expect(bytes).toBeLessThan(150_000);
  const [whole, small] = await Promise.all(
    ["quantized/model.onnx", "q.onnx"].map((path) => loadModel(join(base, path))),
  );
  const images = uniform([3, 1, 28, 28], 1);
  const [expected, actual] = await Promise.all([runModel(whole, images), runModel(small, images)]);
  const [logits] = whole.graph.outputs;
  expect(largestDifference(actual.get(logits.name), expected.get(logits.name))).toBeLessThan(1e-5);
});

test("the report and inspect say bits and bytes", async () => {
  const report = JSON.parse(await readFile(join(base, "quantized/report.json"), "utf8")) as {
    readonly sizes: readonly LayerSize[];
    readonly totals: { readonly bytesPacked: number; readonly bytesDense: number };
  };
  const [fc1, fc2, fc3] = report.sizes;
  expect(fc1).toMatchObject({
    format: "int4",
    bits: 4,
    kept: 12_000,
    bytes: { weights: 6000, scales: 1200 },
  });
  expect(fc2).toMatchObject({
    format: "int4",
    kept: 18_000,
    bytes: { weights: 9000, indices: 0, scales: 240 },
  });
  expect(fc3).toMatchObject({ format: "ternary", bits: 2, kept: 600, bytes: { weights: 150, scales: 40 } });
  expect(report.totals.bytesPacked).toBeLessThan(report.totals.bytesDense / 15);
  const { stdout } = await cli("inspect", "quantized");
  expect(stripVTControlCharacters(stdout)).toMatch(/fc3 +ternary +2 +600/);
});

test("of a float run, quantizes after training and says which kernels onnxruntime takes", async () => {
  const spec = [
    "--quantize",
    "*=int8",
    "--quantize",
    "activations=uint8",
    "--calibrate",
    "mse",
    "--threads",
    "1",
  ];
  const { code, stdout, stderr } = await cli(
    "export",
    "float",
    "--format",
    "qdq",
    ...spec,
    "-o",
    "ptq.onnx",
    "--json",
  );
  expect(code, stderr).toBe(0);
  const { kernels, exempt } = JSON.parse(stdout) as Exported;
  expect(exempt).toEqual(["fc1", "fc3"]);
  expect(kernels).toEqual([
    { layer: "fc1", reason: "what it reads is not quantized" },
    { layer: "fc2", op: "QGemm" },
    { layer: "fc3", reason: "what it reads is not quantized" },
  ]);
  const evaluated = await Promise.all(
    ["float/model.onnx", "ptq.onnx"].map((path) =>
      cli("eval", path, "--data", "mnist", "--data-dir", "digits", "--json"),
    ),
  );
  const [before, after] = evaluated.map((one) => (JSON.parse(one.stdout) as { loss: number }).loss);
  expect(Math.abs(after - before)).toBeLessThan(0.05);
});

test.each([
  [["float", "--format", "qdq"], /was not trained quantized. Say what to quantize with --quantize/],
  [["float", "--format", "qdq", "--quantize", "fc9=int8"], /no layer with weights matches "fc9"/],
  [["float", "--format", "qdq", "--quantize", "*=int9"], /unknown format "int9"/],
  [
    ["float", "--format", "qdq", "--calibrate", "best"],
    /--calibrate: expected minmax, percentile, mse, got "best"/,
  ],
  [["quantized", "--format", "qdq", "--quantize", "*=int8"], /was trained quantized.*Leave --quantize out/],
  [["float", "--quantize", "*=int8"], /go with --format qdq/],
  [["float", "--format", "tflite"], /--format: expected onnx, qdq, masks, c, mem, got "tflite"/],
])("%j is refused", async (args, message) => {
  const { code, stderr } = await cli("export", ...args, "-o", "no.onnx");
  expect(code).toBe(2);
  expect(stripVTControlCharacters(stderr)).toMatch(message);
});
