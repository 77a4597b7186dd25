/** How many inputs and outputs each operator has. */

import type { Node } from "../model.js";
import type { OpTable } from "../ops.js";
import { fail } from "./support.js";

interface Arity {
  /** Fewest and most inputs; the first of them can't be left out. */
  readonly inputs: readonly [number, number];
  readonly outputs: readonly [number, number];
}

function arity(inputs: readonly [number, number], outputs: readonly [number, number] = [1, 1]): Arity {
  return { inputs, outputs };
}

const NONE = arity([0, 0]);
const UNARY = arity([1, 1]);
const UNARY_OR_AXES = arity([1, 2]);
const BINARY = arity([2, 2]);
const TERNARY = arity([3, 3]);
const ANY = arity([1, Infinity]);

export const ARITY: OpTable<Arity> = {
  Abs: UNARY,
  Add: BINARY,
  And: BINARY,
  ArgMax: UNARY,
  AveragePool: UNARY,
  BatchNormalization: arity([5, 5]),
  Cast: UNARY,
  Clip: arity([1, 3]),
  Concat: ANY,
  Constant: NONE,
  ConstantOfShape: UNARY,
  Conv: arity([2, 3]),
  ConvTranspose: arity([2, 3]),
  CumSum: BINARY,
  Div: BINARY,
  Dropout: arity([1, 3], [1, 2]),
  Equal: BINARY,
  Exp: UNARY,
  Expand: BINARY,
  Flatten: UNARY,
  Gather: BINARY,
  GatherElements: BINARY,
  Gemm: arity([2, 3]),
  GlobalAveragePool: UNARY,
  Greater: BINARY,
  GreaterOrEqual: BINARY,
  Identity: UNARY,
  Less: BINARY,
  LessOrEqual: BINARY,
  Log: UNARY,
  LogSoftmax: UNARY,
  MatMul: BINARY,
  Max: ANY,
  MaxPool: arity([1, 1], [1, 2]),
  Min: ANY,
  Mul: BINARY,
  Neg: UNARY,
  Not: UNARY,
  Or: BINARY,
  Pad: arity([2, 4]),
  Pow: BINARY,
  Range: TERNARY,
  Reciprocal: UNARY,
  ReduceMax: UNARY_OR_AXES,
  ReduceMean: UNARY_OR_AXES,
  ReduceSum: UNARY_OR_AXES,
  Relu: UNARY,
  Reshape: BINARY,
  ScatterElements: TERNARY,
  Shape: UNARY,
  Sigmoid: UNARY,
  Sign: UNARY,
  Slice: arity([3, 5]),
  Softmax: UNARY,
  Split: arity([1, 2], [1, Infinity]),
  Sqrt: UNARY,
  Squeeze: UNARY_OR_AXES,
  Sub: BINARY,
  Sum: ANY,
  Tanh: UNARY,
  TopK: arity([2, 2], [2, 2]),
  Transpose: UNARY,
  Unsqueeze: BINARY,
  Where: TERNARY,
  ReluGrad: BINARY,
  ConvGradInput: BINARY,
  ConvGradWeight: BINARY,
  MaxPoolGrad: TERNARY,
  AveragePoolGrad: UNARY,
  BatchNorm: arity([3, 3], [3, 3]),
  BatchNormGrad: arity([5, 5], [3, 3]),
  SoftmaxCrossEntropy: BINARY,
  SoftmaxCrossEntropyGrad: BINARY,
  KofN: arity([3, 3]),
  KofNGrad: arity([4, 4]),
};

/**
 * Checks the number of a node's inputs and outputs, and that none is left out that the operator needs.
 *
 * @throws InputError naming the node.
 */
export function checkArity(node: Node, present: readonly boolean[], { inputs, outputs }: Arity): void {
  if (present.length < inputs[0] || present.length > inputs[1]) {
    fail(node, `takes ${range(inputs, "input")}, found ${present.length}`);
  }
  if (node.outputs.length < outputs[0] || node.outputs.length > outputs[1]) {
    fail(node, `has ${range(outputs, "output")}, found ${node.outputs.length}`);
  }
  const needed = inputs[1] === Infinity ? present.length : inputs[0];
  const missing = present.findIndex((given, index) => !given && index < needed);
  if (missing >= 0) fail(node, `input ${missing} is required, but it is left out`);
}

function range([least, most]: readonly [number, number], what: string): string {
  if (least === most) return `${least} ${what}${least === 1 ? "" : "s"}`;
  return most === Infinity ? `at least ${least} ${what}s` : `${least} to ${most} ${what}s`;
}
