/** Convolutions and max-pools rewritten by the places of a window, against the graphs as they were. */

import { describe, expect, test } from "vitest";
import { differentiate } from "../../src/autodiff/differentiate.js";
import { lower } from "../../src/lower/lower.js";
import { poolByPhases } from "../../src/lower/pool-phases.js";
import { Builder } from "../../src/onnx/builder.js";
import { evaluateGraph } from "../../src/onnx/evaluate.js";
import { type Attribute, emptyGraph, type Graph, int, ints, string } from "../../src/onnx/model.js";
import { sizeOf, type Tensor } from "../../src/onnx/tensor.js";
import { execute, single } from "../support/execute.js";
import { Values } from "../support/ops/case.js";

const BLOCK = 16;

interface Case {
  readonly about: string;
  readonly x: readonly number[];
  readonly w: readonly number[];
  readonly conv?: Readonly<Record<string, Attribute>>;
  /** The pool's window, how far one is from the next where that is not the same, and its pads. */
  readonly pool: readonly number[];
  readonly strides?: readonly number[];
  readonly pads?: readonly number[];
  readonly bias?: boolean;
}

const REWRITTEN: readonly Case[] = [
  { about: "2x2 behind 5x5", x: [2, 1, 12, 10], w: [5, 1, 5, 5], pool: [2, 2], bias: true },
  { about: "no bias", x: [2, 1, 6, 6], w: [3, 1, 3, 3], pool: [2, 2] },
  { about: "several channels", x: [1, 2, 6, 6], w: [3, 2, 3, 3], pool: [2, 2], bias: true },
  { about: "windows of 1x3", x: [2, 1, 4, 8], w: [3, 1, 2, 3], pool: [1, 3], bias: true },
  {
    about: "strides that leave a rest, and pads",
    x: [2, 1, 9, 8],
    w: [3, 1, 2, 3],
    conv: { strides: ints([2, 1]), pads: ints([0, 1, 0, 1]) },
    pool: [2, 2],
  },
  {
    about: "auto_pad",
    x: [2, 1, 6, 6],
    w: [3, 1, 2, 2],
    conv: { auto_pad: string("SAME_LOWER") },
    pool: [2, 3],
    bias: true,
  },
];

const LEFT: readonly Case[] = [
  { about: "maps that fill blocks", x: [2, 1, 6, 6], w: [BLOCK, 1, 3, 3], pool: [2, 2] },
  { about: "many products", x: [2, 3, 6, 6], w: [3, 3, 3, 3], pool: [2, 2] },
  { about: "windows that overlap", x: [2, 1, 6, 6], w: [3, 1, 3, 3], pool: [2, 2], strides: [1, 1] },
  { about: "windows over the edge", x: [2, 1, 8, 8], w: [3, 1, 3, 3], pool: [3, 3], pads: [1, 1, 1, 1] },
  { about: "a rest that no window reaches", x: [2, 1, 7, 7], w: [3, 1, 3, 3], pool: [2, 2] },
  { about: "groups", x: [2, 2, 6, 6], w: [4, 1, 3, 3], conv: { group: int(2) }, pool: [2, 2] },
  { about: "dilations", x: [2, 1, 8, 8], w: [3, 1, 3, 3], conv: { dilations: ints([2, 2]) }, pool: [2, 2] },
];

/** A convolution and its pool; without an output. */
function pooled({ x, w, conv = {}, pool, strides = pool, pads = [0, 0, 0, 0], bias = false }: Case): Builder {
  const b = new Builder(emptyGraph("pooled"));
  b.input("x", "float32", x);
  b.input("w", "float32", w);
  if (bias) b.input("bias", "float32", [w[0]]);
  b.op("Conv", bias ? ["x", "w", "bias"] : ["x", "w"], conv, "y");
  b.op("MaxPool", ["y"], { kernel_shape: ints(pool), strides: ints(strides), pads: ints(pads) }, "p");
  return b;
}

/** Adds a loss that weighs the elements of the pool's output, and its gradients. */
function withGradients(graph: Graph): Graph {
  const b = new Builder(graph);
  b.output("p");
  const weights = b.input("weights", "float32", b.shape("p"));
  const loss = b.sum(b.mul("p", weights), [0, 1, 2, 3], false);
  const inputs = b.graph.inputs.map(({ name }) => name).filter((name) => name !== "weights");
  for (const [name, gradient] of differentiate(b, loss, inputs)) b.output(gradient, `${name}/d`);
  return b.graph;
}

const shapeOf = (graph: Graph, value: string): readonly number[] => new Builder(graph).shape(value);

function expectAlike(
  actual: ReadonlyMap<string, Tensor>,
  expected: ReadonlyMap<string, Tensor>,
  graph: Graph,
): void {
  for (const { name } of graph.outputs) {
    const wanted = expected.get(name)?.numbers() ?? [];
    expect(actual.get(name)?.dims, name).toEqual(expected.get(name)?.dims);
    const errors = (actual.get(name)?.numbers() ?? []).map((value, i) => Math.abs(value - wanted[i]));
    expect(Math.max(...errors), name).toBeLessThan(1e-5 * Math.max(...wanted.map(Math.abs)));
  }
}

describe("a max-pool by the places of its window", () => {
  test.each(REWRITTEN)("has the values and gradients of the pool: $about", async (one) => {
    const rewritten = poolByPhases(pooled(one).graph, BLOCK);
    expect(rewritten.nodes.map(({ op }) => op)).not.toContain("MaxPool");
    const original = withGradients(pooled(one).graph);
    const graph = withGradients(rewritten);
    const values = new Values("pool phases");
    const feeds = new Map(
      original.inputs.map(({ name, type }) => [name, single(values.one(...(type?.shape ?? []).map(Number)))]),
    );
    const expected = evaluateGraph(original, feeds);
    expectAlike(evaluateGraph(graph, feeds), expected, original);
    expectAlike(await execute(lower(graph), feeds), expected, original);
  });

  test("hands on the whole gradient where all elements of a window are equal", () => {
    const [one] = REWRITTEN;
    const graph = withGradients(poolByPhases(pooled(one).graph, BLOCK));
    const values = new Values("pool phases, ties");
    const feeds = new Map(
      graph.inputs.map(({ name }) => {
        const dims = shapeOf(graph, name);
        return [name, single(name === "x" ? values.whole("float64", 1, 1, ...dims) : values.one(...dims))];
      }),
    );
    // Every weight of a map is multiplied by 1, so its gradient is the sum of the map's.
    const [maps, , ...kernel] = one.w;
    const pixels = sizeOf(shapeOf(graph, "weights").slice(2));
    const weights = feeds.get("weights")?.numbers() ?? [];
    const sums = Array.from({ length: maps }, (_, map) =>
      weights.reduce((sum, weight, i) => (Math.floor(i / pixels) % maps === map ? sum + weight : sum), 0),
    );
    const wanted = sums.flatMap((sum) => new Array<number>(sizeOf(kernel)).fill(sum));
    const dW = evaluateGraph(graph, feeds).get("w/d")?.numbers() ?? [];
    expect(dW).toHaveLength(wanted.length);
    dW.forEach((value, i) => {
      expect(value).toBeCloseTo(wanted[i], 4);
    });
  });

  test.each(LEFT)("is left as it is: $about", (one) => {
    const { graph } = pooled(one);
    expect(poolByPhases(graph, BLOCK)).toBe(graph);
  });

  test.each(["output", "reader"])("is left as it is where the convolution has another %s", (kind) => {
    const b = pooled(REWRITTEN[0]);
    if (kind === "output") b.output("y");
    else b.output(b.op("Relu", ["y"]));
    expect(poolByPhases(b.graph, BLOCK)).toBe(b.graph);
  });
});
