/** Makes models for tests: small ones in memory, and messages field by field, as other programs may write them. */

import type { Tensor as OrtTensor } from "onnxruntime-node";
import { InferenceSession } from "onnxruntime-node";
import {
  emptyGraph,
  float,
  type Graph,
  int,
  ints,
  IR_VERSION,
  type Model,
  type Node,
  OPSET,
  string,
} from "../../src/onnx/model.js";
import { joinChunks, Writer } from "../../src/onnx/protobuf.js";
import { GRAPH, MODEL, NODE, OPSET_ID, TENSOR, VALUE_INFO } from "../../src/onnx/schema.js";
import { tensorFrom } from "../../src/onnx/tensor.js";

/** A message's bytes. */
export function message(write: (writer: Writer) => void): Uint8Array {
  const writer = new Writer();
  write(writer);
  return joinChunks(writer.finish());
}

export function node(
  op: string,
  inputs: string[],
  outputs: string[],
  attributes: Node["attributes"] = new Map(),
): Node {
  return { op, domain: "", name: "", inputs, outputs, attributes };
}

export function modelOf(graph: Graph): Model {
  return {
    irVersion: IR_VERSION,
    producerName: "test",
    producerVersion: "",
    opsets: new Map([["", OPSET]]),
    graph,
    metadata: new Map(),
  };
}

/** A model with each kind of thing that kofn reads. onnxruntime runs it: y = relu(x . w + b), z = 2 y or y. */
export function smallModel(): Model {
  const branch = (name: string, factor: number): Graph => ({
    ...emptyGraph(name),
    outputs: [{ name: `${name}_z`, type: { dtype: "float32", shape: undefined } }],
    nodes: [node("Mul", ["y", `${name}_factor`], [`${name}_z`])],
    initializers: new Map([[`${name}_factor`, tensorFrom("float32", [], [factor])]]),
  });
  const graph: Graph = {
    ...emptyGraph("small"),
    inputs: [
      { name: "x", type: { dtype: "float32", shape: ["batch", 2] } },
      { name: "double", type: { dtype: "bool", shape: [] } },
    ],
    outputs: [
      { name: "y", type: { dtype: "float32", shape: ["batch", 3] } },
      { name: "z", type: { dtype: "float32", shape: [undefined, 3] } },
    ],
    nodes: [
      node(
        "Gemm",
        ["x", "w", "b"],
        ["h"],
        new Map([
          ["alpha", float(1)],
          ["transB", int(1)],
        ]),
      ),
      node("Relu", ["h"], ["y"]),
      node(
        "If",
        ["double"],
        ["z"],
        new Map([
          ["then_branch", { kind: "graph", value: branch("twice", 2) }],
          ["else_branch", { kind: "graph", value: branch("once", 1) }],
        ]),
      ),
    ],
    initializers: new Map([
      ["w", tensorFrom("float32", [3, 2], [1, 2, 3, 4, -5, -6])],
      ["b", tensorFrom("float32", [3], [0.5, 0, -0.5])],
    ]),
    valueTypes: new Map([["h", { dtype: "float32", shape: ["batch", 3] }]]),
  };
  return { ...modelOf(graph), metadata: new Map([["key", "value"]]) };
}

/** Attributes of every kind that kofn reads but the small model lacks. */
export const OTHER_ATTRIBUTES: Node["attributes"] = new Map([
  ["ints", ints([0, -1, 2 ** 40])],
  ["floats", { kind: "floats", value: [0, -1.5, 1e30].map(Math.fround) }],
  ["string", string("é")],
  ["strings", { kind: "strings", value: [new Uint8Array(), new Uint8Array([255, 0])] }],
  ["tensor", { kind: "tensor", value: tensorFrom("int64", [2], [1, -1]) }],
]);

/** A model "out = Identity(t)" whose initializer t is the given TensorProto. */
export function modelOfTensor(write: (tensor: Writer) => void): Uint8Array {
  return message((model) => {
    model.integer(MODEL.ir_version, 8);
    model.message(MODEL.opset_import, (opset) => {
      opset.integer(OPSET_ID.version, 17);
    });
    model.message(MODEL.graph, (graph) => {
      graph.text(GRAPH.name, "g");
      graph.message(GRAPH.initializer, (tensor) => {
        tensor.text(TENSOR.name, "t");
        write(tensor);
      });
      graph.message(GRAPH.node, (node) => {
        node.text(NODE.input, "t");
        node.text(NODE.output, "out");
        node.text(NODE.op_type, "Identity");
      });
      graph.message(GRAPH.output, (output) => {
        output.text(VALUE_INFO.name, "out");
      });
    });
  });
}

/** Runs a model in onnxruntime. */
export async function run(
  bytes: Uint8Array,
  feeds: Readonly<Record<string, OrtTensor>> = {},
): Promise<Readonly<Record<string, OrtTensor>>> {
  const session = await InferenceSession.create(bytes, { intraOpNumThreads: 1, logSeverityLevel: 4 });
  try {
    return await session.run(feeds);
  } finally {
    await session.release();
  }
}
