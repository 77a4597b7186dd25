/** The sampler's definition against PyTorch's automatic differentiation of the published formulation (float64). */

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { evaluateNode } from "../../src/onnx/evaluate/node.js";
import { relaxedMask } from "../../src/onnx/evaluate/sampler.js";
import { int, type Node } from "../../src/onnx/model.js";
import { tensorFrom } from "../../src/onnx/tensor.js";

interface Reference {
  readonly rows: number;
  readonly n: number;
  readonly k: number;
  readonly tau: number;
  readonly beta: number;
  readonly phi: readonly number[][];
  readonly uniform: readonly number[][];
  readonly upstream: readonly number[][];
  readonly mask: readonly number[][];
  readonly relaxed: readonly number[][];
  readonly gradient: readonly number[][];
}

const reference = JSON.parse(
  readFileSync(new URL("evaluate-sampler.json", import.meta.url), "utf8"),
) as Reference;
const { rows, n, k, beta } = reference;

const matrix = (values: readonly number[][]) =>
  tensorFrom("float64", [values.length, values[0].length], values.flat());
const phi = matrix(reference.phi);
const noise = matrix(reference.uniform.map((row) => row.map((u) => -beta * Math.log(-Math.log(u)))));
const tau = tensorFrom("float64", [], [reference.tau]);

function sampler(op: "KofN" | "KofNGrad", draws: number): Node {
  return {
    op,
    domain: "kofn",
    name: "",
    inputs: [],
    outputs: ["y"],
    attributes: new Map([["k", int(draws)]]),
  };
}

test("hard mask", () => {
  expect(evaluateNode(sampler("KofN", k), [phi, noise, tau])[0].numbers()).toEqual(reference.mask.flat());
});

test("relaxed mask", () => {
  const [a, b] = [phi.numbers(), noise.numbers()];
  for (let row = 0; row < rows; row++) {
    const z = Float64Array.from({ length: n }, (_, i) => a[row * n + i] + b[row * n + i]);
    const mask = relaxedMask(z, k, reference.tau);
    for (const [i, value] of reference.relaxed[row].entries()) expect(mask[i]).toBeCloseTo(value, 12);
  }
});

test("gradient", () => {
  const inputs = [matrix(reference.upstream), phi, noise, tau];
  const gradient = evaluateNode(sampler("KofNGrad", k), inputs)[0].numbers();
  for (const [i, value] of reference.gradient.flat().entries()) expect(gradient[i]).toBeCloseTo(value, 12);
});

test("ties go to the lower index, and exactly k units are kept", () => {
  const flat = tensorFrom("float32", [1, 5], [0.5, 1, 0.5, 1, 0.5]);
  const none = tensorFrom("float32", [1, 5], [0, 0, 0, 0, 0]);
  const one = tensorFrom("float32", [], [1]);
  const mask = (count: number) => evaluateNode(sampler("KofN", count), [flat, none, one])[0].numbers();
  expect(mask(1)).toEqual([0, 1, 0, 0, 0]);
  expect(mask(3)).toEqual([1, 1, 0, 1, 0]);
  expect(mask(4)).toEqual([1, 1, 1, 1, 0]);
  expect(mask(5)).toEqual([1, 1, 1, 1, 1]);
});

test("stays finite for cold temperatures, wide logits and k = n", () => {
  const wide = tensorFrom("float64", [1, 4], [0, 50, -50, 25]);
  const zero = tensorFrom("float64", [1, 4], [0, 0, 0, 0]);
  const upstream = tensorFrom("float64", [1, 4], [1, -2, 3, -4]);
  const cold = tensorFrom("float64", [], [0.05]);
  for (const count of [1, 2, 3, 4]) {
    const gradient = evaluateNode(sampler("KofNGrad", count), [upstream, wide, zero, cold])[0].numbers();
    expect(gradient.every(Number.isFinite)).toBe(true);
    const relaxed = relaxedMask(Float64Array.of(0, 50, -50, 25), count, 0.05);
    expect(relaxed.reduce((sum, p) => sum + p)).toBeCloseTo(count, 12);
  }
});
