/** The reference evaluator: exactness, errors, kofn's losses, and whole graphs. */

import { describe, expect, test } from "vitest";
import { InputError, KofnError } from "../../src/errors.js";
import { evaluateGraph } from "../../src/onnx/evaluate.js";
import { evaluateNode } from "../../src/onnx/evaluate/node.js";
import { type Attribute, emptyGraph, type Graph, int, string, type Node } from "../../src/onnx/model.js";
import { Tensor, tensorFrom } from "../../src/onnx/tensor.js";

function nodeOf(op: string, attributes: Readonly<Record<string, Attribute>> = {}, domain = ""): Node {
  return {
    op,
    domain,
    name: "n",
    inputs: [],
    outputs: ["y"],
    attributes: new Map(Object.entries(attributes)),
  };
}

const list = (...values: readonly (number | bigint)[]) => tensorFrom("int64", [values.length], values);
const doubles = (...values: readonly number[]) => tensorFrom("float64", [values.length], values);

describe("precision", () => {
  test("float64 keeps its digits, float32 is rounded once at the end", () => {
    expect(evaluateNode(nodeOf("Add"), [doubles(1), doubles(2 ** -50)])[0].numbers()).toEqual([1 + 2 ** -50]);
    const singles = tensorFrom("float32", [3], [2 ** 24, 1, 1]);
    expect(evaluateNode(nodeOf("ReduceSum"), [singles])[0].numbers()).toEqual([2 ** 24 + 2]);
  });

  test("int64 is exact", () => {
    const big = 2n ** 60n + 1n;
    const sum = evaluateNode(nodeOf("ReduceSum"), [list(big, 1, 1)])[0] as Tensor<"int64">;
    expect(sum.array()).toEqual(BigInt64Array.of(big + 2n));
    const product = evaluateNode(nodeOf("Mul"), [
      list(2n ** 31n + 1n),
      list(2n ** 31n - 1n),
    ])[0] as Tensor<"int64">;
    expect(product.array()).toEqual(BigInt64Array.of(2n ** 62n - 1n));
    const quotient = evaluateNode(nodeOf("Div"), [list(-7, 7), list(2)])[0];
    expect(quotient.numbers()).toEqual([-3, 3]);
  });
});

describe("losses", () => {
  test("softmax cross-entropy", () => {
    const logits = tensorFrom("float64", [2, 2], [0, Math.log(3), 1000, 0]);
    const labels = list(1, 0);
    const [loss] = evaluateNode(nodeOf("SoftmaxCrossEntropy", {}, "kofn"), [logits, labels]);
    expect(loss.dims).toEqual([]);
    expect(loss.numbers()[0]).toBeCloseTo(-Math.log(0.75) / 2, 14);
    const [gradient] = evaluateNode(nodeOf("SoftmaxCrossEntropyGrad", {}, "kofn"), [logits, labels]);
    const expected = [0.125, -0.125, 0, 0];
    for (const [i, value] of gradient.numbers().entries()) expect(value).toBeCloseTo(expected[i], 14);
  });
});

describe("errors", () => {
  const cases: readonly [node: Node, inputs: readonly (Tensor | undefined)[], message: string][] = [
    [
      nodeOf("Gather"),
      [doubles(1, 2), list(2)],
      'node "n" (Gather): index 2 is out of range for an axis of 2 elements',
    ],
    [nodeOf("Div"), [list(1), list(0)], "integer division of 1 by zero"],
    [nodeOf("Pow"), [list(2), list(-1)], "integers have no negative powers: 2 to the power -1"],
    [nodeOf("Cast", { to: int(7) }), [doubles(NaN)], "can't cast NaN to int64"],
    [nodeOf("Pad", { mode: string("mirror") }), [doubles(1), list(1, 1)], 'unknown mode "mirror"'],
    [nodeOf("Range"), [list(1), list(2), list(0)], "its step (input 2) is 0"],
    [nodeOf("Concat", { axis: int(0) }), [doubles(1), list(1)], "element types differ: float64 and int64"],
    [
      nodeOf("SoftmaxCrossEntropy", {}, "kofn"),
      [tensorFrom("float64", [1, 2], [0, 0]), list(2)],
      "label 2 is none of the 2 classes",
    ],
    [
      nodeOf("Dropout"),
      [doubles(1), doubles(0.5).reshaped([]), tensorFrom("bool", [], [1])],
      "training_mode is true: random dropout can't be evaluated",
    ],
  ];
  test.each(cases)("%#", (node, inputs, message) => {
    expect(() => evaluateNode(node, inputs)).toThrow(InputError);
    expect(() => evaluateNode(node, inputs)).toThrow(message);
  });

  test("types without arithmetic", () => {
    const half = new Tensor("float16", [1], new Uint8Array(2));
    expect(() => evaluateNode(nodeOf("Exp"), [half])).toThrow(KofnError);
  });
});

/** y = Relu(x * w), z = Log(x) */
function small(): Graph {
  const graph = emptyGraph("small");
  graph.inputs.push({ name: "x", type: { dtype: "float64", shape: ["n", 2] } });
  graph.initializers.set("w", doubles(2, -1));
  graph.nodes.push({ ...nodeOf("Mul"), inputs: ["x", "w"], outputs: ["product"] });
  graph.nodes.push({ ...nodeOf("Relu"), inputs: ["product"], outputs: ["y"] });
  graph.nodes.push({ ...nodeOf("Gather"), inputs: ["x", "absent"], outputs: ["z"] });
  graph.outputs.push({ name: "y", type: undefined });
  return graph;
}

describe("graphs", () => {
  const x = tensorFrom("float64", [1, 2], [3, 4]);

  test("compute what is wanted, and only that", () => {
    const values = evaluateGraph(small(), new Map([["x", x]]));
    expect([...values].map(([name, value]) => [name, value.numbers()])).toEqual([["y", [6, 0]]]);
    const inner = evaluateGraph(small(), new Map([["x", x]]), ["product", "w"]);
    expect(inner.get("product")?.numbers()).toEqual([6, -4]);
    expect(inner.get("w")?.numbers()).toEqual([2, -1]);
  });

  test("a feed stands in for a value, a constant too", () => {
    const product = evaluateGraph(small(), new Map([["product", doubles(-1, 5)]]));
    expect(product.get("y")?.numbers()).toEqual([0, 5]);
    const weights = evaluateGraph(
      small(),
      new Map([
        ["x", x],
        ["w", doubles(1, 1)],
      ]),
    );
    expect(weights.get("y")?.numbers()).toEqual([3, 4]);
  });

  test("missing and misfit feeds", () => {
    expect(() => evaluateGraph(small(), new Map())).toThrow('its input "x" has no value; feed it');
    expect(() => evaluateGraph(small(), new Map([["x", doubles(1)]]))).toThrow(
      'graph input "x" takes float64 [n, 2], got float64 [1]',
    );
    expect(() => evaluateGraph(small(), new Map([["x", x]]), ["nothing"])).toThrow(
      'no value "nothing" to compute',
    );
  });
});
