/** Shape inference: names of dimensions, errors, and whole graphs. */

import { describe, expect, test } from "vitest";
import { InputError } from "../../src/errors.js";
import type { DataType } from "../../src/onnx/dtype.js";
import { inferGraph } from "../../src/onnx/infer.js";
import { inferNode } from "../../src/onnx/infer/node.js";
import {
  type Attribute,
  type Dim,
  emptyGraph,
  type Graph,
  int,
  ints,
  type Node,
  OPSET,
  type ValueType,
} from "../../src/onnx/model.js";
import { type Tensor, tensorFrom } from "../../src/onnx/tensor.js";

function nodeOf(op: string, attributes: Readonly<Record<string, Attribute>> = {}, name = "n"): Node {
  return {
    op,
    domain: "",
    name,
    inputs: [],
    outputs: ["y"],
    attributes: new Map(Object.entries(attributes)),
  };
}

const type = (shape: readonly Dim[] | undefined, dtype: DataType = "float32"): ValueType => ({
  dtype,
  shape,
});
const list = (...values: readonly number[]) => tensorFrom("int64", [values.length], values);

function shapeOf(
  node: Node,
  shapes: readonly (readonly Dim[] | undefined)[],
  constants: readonly (Tensor | undefined)[] = [],
): readonly Dim[] | undefined {
  const types = shapes.map((shape, i) => type(shape, constants[i]?.dtype));
  return inferNode(node, types, constants)[0].shape;
}

describe("names of dimensions", () => {
  test("pass through", () => {
    const same = { pads: ints([1, 1, 1, 1]) };
    expect(
      shapeOf(nodeOf("MatMul"), [
        ["batch", 784],
        [784, 10],
      ]),
    ).toEqual(["batch", 10]);
    expect(
      shapeOf(nodeOf("Gemm", { transB: int(1) }), [
        ["batch", 784],
        [10, 784],
      ]),
    ).toEqual(["batch", 10]);
    expect(
      shapeOf(nodeOf("Conv", same), [
        ["batch", 1, "h", 28],
        [6, 1, 3, 3],
      ]),
    ).toEqual(["batch", 6, "h", 28]);
    expect(
      shapeOf(nodeOf("Conv"), [
        ["batch", 1, "h", 28],
        [6, 1, 3, 3],
      ]),
    ).toEqual(["batch", 6, undefined, 26]);
    expect(shapeOf(nodeOf("Flatten"), [["batch", 16, 5, 5]])).toEqual(["batch", 400]);
    expect(shapeOf(nodeOf("Flatten"), [[2, "c", 5]])).toEqual([2, undefined]);
    expect(
      shapeOf(nodeOf("Concat", { axis: int(1) }), [
        ["batch", 2],
        ["batch", 3],
      ]),
    ).toEqual(["batch", 5]);
    expect(shapeOf(nodeOf("ReduceMean"), [["batch", 3], [1]], [undefined, list(1)])).toEqual(["batch", 1]);
    const starts = [undefined, list(1), list(3), list(1)];
    expect(shapeOf(nodeOf("Slice"), [["batch", 9], [1], [1], [1]], starts)).toEqual(["batch", 2]);
  });

  test("broadcast", () => {
    expect(
      shapeOf(nodeOf("Add"), [
        ["batch", 3],
        ["batch", 1],
      ]),
    ).toEqual(["batch", 3]);
    expect(shapeOf(nodeOf("Add"), [["batch", 3], [3]])).toEqual(["batch", 3]);
    expect(shapeOf(nodeOf("Add"), [["a"], ["b"]])).toEqual([undefined]);
    expect(shapeOf(nodeOf("Add"), [["a"], [5]])).toEqual([5]);
    expect(shapeOf(nodeOf("Add"), [undefined, [5]])).toBeUndefined();
  });

  test("reshape", () => {
    const reshape = (shape: readonly Dim[], ...target: readonly number[]) =>
      shapeOf(nodeOf("Reshape"), [shape, [target.length]], [undefined, list(...target)]);
    expect(reshape(["batch", 16, 5, 5], -1, 400)).toEqual(["batch", 400]);
    expect(reshape(["batch", 16, 5, 5], 0, -1)).toEqual(["batch", 400]);
    expect(reshape(["batch", 16, 5, 5], -1, 200)).toEqual([undefined, 200]);
    expect(reshape(["batch", "h", 4], 0, -1)).toEqual(["batch", undefined]);
    expect(reshape([2, 3, 4], -1, 6)).toEqual([4, 6]);
    expect(reshape([undefined, 6], 0, 2, 3)).toEqual([undefined, 2, 3]);
    expect(inferNode(nodeOf("Reshape"), [type([2, 3]), type([2], "int64")], [])).toEqual([
      type([undefined, undefined]),
    ]);
  });
});

describe("errors name the node, the operator and the shapes", () => {
  const cases: readonly [
    node: Node,
    inputs: readonly (ValueType | undefined)[],
    message: string,
    values?: readonly (Tensor | undefined)[],
  ][] = [
    [
      nodeOf("Gemm", { transB: int(1) }, "fc1"),
      [type([64, 784]), type([300, 800])],
      'node "fc1" (Gemm): inner dimensions differ: [64, 784] x [300, 800]^T',
    ],
    [
      nodeOf("Gemm"),
      [type([64, 784]), type([784, 300]), type([200])],
      'node "n" (Gemm): the bias [200] does not broadcast to [64, 300]',
    ],
    [nodeOf("MatMul"), [type([2, 3]), type(["b", 4, 5])], "inner dimensions differ: [2, 3] x [b, 4, 5]"],
    [
      nodeOf("Add", {}, ""),
      [type([2, 3]), type([4])],
      'the node that makes "y" (Add): shapes do not broadcast: [2, 3] and [4]',
    ],
    [nodeOf("Add"), [type([2]), type([2], "int64")], "element types differ: float32 and int64"],
    [nodeOf("And"), [type([2]), type([2])], "input 0 must have type bool, not float32"],
    [nodeOf("Exp"), [type([2], "int64")], "input 0 must have a floating-point type, not int64"],
    [
      nodeOf("Softmax", { axis: int(2) }),
      [type([2, 3])],
      "axis 2 is out of range for 2 dimensions (-2 to 1)",
    ],
    [
      nodeOf("Conv"),
      [type([1, 3, 8, 8]), type([6, 1, 3, 3])],
      "the weight [6, 1, 3, 3] takes 1 channels, the input [1, 3, 8, 8] differs",
    ],
    [
      nodeOf("Conv", { group: int(2) }),
      [type([1, 4, 8, 8]), type([5, 2, 3, 3])],
      "5 output channels do not divide into 2 groups",
    ],
    [
      nodeOf("Conv", { strides: ints([2]) }),
      [type([1, 1, 8, 8]), type([1, 1, 3, 3])],
      "strides must be 2 values >= 1 (the input has 2 spatial axes), not [2]",
    ],
    [
      nodeOf("MaxPool", { kernel_shape: ints([5, 5]) }),
      [type([1, 1, 3, 8])],
      "the kernel [5, 5] with dilations [1, 1] is larger than the input [3, 8] with pads [0, 0; 0, 0]",
    ],
    [nodeOf("MaxPool"), [type([1, 1, 3, 8])], 'attribute "kernel_shape" is missing'],
    [
      nodeOf("Concat", { axis: int(1) }),
      [type([2, 2]), type([3, 2])],
      "shapes do not fit along axis 1: [2, 2] and [3, 2]",
    ],
    [
      nodeOf("Reshape"),
      [type([2, 3]), type([1], "int64")],
      "can't reshape [2, 3] to [4, -1]",
      [undefined, list(4, -1)],
    ],
    [
      nodeOf("Reshape"),
      [type([2, 3]), type([1], "int64")],
      "can't reshape [2, 3] to [7]",
      [undefined, list(7)],
    ],
    [
      nodeOf("Squeeze"),
      [type([2, 3]), type([1], "int64")],
      "can't squeeze axis 1 of [2, 3]: it is not 1",
      [undefined, list(1)],
    ],
    [nodeOf("Transpose", { perm: ints([0, 0]) }), [type([2, 3])], "perm [0, 0] is no order of 2 axes"],
    [nodeOf("Add"), [type([2])], "takes 2 inputs, found 1"],
    [nodeOf("Add"), [type([2]), undefined], "input 1 is required, but it is left out"],
    [nodeOf("Cast"), [type([2])], 'attribute "to" is 0, which is no known element type'],
    [nodeOf("NoSuchOp"), [], 'node "n" has the operator NoSuchOp, which kofn does not know'],
    [
      { ...nodeOf("KofN", { k: int(5) }), domain: "kofn" },
      [type([2, 4]), type([2, 4]), type([])],
      "can't choose k = 5 of n = 4 units",
    ],
  ];
  test.each(cases)("%#", (node, inputs, message, values = []) => {
    expect(() => inferNode(node, inputs, values)).toThrow(InputError);
    expect(() => inferNode(node, inputs, values)).toThrow(message);
  });
});

/** y = Reshape(x, Concat(Gather(Shape(x), [0]), [-1])), as exporters write a flattening. */
function flattening(shape: readonly Dim[]): Graph {
  const graph = emptyGraph("flattening");
  graph.inputs.push({ name: "x", type: type(shape) });
  graph.initializers.set("zero", list(0));
  graph.initializers.set("rest", list(-1));
  const add = (op: string, inputs: string[], output: string, attributes = {}) =>
    graph.nodes.push({ ...nodeOf(op, attributes, op), inputs, outputs: [output] });
  add("Shape", ["x"], "shape");
  add("Gather", ["shape", "zero"], "batch");
  add("Concat", ["batch", "rest"], "target", { axis: int(0) });
  add("Reshape", ["x", "target"], "y");
  graph.outputs.push({ name: "y", type: undefined });
  return graph;
}

describe("graphs", () => {
  test("shapes that a graph computes are resolved", () => {
    const types = inferGraph(flattening([8, 16, 5, 5]));
    expect(types.get("y")).toEqual(type([8, 400]));
    expect(types.get("target")).toEqual(type([2], "int64"));
    expect(types.get("x")).toEqual(type([8, 16, 5, 5]));
    expect(types.get("rest")).toEqual(type([1], "int64"));
  });

  test("what can't be inferred is taken from the file", () => {
    const graph = flattening(["batch", 16, 5, 5]);
    expect(inferGraph(graph).get("y")).toEqual(type([undefined, undefined]));
    graph.outputs[0].type = type(["batch", 400]);
    expect(inferGraph(graph).get("y")).toEqual(type(["batch", 400]));
  });

  test("values that nothing makes", () => {
    const graph = flattening([8, 4]);
    graph.nodes[1].inputs[1] = "nowhere";
    expect(() => inferGraph(graph)).toThrow(
      'node "Gather" (Gather): nothing before it makes its input "nowhere"',
    );
  });

  test("inputs without a type, and other operator sets", () => {
    const graph = flattening([8, 4]);
    graph.inputs[0].type = undefined;
    expect(() => inferGraph(graph)).toThrow('graph input "x" has no tensor type');
    const model = {
      irVersion: 8,
      producerName: "",
      producerVersion: "",
      opsets: new Map([["", 9]]),
      graph: flattening([8, 4]),
      metadata: new Map<string, string>(),
    };
    expect(() => inferGraph(model)).toThrow(
      `operator set 9, and kofn infers shapes for operator set ${OPSET}`,
    );
    model.opsets.set("", OPSET);
    expect(inferGraph(model).get("y")).toEqual(type([8, 4]));
  });
});
