/**
 * The gradients of every operator as onnxruntime computes them in float32, on its native and on its WebAssembly build, against
 * the reference evaluator in float64. One graph per operator holds all of its cases.
 */

import type { Provider } from "@kofn/format/run/words.js";
import { describe, expect, test } from "vitest";
import { differentiate } from "../../src/autodiff/differentiate.js";
import { RULES } from "../../src/autodiff/rules.js";
import { lower } from "../../src/lower/lower.js";
import { Builder } from "../../src/onnx/builder.js";
import { evaluateGraph } from "../../src/onnx/evaluate.js";
import { emptyGraph, type Graph } from "../../src/onnx/model.js";
import { ONNX_OPS, type OnnxOp } from "../../src/onnx/ops.js";
import { simplify } from "../../src/onnx/passes.js";
import { sizeOf, type Tensor, tensorFrom } from "../../src/onnx/tensor.js";
import { Random } from "../../src/random.js";
import { double, execute, single } from "../support/execute.js";
import { NOT_IN_ONNXRUNTIME, type OpCase, opCases } from "../support/ops.js";

const CASES = [...opCases()].filter(
  ({ title, differentiable }) => differentiable.length > 0 && !(title in NOT_IN_ONNXRUNTIME),
);

/** The differentiable cases of Cast make float64, which onnxruntime hardly computes. */
const hasFloat32 = (op: OnnxOp): boolean => op !== "Cast";

/** Variants that the rule of ScatterElements refuses. */
const isRefused = ({ title }: OpCase): boolean => /^ScatterElements: (mul|max|min)/.test(title);

interface Gradients {
  readonly graph: Graph;
  readonly feeds: ReadonlyMap<string, Tensor>;
}

/** The gradients of a weighted sum of all outputs of all cases, in one floating-point type. */
function gradientsOf(cases: readonly OpCase[], typed: (value: Tensor) => Tensor): Gradients {
  const b = new Builder(emptyGraph("gradients"));
  const feeds = new Map<string, Tensor>();
  const random = new Random(1, "loss weights");
  const terms: string[] = [];
  for (const [index, { node, inputs, differentiable }] of cases.entries()) {
    const names = inputs.map((value, i) => {
      if (value === undefined) return "";
      const [name, fed] = [`case${index}/x${i}`, typed(value)];
      if (!differentiable.includes(i)) return b.initializer(name, fed);
      feeds.set(name, fed);
      return b.input(name, fed.dtype, fed.dims);
    });
    const outputs = node.outputs.map((name) => `case${index}/${name}`);
    b.push({ ...node, name: outputs[0], inputs: names, outputs });
    for (const output of outputs) {
      if (b.dtype(output) !== typed(tensorFrom("float64", [], [0])).dtype) continue;
      const dims = b.shape(output);
      const weights = Array.from({ length: sizeOf(dims) }, () => random.normal());
      const weighted = b.mul(
        output,
        b.initializer(`${output}/weights`, typed(tensorFrom("float64", dims, weights))),
      );
      terms.push(dims.length === 0 ? weighted : b.sum(weighted, [...dims.keys()], false));
    }
  }
  const gradients = differentiate(b, b.op("Sum", terms, {}, "loss"), [...feeds.keys()]);
  for (const [name, gradient] of gradients) b.output(gradient, `d:${name}`);
  return { graph: b.graph, feeds };
}

async function check(op: OnnxOp, provider: Provider): Promise<void> {
  const cases = CASES.filter((one) => one.op === op && !isRefused(one));
  expect(cases.length).toBeGreaterThan(0);
  const exact = gradientsOf(cases, double);
  const expected = evaluateGraph(exact.graph, exact.feeds);
  const { graph, feeds } = gradientsOf(cases, single);
  const lowered = lower(graph);
  simplify(lowered);
  // The WebAssembly build refuses types of inner values where its own inference differs (ceil_mode of pools).
  lowered.valueTypes.clear();
  const actual = await execute(lowered, feeds, { provider, threads: 1 });
  expect([...actual.keys()].sort()).toEqual([...expected.keys()].sort());
  for (const [name, gradient] of expected) {
    const about = cases[Number(/\d+/.exec(name)?.[0])].title;
    const [wanted, got] = [gradient.numbers(), actual.get(name)];
    expect(got?.dims, about).toEqual(gradient.dims);
    const scale = Math.max(1, ...wanted.map(Math.abs));
    got?.numbers().forEach((value, i) => {
      if (!(Math.abs(value - wanted[i]) <= 1e-4 * Math.abs(wanted[i]) + 2e-6 * scale)) {
        throw new Error(`${about}: ${name}, element ${i} is ${value}, by definition ${wanted[i]}`);
      }
    });
  }
}

describe.each(["cpu", "wasm"] as const)("gradients on %s", (provider) => {
  test.each(ONNX_OPS.filter((op) => typeof RULES[op] === "function" && hasFloat32(op)))("%s", (op) =>
    check(op, provider),
  );
});
