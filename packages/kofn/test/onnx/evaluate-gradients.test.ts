/** The dialect's gradient operators against finite differences of the operators whose gradients they are, in float64. */

import { expect, test } from "vitest";
import { evaluateNode } from "../../src/onnx/evaluate/node.js";
import { relaxedMask } from "../../src/onnx/evaluate/sampler.js";
import { getInt, type Node } from "../../src/onnx/model.js";
import type { OpName } from "../../src/onnx/ops.js";
import { type Tensor, tensorFrom } from "../../src/onnx/tensor.js";
import { opCases } from "../support/ops.js";

const STEP = 1e-5;
const cases = [...opCases()];
const casesOf = (op: OpName) => cases.filter((candidate) => candidate.op === op);

type Forward = (x: Tensor) => readonly number[];

/** d(sum of dy * forward(x)) / dx by central differences. */
function differences(forward: Forward, x: Tensor, dy: readonly number[]): number[] {
  const values = x.numbers();
  const loss = (i: number, step: number) => {
    const moved = tensorFrom("float64", x.dims, values.with(i, values[i] + step));
    return forward(moved).reduce((sum, y, j) => sum + y * dy[j], 0);
  };
  return values.map((_, i) => (loss(i, STEP) - loss(i, -STEP)) / (2 * STEP));
}

function expectClose(actual: readonly number[], expected: readonly number[]): void {
  expect(actual.length).toBe(expected.length);
  for (const [i, value] of expected.entries()) {
    if (!(Math.abs(actual[i] - value) <= 1e-7 * (1 + Math.abs(value)))) {
      throw new Error(`element ${i}: ${actual[i]}, by finite differences ${value}`);
    }
  }
}

/** The operator whose gradient a node is: the same attributes, another name. */
function primal(node: Node, op: OpName): Node {
  return { ...node, op, domain: "", attributes: new Map(node.attributes) };
}

function present(inputs: readonly (Tensor | undefined)[]): Tensor[] {
  return inputs.filter((value) => value !== undefined);
}

const evaluate = (node: Node, ...inputs: readonly Tensor[]) => evaluateNode(node, inputs)[0].numbers();

test.each(casesOf("ReluGrad"))("$title", ({ node, inputs }) => {
  const [dy, y] = present(inputs);
  // Where Y = 0, X was negative: any negative number does.
  const x = tensorFrom(
    "float64",
    y.dims,
    y.numbers().map((value) => (value === 0 ? -1 : value)),
  );
  const relu = primal(node, "Relu");
  expectClose(
    evaluate(node, dy, y),
    differences((moved) => evaluate({ ...relu, inputs: ["x"] }, moved), x, dy.numbers()),
  );
});

test.each(casesOf("ConvGradInput"))("$title", ({ node, inputs }) => {
  const [dy, w] = present(inputs);
  const gradient = evaluateNode(node, [dy, w])[0];
  const conv = primal(node, "Conv");
  const x = tensorFrom(
    "float64",
    gradient.dims,
    gradient.numbers().map((_, i) => Math.sin(i)),
  );
  expectClose(
    gradient.numbers(),
    differences((moved) => evaluate(conv, moved, w), x, dy.numbers()),
  );
});

test.each(casesOf("ConvGradWeight"))("$title", ({ node, inputs }) => {
  const [dy, x] = present(inputs);
  const gradient = evaluateNode(node, [dy, x])[0];
  const conv = primal(node, "Conv");
  const w = tensorFrom(
    "float64",
    gradient.dims,
    gradient.numbers().map((_, i) => Math.sin(i)),
  );
  expectClose(
    gradient.numbers(),
    differences((moved) => evaluate(conv, x, moved), w, dy.numbers()),
  );
});

test.each(casesOf("MaxPoolGrad"))("$title", ({ node, inputs }) => {
  const [dy, x, y] = present(inputs);
  const pool = primal(node, "MaxPool");
  expectClose(
    evaluate(node, dy, x, y),
    differences((moved) => evaluate(pool, moved), x, dy.numbers()),
  );
});

test("MaxPoolGrad: ties go to the first maximum", () => {
  const [{ node }] = casesOf("MaxPoolGrad");
  const x = tensorFrom("float64", [1, 1, 2, 4], [1, 3, 2, 2, 3, 3, 2, 2]);
  const y = tensorFrom("float64", [1, 1, 1, 2], [3, 2]);
  const dy = tensorFrom("float64", [1, 1, 1, 2], [5, 7]);
  expect(evaluate(node, dy, x, y)).toEqual([0, 5, 7, 0, 0, 0, 0, 0]);
});

test.each(casesOf("AveragePoolGrad"))("$title", ({ node, inputs }) => {
  const [dy] = present(inputs);
  const gradient = evaluateNode(node, [dy])[0];
  const pool = primal(node, "AveragePool");
  const x = tensorFrom(
    "float64",
    gradient.dims,
    gradient.numbers().map((_, i) => Math.sin(i)),
  );
  expectClose(
    gradient.numbers(),
    differences((moved) => evaluate(pool, moved), x, dy.numbers()),
  );
});

test.each(casesOf("SoftmaxCrossEntropyGrad"))("$title", ({ node, inputs }) => {
  const [logits, labels] = present(inputs);
  const loss: Node = { ...node, op: "SoftmaxCrossEntropy" };
  expectClose(
    evaluate(node, logits, labels),
    differences((moved) => evaluate(loss, moved, labels), logits, [1]),
  );
});

test.each(casesOf("FakeQuantizeGrad"))("$title", ({ node, inputs }) => {
  const [upstream, x, scale] = present(inputs);
  const forward: Node = { ...node, op: "FakeQuantize", inputs: ["x", "scale"], outputs: ["y"] };
  const [low, high] = [getInt(node, "low", 0), getInt(node, "high", 0)];
  const channels = scale.size;
  const axis = (getInt(node, "axis", 0) + x.dims.length) % x.dims.length;
  const inner = x.dims.slice(axis + 1).reduce((size, dim) => size * dim, 1);
  const channelOf = (i: number): number => (channels === 1 ? 0 : Math.floor(i / inner) % channels);
  const clamped = (value: number, s: number): number => Math.max(low, Math.min(high, value / s));
  // To the straight-through estimator, rounding shifts by a constant: scale (clamp(x / scale) + shift).
  const [xs, scales] = [x.numbers(), scale.numbers()];
  const shifts = evaluate(forward, x, scale).map((y, i) => {
    const s = scales[channelOf(i)];
    return y / s - clamped(xs[i], s);
  });
  const surrogate = (values: readonly number[], steps: readonly number[]): number[] =>
    values.map((value, i) => {
      const s = steps[channelOf(i)];
      return s * (clamped(value, s) + shifts[i]);
    });
  const [dX, dScale] = evaluateNode(node, [upstream, x, scale]).map((gradient) => gradient.numbers());
  const dY = upstream.numbers();
  expectClose(
    dX,
    differences((moved) => surrogate(moved.numbers(), scales), x, dY),
  );
  expectClose(
    dScale,
    differences((moved) => surrogate(xs, moved.numbers()), scale, dY),
  );
});

test.each(casesOf("FakeBinarizeGrad"))("$title", ({ node, inputs }) => {
  const [upstream, x, scale] = present(inputs);
  const forward: Node = { ...node, op: "FakeBinarize", inputs: ["x", "scale"], outputs: ["y"] };
  const [dX, dScale] = evaluateNode(node, [upstream, x, scale]).map((gradient) => gradient.numbers());
  const dY = upstream.numbers();
  // The scale is differentiable; of the sign, the derivative is that of hard-tanh.
  expectClose(
    dScale,
    differences((moved) => evaluate(forward, x, moved), scale, dY),
  );
  const magnitudes = evaluate(forward, x, scale).map(Math.abs);
  const hardTanh: Forward = (moved) =>
    moved.numbers().map((value, i) => magnitudes[i] * Math.max(-1, Math.min(1, value)));
  expectClose(dX, differences(hardTanh, x, dY));
});

test.each(casesOf("KofNGrad"))("$title", ({ node, inputs }) => {
  const [upstream, phi, noise, tau] = present(inputs);
  const [rows, n] = phi.dims;
  const shift = noise.numbers();
  const relaxed: Forward = (moved) => {
    const z = moved.numbers().map((value, i) => value + shift[i]);
    return Array.from({ length: rows }, (_, row) => [
      ...relaxedMask(
        Float64Array.from(z.slice(row * n, (row + 1) * n)),
        getInt(node, "k", 0),
        tau.numbers()[0],
      ),
    ]).flat();
  };
  const expected = differences(relaxed, phi, upstream.numbers());
  const actual = evaluate(node, upstream, phi, noise, tau);
  // Third derivatives grow as tau^-3, and with them the error of the differences.
  for (const [i, value] of expected.entries())
    expect(Math.abs(actual[i] - value)).toBeLessThan(1e-6 * (1 + Math.abs(value)));
});
