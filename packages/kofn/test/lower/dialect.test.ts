/** The lowered dialect on onnxruntime in float32 against the reference evaluator in float64, over the matrix of cases. */

import { describe, expect, it } from "vitest";
import { lower } from "../../src/lower/lower.js";
import { Builder } from "../../src/onnx/builder.js";
import { evaluateNode } from "../../src/onnx/evaluate.js";
import { emptyGraph, type Graph } from "../../src/onnx/model.js";
import { KOFN_OPS, type KofnOp } from "../../src/onnx/ops.js";
import type { Tensor } from "../../src/onnx/tensor.js";
import { double, execute, single } from "../support/execute.js";
import { type OpCase, opCases } from "../support/ops.js";

/** Checked in sampler.test.ts, with bounds of their own. */
const SAMPLER: readonly KofnOp[] = ["KofN", "KofNGrad"];

const CASES = [...opCases()].filter(({ node }) => node.domain === "kofn");

/** The inputs, which the dialect never leaves out, in float32. */
function feedsOf({ node, inputs }: OpCase): Map<string, Tensor> {
  return new Map(
    inputs.flatMap((value, i) => (value === undefined ? [] : [[node.inputs[i], single(value)]])),
  );
}

function graphOf(one: OpCase): Graph {
  const b = new Builder(emptyGraph(one.op));
  for (const [name, { dtype, dims }] of feedsOf(one)) b.input(name, dtype, dims);
  b.push({ ...one.node });
  b.output("y0");
  return b.graph;
}

async function check(one: OpCase): Promise<void> {
  const feeds = feedsOf(one);
  const [expected] = evaluateNode(one.node, [...feeds.values()].map(double));
  const lowered = lower(graphOf(one));
  expect(lowered.nodes.filter(({ domain }) => domain !== "")).toEqual([]);
  const results = await execute(lowered, feeds);
  const actual = results.get("y0");
  expect(actual?.dims).toEqual(expected.dims);
  const wanted = expected.numbers();
  const scale = Math.max(...wanted.map(Math.abs));
  actual?.numbers().forEach((value, i) => {
    if (!(Math.abs(value - wanted[i]) <= 1e-4 * Math.abs(wanted[i]) + 1e-6 * scale)) {
      throw new Error(`${one.title}: element ${i} is ${value}, by definition ${wanted[i]}`);
    }
  });
}

describe.each(KOFN_OPS.filter((op) => !SAMPLER.includes(op)))("lowering of %s", (op) => {
  const cases = CASES.filter((one) => one.op === op);

  it("has cases", () => {
    expect(cases.length).toBeGreaterThan(0);
  });

  it.each(cases)("$title", check);
});
