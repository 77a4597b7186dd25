/** The gradient of Resize. */

import { resizedAxes, resizeTaps } from "../../onnx/infer/resize.js";
import { sizeOf, tensorFrom } from "../../onnx/tensor.js";
import type { RuleContext } from "../rule.js";
import { floatType } from "./shape.js";

// Y = A X along each axis, with one or two weights in each row of A: dX = A^T dY. A product with a small matrix is one pass.
export function resize({ b, node, inputs, dY, gradName }: RuleContext): (string | undefined)[] {
  const [x] = inputs;
  const dims = b.shape(x);
  const constantOf = (i: number) => b.graph.initializers.get(inputs.at(i) ?? "");
  const axes = resizedAxes(node, dims.length, constantOf(2), constantOf(3)) ?? [];
  let gradient = dY;
  for (const resized of axes) {
    const { axis } = resized;
    const shape = b.shape(gradient);
    const { low, high, weight } = resizeTaps(node, resized, dims[axis]);
    const [before, after] = [dims[axis], low.length];
    const isLast = axis === dims.length - 1;
    const matrix = new Float64Array(before * after);
    low.forEach((_, row) => {
      const at = (place: number): number => (isLast ? row * before + place : place * after + row);
      matrix[at(low[row])] += 1 - weight[row];
      matrix[at(high[row])] += weight[row];
    });
    if (before === after && low.every((place, row) => place === row && weight[row] === 0)) continue;
    const matrixDims = isLast ? [after, before] : [before, after];
    const stored = tensorFrom(floatType(b.dtype(x)), matrixDims, matrix);
    const weights = b.initializer(`${x}/resizing`, stored);
    const [outer, inner] = [sizeOf(shape.slice(0, axis)), sizeOf(shape.slice(axis + 1))];
    const rows = b.reshape(gradient, isLast ? [outer, after] : [outer, after, inner]);
    const product = b.op("MatMul", isLast ? [rows, weights] : [weights, rows]);
    gradient = b.reshape(product, shape.with(axis, before));
  }
  return [gradient === dY ? b.op("Identity", [dY], {}, gradName(0)) : gradient];
}
