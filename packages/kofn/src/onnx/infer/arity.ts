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
  ArgMin: UNARY,
  AveragePool: UNARY,
  BatchNormalization: arity([5, 5]),
  Cast: UNARY,
  Ceil: UNARY,
  Celu: UNARY,
  Clip: arity([1, 3]),
  Concat: ANY,
  Constant: NONE,
  ConstantOfShape: UNARY,
  Conv: arity([2, 3]),
  ConvTranspose: arity([2, 3]),
  Cos: UNARY,
  CumSum: BINARY,
  DepthToSpace: UNARY,
  Div: BINARY,
  Dropout: arity([1, 3], [1, 2]),
  Elu: UNARY,
  Equal: BINARY,
  Erf: UNARY,
  Exp: UNARY,
  Expand: BINARY,
  EyeLike: UNARY,
  Flatten: UNARY,
  Floor: UNARY,
  Gather: BINARY,
  GatherElements: BINARY,
  GatherND: BINARY,
  Gelu: UNARY,
  Gemm: arity([2, 3]),
  GlobalAveragePool: UNARY,
  GlobalLpPool: UNARY,
  GlobalMaxPool: UNARY,
  Greater: BINARY,
  GreaterOrEqual: BINARY,
  GroupNormalization: TERNARY,
  HardSigmoid: UNARY,
  HardSwish: UNARY,
  Identity: UNARY,
  InstanceNormalization: TERNARY,
  IsInf: UNARY,
  IsNaN: UNARY,
  LRN: UNARY,
  LayerNormalization: arity([2, 3], [1, 3]),
  LeakyRelu: UNARY,
  Less: BINARY,
  LessOrEqual: BINARY,
  Log: UNARY,
  LogSoftmax: UNARY,
  LpNormalization: UNARY,
  MatMul: BINARY,
  Max: ANY,
  MaxPool: arity([1, 1], [1, 2]),
  Mean: ANY,
  Min: ANY,
  Mish: UNARY,
  Mod: BINARY,
  Mul: BINARY,
  Neg: UNARY,
  Not: UNARY,
  OneHot: TERNARY,
  Or: BINARY,
  PRelu: BINARY,
  Pad: arity([2, 4]),
  Pow: BINARY,
  Range: TERNARY,
  Reciprocal: UNARY,
  ReduceL1: UNARY_OR_AXES,
  ReduceL2: UNARY_OR_AXES,
  ReduceLogSum: UNARY_OR_AXES,
  ReduceLogSumExp: UNARY_OR_AXES,
  ReduceMax: UNARY_OR_AXES,
  ReduceMean: UNARY_OR_AXES,
  ReduceMin: UNARY_OR_AXES,
  ReduceProd: UNARY_OR_AXES,
  ReduceSum: UNARY_OR_AXES,
  ReduceSumSquare: UNARY_OR_AXES,
  Relu: UNARY,
  Reshape: BINARY,
  Resize: arity([1, 4]),
  Round: UNARY,
  ScatterElements: TERNARY,
  Selu: UNARY,
  Shape: UNARY,
  Shrink: UNARY,
  Sigmoid: UNARY,
  Sign: UNARY,
  Sin: UNARY,
  Slice: arity([3, 5]),
  Softmax: UNARY,
  Softplus: UNARY,
  Softsign: UNARY,
  SpaceToDepth: UNARY,
  Split: arity([1, 2], [1, Infinity]),
  Sqrt: UNARY,
  Squeeze: UNARY_OR_AXES,
  Sub: BINARY,
  Sum: ANY,
  Tanh: UNARY,
  ThresholdedRelu: UNARY,
  Tile: BINARY,
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
  FakeQuantize: BINARY,
  FakeQuantizeGrad: arity([3, 3], [2, 2]),
  FakeBinarize: BINARY,
  FakeBinarizeGrad: arity([3, 3], [2, 2]),
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
