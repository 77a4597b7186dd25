/** The reference evaluator (and with it, the shapes it infers) against onnxruntime, over the matrix of operator cases. */

import * as ort from "onnxruntime-node";
import { expect, test } from "vitest";
import { encodeModelBytes } from "../../src/onnx/codec.js";
import { DATA_TYPES } from "../../src/onnx/dtype.js";
import { evaluateNode } from "../../src/onnx/evaluate/node.js";
import { emptyGraph, int, IR_VERSION, type Model, type Node, OPSET } from "../../src/onnx/model.js";
import { type Tensor, tensorFrom } from "../../src/onnx/tensor.js";
import { NOT_IN_ONNXRUNTIME, opCases } from "../support/ops.js";

/** onnxruntime has hardly a float64 kernel, so floats are compared in float32. */
function single(value: Tensor): Tensor {
  return value.dtype === "float64" ? tensorFrom("float32", value.dims, value.numbers()) : value;
}

/** Casts go to float32 as well. */
function singleNode(node: Node): Node {
  const to = node.attributes.get("to");
  if (to?.kind !== "int" || Number(to.value) !== DATA_TYPES.float64.code) return node;
  return { ...node, attributes: new Map(node.attributes).set("to", int(DATA_TYPES.float32.code)) };
}

function modelOf(node: Node, inputs: readonly (Tensor | undefined)[], outputs: readonly Tensor[]): Model {
  const graph = emptyGraph("case");
  graph.nodes.push(node);
  for (const [i, value] of inputs.entries()) {
    if (value === undefined) continue;
    if (value.dtype === "float32") {
      graph.inputs.push({ name: `x${i}`, type: { dtype: value.dtype, shape: value.dims } });
    } else {
      graph.initializers.set(`x${i}`, value);
    }
  }
  for (const [i, { dtype }] of outputs.entries()) {
    graph.outputs.push({ name: `y${i}`, type: { dtype, shape: undefined } });
  }
  return {
    irVersion: IR_VERSION,
    producerName: "kofn",
    producerVersion: "",
    opsets: new Map([["", OPSET]]),
    graph,
    metadata: new Map(),
  };
}

async function runOnnxruntime(model: Model, inputs: readonly (Tensor | undefined)[]): Promise<ort.Tensor[]> {
  const session = await ort.InferenceSession.create(encodeModelBytes(model), {
    intraOpNumThreads: 1,
    logSeverityLevel: 3,
  });
  const feeds = Object.fromEntries(
    model.graph.inputs.map(({ name }): [string, ort.Tensor] => {
      const value = inputs[Number(name.slice(1))] as Tensor<"float32">;
      return [name, new ort.Tensor("float32", value.array(), value.dims)];
    }),
  );
  const results = await session.run(feeds);
  await session.release();
  return model.graph.outputs.map(({ name }) => results[name]);
}

const cases = [...opCases()].filter(({ node }) => node.domain === "");

test("cases have titles of their own", () => {
  const titles = cases.map(({ title }) => title);
  expect(titles.filter((title, i) => titles.indexOf(title) !== i)).toEqual([]);
  expect(titles).toEqual(expect.arrayContaining(Object.keys(NOT_IN_ONNXRUNTIME)));
});

test.each(cases.filter(({ title }) => !(title in NOT_IN_ONNXRUNTIME)))(
  "$title",
  async ({ node: original, inputs }) => {
    const node = singleNode(original);
    const values = inputs.map((value) => value && single(value));
    const outputs = evaluateNode(node, values);
    const expected = await runOnnxruntime(modelOf(node, values, outputs), values);
    expect(outputs.map(({ dims }) => dims)).toEqual(expected.map(({ dims }) => dims));
    expect(outputs.map(({ dtype }) => dtype)).toEqual(expected.map(({ type }) => type));
    for (const [i, output] of outputs.entries()) {
      const actual = (output as Tensor<"int64" | "float32">).array();
      const reference = expected[i].data as BigInt64Array | Float32Array;
      if (output.dtype !== "float32") {
        expect(actual).toEqual(reference);
        continue;
      }
      for (let j = 0; j < actual.length; j++) {
        const [a, b] = [Number(actual[j]), Number(reference[j])];
        if (!(Math.abs(a - b) <= 2e-6 + 2e-6 * Math.abs(b)) && !Object.is(a, b)) {
          throw new Error(`output ${i}, element ${j}: ${a}, onnxruntime has ${b}`);
        }
      }
    }
  },
);
