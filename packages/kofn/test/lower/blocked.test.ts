/** Lowering to onnxruntime's blocked layout, on onnxruntime in against the reference evaluator. */

import { describe, expect, test } from "vitest";
import { blockOf } from "../../src/engine/block.js";
import { Engine } from "../../src/engine/session.js";
import { BLOCKED_DOMAIN } from "../../src/lower/blocked/layouts.js";
import { lower } from "../../src/lower/lower.js";
import { differentiate } from "../../src/autodiff/differentiate.js";
import { Builder } from "../../src/onnx/builder.js";
import { evaluateGraph } from "../../src/onnx/evaluate.js";
import { type Attribute, emptyGraph, float, type Graph, int, ints, string } from "../../src/onnx/model.js";
import type { Tensor } from "../../src/onnx/tensor.js";
import { execute, single } from "../support/execute.js";
import { Values } from "../support/ops/case.js";

const block = await blockOf(await Engine.open({ threads: 1 }));
if (block === undefined && process.env.CI !== undefined)
  throw new Error("onnxruntime has no blocked layout here");
if (block === undefined) process.stderr.write("SKIPPED: onnxruntime has no blocked layout here\n");
const BLOCK = block ?? 16;

interface Case {
  readonly about: string;
  readonly x: number[];
  readonly w: number[];
  readonly attributes: Record<string, Attribute>;
}

const CASES: readonly Case[] = [
  { about: "3x3 with pads", x: [16, 16, 5, 4], w: [32, 16, 3, 3], attributes: { pads: ints([1, 1, 1, 1]) } },
  { about: "3x3 without pads", x: [16, 16, 5, 4], w: [16, 16, 3, 3], attributes: {} },
  { about: "1x1", x: [16, 32, 3, 3], w: [16, 32, 1, 1], attributes: {} },
  { about: "1x1 with strides", x: [16, 16, 4, 6], w: [32, 16, 1, 1], attributes: { strides: ints([2, 2]) } },
  {
    about: "1x1 with strides that leave a rest",
    x: [16, 16, 5, 4],
    w: [16, 16, 1, 1],
    attributes: { strides: ints([2, 3]) },
  },
  {
    about: "strides",
    x: [16, 16, 6, 6],
    w: [16, 16, 3, 3],
    attributes: { pads: ints([1, 1, 1, 1]), strides: ints([2, 2]) },
  },
  {
    about: "strides in one dimension",
    x: [16, 16, 6, 6],
    w: [32, 16, 3, 4],
    attributes: { pads: ints([1, 2, 1, 1]), strides: ints([1, 3]) },
  },
  {
    about: "windows apart",
    x: [16, 16, 6, 6],
    w: [16, 16, 2, 2],
    attributes: { strides: ints([3, 3]) },
  },
  {
    about: "strides that leave a rest",
    x: [16, 16, 6, 7],
    w: [16, 16, 3, 2],
    attributes: { pads: ints([0, 1, 1, 0]), strides: ints([2, 3]) },
  },
  {
    about: "dilations",
    x: [16, 16, 6, 5],
    w: [16, 16, 3, 2],
    attributes: { pads: ints([1, 0, 2, 1]), dilations: ints([2, 3]) },
  },
  { about: "auto_pad", x: [16, 16, 4, 4], w: [16, 16, 2, 2], attributes: { auto_pad: string("SAME_LOWER") } },
  { about: "few channels", x: [16, 3, 5, 5], w: [16, 3, 3, 3], attributes: { pads: ints([1, 1, 1, 1]) } },
  { about: "maps that do not fill the last block", x: [16, 5, 6, 4], w: [50, 5, 3, 2], attributes: {} },
  {
    about: "maps that do not fill the last block, a multiple of 4",
    x: [16, 3, 6, 7],
    w: [28, 3, 3, 2],
    attributes: { pads: ints([0, 1, 1, 0]), strides: ints([2, 3]) },
  },
];

/** What does not fill blocks, or is grouped. */
const PLAIN: readonly Case[] = [
  { about: "maps that leave most of a block empty", x: [16, 20, 3, 3], w: [5, 20, 2, 2], attributes: {} },
  { about: "1x1, maps that do not fill blocks", x: [16, 20, 3, 3], w: [50, 20, 1, 1], attributes: {} },
  { about: "a batch that does not fill blocks", x: [6, 20, 3, 3], w: [50, 20, 2, 2], attributes: {} },
  { about: "groups", x: [16, 32, 3, 3], w: [32, 16, 2, 2], attributes: { group: int(2) } },
  { about: "1-D", x: [16, 16, 9], w: [16, 16, 3], attributes: {} },
];

/** A convolution with a bias, and its gradients, with dY as an input. */
function convolution({ x, w, attributes }: Case): { graph: Graph; feeds: Map<string, Tensor> } {
  const values = new Values("blocked");
  const b = new Builder(emptyGraph("blocked"));
  b.input("x", "float32", x);
  b.input("w", "float32", w);
  b.input("bias", "float32", [w[0]]);
  const y = b.op("Conv", ["x", "w", "bias"], attributes, "y");
  b.output(y);
  const dY = b.input("dy", "float32", b.shape(y));
  b.output(b.op("ConvGradInput", [dY, "w"], { ...attributes, input_shape: ints(x) }, "dx"));
  b.output(b.op("ConvGradWeight", [dY, "x"], { ...attributes, kernel_shape: ints(w.slice(2)) }, "dw"));
  const feeds = new Map(
    b.graph.inputs.map(({ name }): [string, Tensor] => [name, single(values.one(...b.shape(name)))]),
  );
  return { graph: b.graph, feeds };
}

async function compare(graph: Graph, feeds: ReadonlyMap<string, Tensor>): Promise<Graph> {
  const lowered = lower(graph, { block: BLOCK });
  const results = await execute(lowered, feeds);
  const expected = evaluateGraph(graph, feeds);
  for (const { name } of graph.outputs) {
    const wanted = expected.get(name)?.numbers() ?? [];
    const scale = Math.max(...wanted.map(Math.abs));
    expect(results.get(name)?.dims, name).toEqual(expected.get(name)?.dims);
    const error = Math.max(
      ...(results.get(name)?.numbers() ?? []).map((value, i) => Math.abs(value - wanted[i])),
    );
    expect(error, name).toBeLessThan(1e-5 * scale);
  }
  return lowered;
}

const isBlocked = ({ nodes }: Graph): boolean => nodes.some(({ domain }) => domain === BLOCKED_DOMAIN);

describe.skipIf(block === undefined)("the blocked layout", () => {
  test.each(CASES)("gives what the definition gives: $about", async (one) => {
    const { graph, feeds } = convolution(one);
    expect(isBlocked(await compare(graph, feeds))).toBe(true);
  });

  test.each(PLAIN)("leaves alone: $about", async (one) => {
    const { graph, feeds } = convolution(one);
    expect(isBlocked(await compare(graph, feeds))).toBe(false);
  });

  test("holds from one convolution to the next, through a residual block and its gradients", async () => {
    const b = new Builder(emptyGraph("residual"));
    const weights = {
      w1: [16, 3, 3, 3],
      b1: [16],
      w2: [16, 16, 3, 3],
      scale: [16],
      bias: [16],
      w3: [32, 16, 1, 1],
      b3: [32],
      fc: [32, 4],
    };
    b.input("x", "float32", [16, 3, 6, 6]);
    b.input("labels", "int64", [16]);
    for (const [name, shape] of Object.entries(weights)) b.input(name, "float32", shape);
    const pads = { pads: ints([1, 1, 1, 1]) };
    const first = b.op("Relu", [b.op("Conv", ["x", "w1", "b1"], pads)]);
    const second = b.op("Conv", [first, "w2"], pads);
    const [normal] = b.ops("BatchNorm", [second, "scale", "bias"], { epsilon: float(1e-3) }, [
      "y",
      "mean",
      "var",
    ]);
    const sum = b.op("Relu", [b.add(normal, first)]);
    const third = b.op("Conv", [sum, "w3", "b3"], { strides: ints([2, 2]) });
    const pooled = b.reshape(b.op("GlobalAveragePool", [third]), [16, 32]);
    const logits = b.op("MatMul", [pooled, "fc"]);
    for (const statistic of ["mean", "var"]) b.output(statistic);
    b.output(b.op("SoftmaxCrossEntropy", [logits, "labels"], {}, "loss"));
    for (const [name, gradient] of differentiate(b, "loss", Object.keys(weights)))
      b.output(gradient, `${name}/d`);
    const values = new Values("residual");
    const feeds = new Map(
      b.graph.inputs.map(({ name }): [string, Tensor] => [
        name,
        name === "labels" ? values.whole("int64", 0, 3, 16) : single(values.one(...b.shape(name))),
      ]),
    );
    const lowered = await compare(b.graph, feeds);
    // Only what the gradients of w2 and w3 read: the first activation, and every second pixel of the sum's.
    expect(lowered.nodes.filter(({ op }) => op === "ReorderOutput")).toHaveLength(2);
  });
});
