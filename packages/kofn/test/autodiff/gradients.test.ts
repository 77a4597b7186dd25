/** Every gradient rule against central finite differences in float64. */

import { describe, expect, test } from "vitest";
import { differentiate } from "../../src/autodiff/differentiate.js";
import { RULES } from "../../src/autodiff/rules.js";
import { InputError } from "../../src/errors.js";
import { Builder } from "../../src/onnx/builder.js";
import { evaluateGraph } from "../../src/onnx/evaluate.js";
import { evaluateNode } from "../../src/onnx/evaluate/node.js";
import { emptyGraph, type Node } from "../../src/onnx/model.js";
import { KOFN_OPS, ONNX_OPS, type OpName } from "../../src/onnx/ops.js";
import { type Tensor, tensorFrom } from "../../src/onnx/tensor.js";
import { Random } from "../../src/random.js";
import { type OpCase, opCases } from "../support/ops.js";

const STEP = 1e-5;
const SEED = 11;

/** One weight per element of each floating-point output: the loss is their weighted sum. */
function lossWeights(outputs: readonly Tensor[]): (Tensor<"float64"> | undefined)[] {
  const random = new Random(SEED, "loss weights");
  return outputs.map(({ dtype, dims, size }) =>
    dtype === "float64"
      ? tensorFrom(
          "float64",
          dims,
          Float64Array.from({ length: size }, () => random.normal()),
        )
      : undefined,
  );
}

function loss(node: Node, inputs: readonly (Tensor | undefined)[], weights: (Tensor | undefined)[]): number {
  return evaluateNode(node, inputs).reduce((sum, output, i) => {
    const factors = weights[i]?.numbers();
    if (factors === undefined) return sum;
    return output.numbers().reduce((total, y, j) => total + y * factors[j], sum);
  }, 0);
}

function inputOf(one: OpCase, position: number): Tensor {
  const input = one.inputs[position];
  if (input === undefined) throw new Error(`${one.title}: input ${position} is left out`);
  return input;
}

function byDifferences(one: OpCase, position: number, weights: (Tensor | undefined)[]): number[] {
  const x = inputOf(one, position);
  const values = x.numbers();
  const at = (i: number, step: number): number => {
    const moved = tensorFrom("float64", x.dims, values.with(i, values[i] + step));
    return loss(one.node, one.inputs.with(position, moved), weights);
  };
  return values.map((_, i) => (at(i, STEP) - at(i, -STEP)) / (2 * STEP));
}

/** The gradients of the weighted sum, by the rule. Inputs that are not differentiable are constants, as in models. */
function byRule(one: OpCase, weights: (Tensor | undefined)[]): Map<number, Tensor | undefined> {
  const b = new Builder(emptyGraph("check"));
  const feeds = new Map<string, Tensor>();
  one.node.inputs.forEach((name, i) => {
    const value = one.inputs[i];
    if (value === undefined) return;
    if (one.differentiable.includes(i)) {
      b.input(name, value.dtype, value.dims);
      feeds.set(name, value);
    } else b.initializer(name, value);
  });
  b.push({ ...one.node });
  const terms = one.node.outputs.flatMap((output, i) => {
    const factors = weights[i];
    if (factors === undefined) return [];
    const product = b.mul(output, b.initializer(`weights${i}`, factors));
    const axes = factors.dims.map((_, axis) => axis);
    return [axes.length === 0 ? product : b.sum(product, axes, false)];
  });
  const total = b.op("Sum", terms, {}, "loss");
  const gradients = differentiate(
    b,
    total,
    one.differentiable.map((i) => one.node.inputs[i]),
  );
  const wanted = [...gradients.values()];
  const values = evaluateGraph(b.graph, feeds, wanted);
  return new Map(one.differentiable.map((i) => [i, values.get(gradients.get(one.node.inputs[i]) ?? "")]));
}

function compare(one: OpCase): void {
  const weights = lossWeights(evaluateNode(one.node, one.inputs));
  const gradients = byRule(one, weights);
  for (const position of one.differentiable) {
    const expected = byDifferences(one, position, weights);
    const gradient = gradients.get(position);
    const x = inputOf(one, position);
    expect(gradient?.dims ?? x.dims, `shape of the gradient of input ${position}`).toEqual(x.dims);
    const actual = gradient?.numbers() ?? expected.map(() => 0);
    expected.forEach((value, i) => {
      const error = Math.abs(actual[i] - value);
      if (!(error <= 1e-6 * (1 + Math.abs(value)))) {
        throw new Error(
          `${one.title}: input ${position}, element ${i}: ${actual[i]}, by finite differences ${value} (seed ${SEED})`,
        );
      }
    });
  }
}

const ALL = [...opCases()].filter(({ differentiable }) => differentiable.length > 0);
const hasRule = (op: OpName): boolean => typeof RULES[op] === "function";
/** Its gradient is that of another function (straight-through): checked in test/lower/sampler.test.ts. */
const STRAIGHT_THROUGH: readonly OpName[] = ["KofN", "FakeQuantize"];

/** Variants of an operator that its rule refuses, by what their titles say. */
const REFUSED: Partial<Record<OpName, RegExp>> = {
  ScatterElements: /mul|max|min/,
};

describe("gradient rules", () => {
  for (const op of [...ONNX_OPS, ...KOFN_OPS]) {
    if (!hasRule(op) || STRAIGHT_THROUGH.includes(op)) continue;
    const cases = ALL.filter((one) => one.op === op);
    test(`${op} (${cases.length} cases)`, () => {
      expect(cases.length, `there is no case for ${op}`).toBeGreaterThan(0);
      for (const one of cases) {
        if (REFUSED[op]?.test(one.title) === true)
          expect(() => {
            compare(one);
          }).toThrow(InputError);
        else compare(one);
      }
    });
  }

  test("the check finds a wrong gradient", () => {
    const [one] = ALL.filter(({ op }) => op === "Tanh");
    const wrong = { ...one, node: { ...one.node, op: "Sigmoid" } };
    const weights = lossWeights(evaluateNode(one.node, one.inputs));
    const gradients = byRule(wrong, weights);
    const expected = byDifferences(one, 0, weights);
    const actual = gradients.get(0)?.numbers() ?? [];
    expect(expected.some((value, i) => Math.abs(actual[i] - value) > 1e-3)).toBe(true);
  });
});
