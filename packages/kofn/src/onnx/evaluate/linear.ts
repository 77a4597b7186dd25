/** Evaluation of matrix products. */

import { getFloat, getInt } from "../model.js";
import type { Tensor } from "../tensor.js";
import {
  accumulator,
  arithmeticOf,
  broadcastMap,
  broadcastTo,
  type EvaluateContext,
  type EvaluateRule,
  inputTensor,
  outputTensor,
  type Scalars,
  scalarsOf,
} from "./support.js";

/** A matrix inside an array: element (i, j) lies at offset + i * row + j * column. */
interface Matrix {
  readonly values: Scalars;
  readonly offset: number;
  readonly row: number;
  readonly column: number;
}

/** result[offset + i * columns + j] = sum over l of a(i, l) * b(l, j), in double precision or in bigints. */
function multiply(
  { dtype }: Tensor,
  a: Matrix,
  b: Matrix,
  [rows, inner, columns]: readonly [number, number, number],
  result: Scalars,
  offset: number,
): void {
  const { add, multiply: times, zero } = arithmeticOf(dtype);
  const left = a.values;
  const right = b.values;
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      let p = a.offset + i * a.row;
      let q = b.offset + j * b.column;
      let sum = zero;
      for (let l = 0; l < inner; l++, p += a.column, q += b.row) sum = add(sum, times(left[p], right[q]));
      result[offset + i * columns + j] = sum;
    }
  }
}

function gemm(context: EvaluateContext): Tensor {
  const { node, inputs, outputs } = context;
  const a = inputTensor(context, 0);
  const b = inputTensor(context, 1);
  const [type] = outputs;
  const [rows, columns] = type.dims;
  const transposedA = getInt(node, "transA", 0) !== 0;
  const transposedB = getInt(node, "transB", 0) !== 0;
  const inner = a.dims[transposedA ? 0 : 1];
  const matrix = (value: Tensor, transposed: boolean): Matrix => ({
    values: scalarsOf(value),
    offset: 0,
    row: transposed ? 1 : value.dims[1],
    column: transposed ? value.dims[1] : 1,
  });
  const result = accumulator(type.dtype, rows * columns);
  multiply(a, matrix(a, transposedA), matrix(b, transposedB), [rows, inner, columns], result, 0);
  scaleAndAdd(result, getFloat(node, "alpha", 1), getFloat(node, "beta", 1), inputs[2], type.dims);
  return outputTensor(type, result);
}

/** result = alpha * result + beta * bias */
function scaleAndAdd(
  result: Scalars,
  alpha: number,
  beta: number,
  bias: Tensor | undefined,
  dims: readonly number[],
): void {
  const added = bias === undefined || beta === 0 ? undefined : broadcastTo(bias, dims);
  for (let i = 0; i < result.length; i++) {
    const [product, constant] = [result[i], added?.[i] ?? 0];
    if (typeof product === "number") result[i] = alpha * product + beta * Number(constant);
    else result[i] = BigInt(Math.trunc(alpha)) * product + BigInt(Math.trunc(beta)) * BigInt(constant);
  }
}

function matMul(context: EvaluateContext): Tensor {
  const a = inputTensor(context, 0);
  const b = inputTensor(context, 1);
  const [type] = context.outputs;
  const left = a.dims.length === 1 ? [1, ...a.dims] : a.dims;
  const right = b.dims.length === 1 ? [...b.dims, 1] : b.dims;
  const [rows, inner] = left.slice(-2);
  const [, columns] = right.slice(-2);
  const batch = type.dims.slice(0, Math.max(left.length, right.length) - 2);
  const starts = {
    left: broadcastMap(left.slice(0, -2), batch),
    right: broadcastMap(right.slice(0, -2), batch),
  };
  const values = { left: scalarsOf(a), right: scalarsOf(b) };
  const result = accumulator(type.dtype, starts.left.length * rows * columns);
  for (let i = 0; i < starts.left.length; i++) {
    const p = { values: values.left, offset: starts.left[i] * rows * inner, row: inner, column: 1 };
    const q = { values: values.right, offset: starts.right[i] * inner * columns, row: columns, column: 1 };
    multiply(a, p, q, [rows, inner, columns], result, i * rows * columns);
  }
  return outputTensor(type, result);
}

export const linear = {
  Gemm: (context) => [gemm(context)],
  MatMul: (context) => [matMul(context)],
} as const satisfies Record<string, EvaluateRule>;
