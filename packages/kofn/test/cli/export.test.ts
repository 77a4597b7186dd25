/** `kofn export` as a process: models of runs without what their masks leave unused, and models of other programs. */

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { loadModel } from "../../src/files/models.js";
import { largestDifference, runModel, uniform } from "../import/support.js";
import { kofn, type Result, writeDigits } from "./process.js";

let base: string;
const cli = (...args: string[]): Promise<Result> => kofn(args, { cwd: base });

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), "kofn-export-"));
  await writeDigits(join(base, "digits"), 200, 60);
  const data = [
    "--data",
    "mnist",
    "--data-dir",
    "digits",
    "--batch",
    "20",
    "--threads",
    "1",
    "--epochs",
    "1",
  ];
  const [kernels, maps] = await Promise.all([
    cli("train", "lenet-5", ...data, "--prune", "conv2=kernels:2,share:10", "--out", "kernels"),
    cli("train", "lenet-5", ...data, "--prune", "conv2=maps:20", "--out", "maps"),
  ]);
  expect([kernels.code, maps.code], kernels.stderr + maps.stderr).toEqual([0, 0]);
});
afterAll(async () => {
  await rm(base, { recursive: true, force: true });
});

interface Exported {
  readonly parameters: number;
  readonly shapes: readonly { name: string; before: number[]; after: number[] }[];
}

test("of a run with masks of kernels, maps that no kernel reads are cut out, and the outputs stay", async () => {
  const { code, stdout } = await cli("export", "kernels", "-o", "small.onnx", "--json");
  expect(code).toBe(0);
  const { parameters, shapes } = JSON.parse(stdout) as Exported;
  const [conv1, conv2] = shapes;
  // Five groups of ten maps read two kernels each: ten maps of conv1 at most.
  const left = conv1.after[0];
  expect(left).toBeLessThanOrEqual(10);
  expect(conv1).toMatchObject({ name: "conv1", before: [20, 1, 5, 5], after: [left, 1, 5, 5] });
  expect(conv2).toMatchObject({ before: [50, 20, 5, 5], after: [50, left, 5, 5] });
  expect(parameters).toBe(431_080 - (20 - left) * (26 + 50 * 25));
  const [whole, small] = await Promise.all(
    ["kernels/model.onnx", "small.onnx"].map((path) => loadModel(join(base, path))),
  );
  expect(small.graph.initializers.get("conv1.bias")?.dims).toEqual([left]);
  const images = uniform([3, 1, 28, 28], 1);
  const [before, after] = await Promise.all([whole, small].map((model) => runModel(model, images)));
  expect(largestDifference(after.get("logits"), before.get("logits"))).toBeLessThan(1e-5);
});

test("prints the table of shapes", async () => {
  const { code, stdout } = await cli("export", "kernels", "-o", "again.onnx");
  expect(code).toBe(0);
  const lines = stripVTControlCharacters(stdout).split("\n");
  expect(lines[0]).toMatch(
    /^again\.onnx: [\d.]+ MB, \d+ nodes, [\d,]+ parameters, operator set 21 \(was 21\)$/,
  );
  expect(lines[2]).toMatch(/^layer +shape +now +weights +now +MACs +now$/);
  expect(lines[3]).toMatch(/^conv1 +\[20, 1, 5, 5\] +\[\d+, 1, 5, 5\] /);
  expect(lines[7]).toMatch(/^total /);
});

test("of a run with maps it writes the model that the run directory has", async () => {
  const { code, stdout } = await cli("export", "maps", "-o", "maps.onnx", "--json");
  expect(code).toBe(0);
  expect((JSON.parse(stdout) as Exported).shapes[1].after.slice(0, 1)).toEqual([20]);
  const files = ["maps/model.onnx", "maps.onnx"].map((path) => readFile(join(base, path)));
  const [own, exported] = await Promise.all(files);
  expect(exported.equals(own)).toBe(true);
});

test("refuses a run that is not there, and a folder to write", async () => {
  const [missing, folder] = await Promise.all([
    cli("export", "digits", "-o", "x.onnx"),
    cli("export", "kernels", "-o", "maps"),
  ]);
  expect([missing.code, folder.code]).toEqual([2, 2]);
  expect(missing.stderr).toContain('run directory "digits"');
  expect(folder.stderr).toContain('expected a file, but "maps" is a folder');
});
