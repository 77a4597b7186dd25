/** The walk backwards through a graph: accumulation, un-broadcasting, what has no gradient. Rules: gradients.test.ts. */

import { describe, expect, test } from "vitest";
import { differentiate, sumTo } from "../../src/autodiff/differentiate.js";
import { InputError, KofnError } from "../../src/errors.js";
import { Builder } from "../../src/onnx/builder.js";
import { evaluateGraph } from "../../src/onnx/evaluate.js";
import { emptyGraph, int, ints } from "../../src/onnx/model.js";
import { printGraph } from "../../src/onnx/print.js";
import { tensorFrom } from "../../src/onnx/tensor.js";

const scalarLoss = (b: Builder, value: string): string =>
  b.sum(
    value,
    b.shape(value).map((_, i) => i),
    false,
    "loss",
  );

function gradientsAt(
  b: Builder,
  loss: string,
  at: Readonly<Record<string, { dims: readonly number[]; values: readonly number[] }>>,
): Record<string, number[]> {
  const gradients = differentiate(b, loss, Object.keys(at));
  const feeds = new Map(
    Object.entries(at).map(([name, { dims, values }]) => [name, tensorFrom("float64", dims, values)]),
  );
  const results = evaluateGraph(b.graph, feeds, [...gradients.values()]);
  return Object.fromEntries(
    [...gradients].map(([name, gradient]) => [name, results.get(gradient)?.numbers() ?? []]),
  );
}

describe("differentiate", () => {
  test("prints readably", () => {
    const b = new Builder(emptyGraph("dense"));
    const x = b.input("x", "float32", [4, 3]);
    const w = b.input("w", "float32", [2, 3]);
    const bias = b.input("bias", "float32", [2]);
    const labels = b.input("labels", "int64", [4]);
    const y = b.op("Relu", [b.op("Gemm", [x, w, bias], { transB: int(1) }, "hidden")], {}, "y");
    const loss = b.op("SoftmaxCrossEntropy", [y, labels], {}, "loss");
    for (const gradient of differentiate(b, loss, ["w", "bias"]).values()) b.output(gradient);
    expect(printGraph(b.graph)).toMatchInlineSnapshot(`
      "graph "dense"
      input %x: float32[4, 3]
      input %w: float32[2, 3]
      input %bias: float32[2]
      input %labels: int64[4]
      init const/1: float32[] {1}
      init const/0: int64[1] {0}
      %hidden: float32[4, 2] = Gemm(%x, %w, %bias; transB=1)
      %y: float32[4, 2] = Relu(%hidden)
      %loss: float32[] = kofn.SoftmaxCrossEntropy(%y, %labels)
      %d/y: float32[4, 2] = kofn.SoftmaxCrossEntropyGrad(%y, %labels)
      %d/y~2: float32[4, 2] = Mul(%d/y, const/1)
      %d/hidden: float32[4, 2] = kofn.ReluGrad(%d/y~2, %y)
      %d/w: float32[2, 3] = Gemm(%d/hidden, %x; alpha=1, transA=1, transB=0)
      %d/bias: float32[2] = ReduceSum(%d/hidden, const/0; keepdims=0)
      output %d/w: float32[2, 3]
      output %d/bias: float32[2]"
    `);
  });

  test("adds the gradients of several uses", () => {
    const b = new Builder(emptyGraph("uses"));
    const x = b.input("x", "float64", [2]);
    // d(x^2 + 3x + tanh x) = 2x + 3 + 1 - tanh(x)^2
    const square = b.mul(x, x);
    const loss = scalarLoss(b, b.op("Sum", [square, b.mul(x, b.scalar(3, x)), b.op("Tanh", [x])]));
    const { x: gradient } = gradientsAt(b, loss, { x: { dims: [2], values: [0.5, -2] } });
    [0.5, -2].forEach((value, i) => {
      expect(gradient[i]).toBeCloseTo(2 * value + 4 - Math.tanh(value) ** 2, 12);
    });
  });

  test("sums over dimensions that were broadcast", () => {
    const b = new Builder(emptyGraph("broadcast"));
    const shapes = { a: [2, 3], row: [3], column: [2, 1], one: [1, 1, 1], scalar: [] };
    const names = Object.entries(shapes).map(([name, dims]) => b.input(name, "float64", dims));
    const loss = scalarLoss(
      b,
      names.slice(1).reduce((sum, name) => b.add(sum, name), "a"),
    );
    const ones = (dims: readonly number[]): number[] =>
      new Array<number>(dims.reduce((size, dim) => size * dim, 1)).fill(1);
    const gradients = gradientsAt(
      b,
      loss,
      Object.fromEntries(Object.entries(shapes).map(([name, dims]) => [name, { dims, values: ones(dims) }])),
    );
    expect(gradients).toEqual({
      a: [1, 1, 1, 1, 1, 1],
      row: [2, 2, 2],
      column: [3, 3],
      one: [6],
      scalar: [6],
    });
    for (const [name, gradient] of differentiate(b, loss, Object.keys(shapes))) {
      expect(b.shape(gradient)).toEqual(b.shape(name));
    }
  });

  test("leaves out what the loss does not depend on", () => {
    const b = new Builder(emptyGraph("independent"));
    const x = b.input("x", "float64", [2]);
    const unused = b.input("unused", "float64", [2]);
    b.mul(x, unused);
    const stepped = b.input("stepped", "float64", [2]);
    const loss = scalarLoss(b, b.mul(x, b.op("Sign", [stepped])));
    expect([...differentiate(b, loss, ["x", "unused", "stepped"]).keys()]).toEqual(["x"]);
  });

  test("stops at operators whose gradient is zero, even where their output is asked for", () => {
    const b = new Builder(emptyGraph("sign"));
    const x = b.input("x", "float64", [2]);
    const sign = b.op("Sign", [x], {}, "sign");
    const loss = scalarLoss(b, b.mul(x, sign));
    const gradients = differentiate(b, loss, ["x", "sign"]);
    const values = evaluateGraph(b.graph, new Map([["x", tensorFrom("float64", [2], [2, -3])]]), [
      ...gradients.values(),
    ]);
    expect([...gradients].map(([name, gradient]) => [name, values.get(gradient)?.numbers()])).toEqual([
      ["x", [1, -1]],
      ["sign", [2, -3]],
    ]);
  });

  test("gives 1 for the loss itself, and gradients of values within the graph", () => {
    const b = new Builder(emptyGraph("inner"));
    const x = b.input("x", "float64", [2]);
    const inner = b.mul(x, x, "inner");
    const loss = scalarLoss(b, b.mul(inner, b.scalar(5, x)));
    const gradients = differentiate(b, loss, ["inner", "loss"]);
    const feeds = new Map([["x", tensorFrom("float64", [2], [1, 2])]]);
    const values = evaluateGraph(b.graph, feeds, [...gradients.values()]);
    expect(values.get(gradients.get("inner") ?? "")?.numbers()).toEqual([5, 5]);
    expect(values.get(gradients.get("loss") ?? "")?.numbers()).toEqual([1]);
  });

  test("does not write gradients that nobody wants", () => {
    const b = new Builder(emptyGraph("wanted"));
    const x = b.input("x", "float32", [1, 1, 5, 5]);
    const w = b.input("w", "float32", [1, 1, 3, 3]);
    const loss = scalarLoss(b, b.op("Conv", [x, w], { kernel_shape: ints([3, 3]) }));
    differentiate(b, loss, ["w"]);
    expect(b.graph.nodes.map(({ op }) => op)).toContain("ConvGradWeight");
    expect(b.graph.nodes.map(({ op }) => op)).not.toContain("ConvGradInput");
  });

  test("refuses an operator without a gradient, naming the node and the reason", () => {
    const b = new Builder(emptyGraph("forbidden"));
    const x = b.input("x", "float32", [2, 3]);
    const w = b.input("w", "float32", [3]);
    const loss = scalarLoss(b, b.op("Mod", [x, w], { fmod: int(1) }, "rest"));
    expect(() => differentiate(b, loss, ["w"])).toThrow(
      new InputError(
        'node "rest" (Mod) can\'t be trained through: its result jumps wherever its first input is a multiple of the second',
      ),
    );
  });

  test("refuses second derivatives", () => {
    const b = new Builder(emptyGraph("second"));
    const x = b.input("x", "float64", [2]);
    const loss = scalarLoss(b, b.op("Relu", [x]));
    const first = differentiate(b, loss, ["x"]).get("x") ?? "";
    const again = b.sum(b.mul(first, x), [0], false, "again");
    expect(() => differentiate(b, again, ["x"])).toThrow(/can't be trained through: it is a gradient itself/);
  });

  test("does not mind an operator without a gradient off the way", () => {
    const b = new Builder(emptyGraph("off"));
    const x = b.input("x", "float32", [1, 1, 3, 3]);
    const w = b.input("w", "float32", [1, 1, 2, 2]);
    const bias = b.input("bias", "float32", [1]);
    const up = b.op("ConvTranspose", [x, w], { kernel_shape: ints([2, 2]) }, "up");
    expect([...differentiate(b, scalarLoss(b, b.add(up, bias)), ["bias"]).keys()]).toEqual(["bias"]);
  });

  test("refuses a loss that is no scalar", () => {
    const b = new Builder(emptyGraph("vector"));
    const x = b.input("x", "float64", [2]);
    const y = b.op("Exp", [x], {}, "y");
    expect(() => differentiate(b, y, ["x"])).toThrow(
      new KofnError('the loss "y" must be a scalar, got shape [2]'),
    );
  });
});

describe("sumTo", () => {
  test("gives every shape that broadcasts to the gradient's", () => {
    for (const dims of [[2, 3], [3], [1, 3], [2, 1], [1, 1], [1], []]) {
      const b = new Builder(emptyGraph("sum"));
      b.input("g", "float64", [2, 3]);
      const fitted = sumTo(b, "g", dims, "fitted");
      expect(b.shape(fitted)).toEqual(dims);
      const feeds = new Map([["g", tensorFrom("float64", [2, 3], [1, 2, 3, 4, 5, 6])]]);
      const total = evaluateGraph(b.graph, feeds, [fitted])
        .get(fitted)
        ?.numbers()
        .reduce((sum, value) => sum + value, 0);
      expect(total).toBe(21);
    }
  });
});
