/** Shape inference over the matrix of operator cases: what it says must be true of what the evaluator computes. */

import { expect, test } from "vitest";
import { evaluateNode } from "../../src/onnx/evaluate/node.js";
import { inferNode } from "../../src/onnx/infer/node.js";
import type { Dim, ValueType } from "../../src/onnx/model.js";
import { KOFN_OPS, ONNX_OPS } from "../../src/onnx/ops.js";
import type { Tensor } from "../../src/onnx/tensor.js";
import { opCases } from "../support/ops.js";

const cases = [...opCases()];

/** How much of the inputs inference is told. */
const VIEWS: Readonly<
  Record<string, (dims: readonly number[], input: number) => readonly Dim[] | undefined>
> = {
  "all dimensions": (dims) => dims,
  "a name for the first dimension": (dims, input) =>
    dims.map((dim, axis) => (axis === 0 ? `d${input}_0` : dim)),
  "names for all dimensions": (dims, input) => dims.map((_, axis) => `d${input}_${axis}`),
  "the rank": (dims) => dims.map(() => undefined),
  nothing: () => undefined,
};

function sizeOfDim(dim: Dim, inputs: readonly (Tensor | undefined)[]): number | undefined {
  if (typeof dim !== "string") return dim;
  const [input, axis] = dim.slice(1).split("_").map(Number);
  return inputs[input]?.dims[axis];
}

function checkAgainst(
  inferred: readonly ValueType[],
  outputs: readonly Tensor[],
  inputs: readonly (Tensor | undefined)[],
) {
  expect(inferred.map(({ dtype }) => dtype)).toEqual(outputs.map(({ dtype }) => dtype));
  for (const [i, { shape }] of inferred.entries()) {
    if (shape === undefined) continue;
    const { dims } = outputs[i];
    expect(shape.map((dim, axis) => sizeOfDim(dim, inputs) ?? dims[axis])).toEqual(dims);
  }
}

test("the matrix has every operator", () => {
  const covered = new Set(cases.map(({ op }) => op));
  expect([...ONNX_OPS, ...KOFN_OPS].filter((op) => !covered.has(op))).toEqual([]);
});

for (const [view, shapeOf] of Object.entries(VIEWS)) {
  test(`inference that knows ${view} agrees with evaluation`, () => {
    for (const { title, node, inputs } of cases) {
      const outputs = evaluateNode(node, inputs);
      const types = inputs.map((value, i) => value && { dtype: value.dtype, shape: shapeOf(value.dims, i) });
      try {
        checkAgainst(inferNode(node, types, inputs), outputs, inputs);
        checkAgainst(inferNode(node, types, []), outputs, inputs);
      } catch (error) {
        throw new Error(title, { cause: error });
      }
    }
  });
}
