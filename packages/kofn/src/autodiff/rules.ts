/** The gradient rule of every operator: a total table, so that the compiler names a missing one. */

import type { OpTable } from "../onnx/ops.js";
import type { Rule, RuleContext } from "./rule.js";
import * as batchNorm from "./rules/batch-norm.js";
import * as elementwise from "./rules/elementwise.js";
import * as index from "./rules/index.js";
import * as linear from "./rules/linear.js";
import * as reduce from "./rules/reduce.js";
import * as shape from "./rules/shape.js";

const SECOND_ORDER: Rule = {
  forbidden: "it is a gradient itself, and kofn computes first derivatives alone",
};

// The relaxed k-hot sample stands in for the mask (straight-through); noise and temperature are given.
function kOfN({ b, node, inputs: [phi, noise, tau], dY, gradName }: RuleContext): (string | undefined)[] {
  return [b.op("KofNGrad", [dY, phi, noise, tau], Object.fromEntries(node.attributes), gradName(0))];
}

export const RULES: OpTable<Rule> = {
  Abs: elementwise.abs,
  Add: elementwise.add,
  And: "zero",
  ArgMax: "zero",
  AveragePool: linear.averagePool,
  BatchNormalization: batchNorm.batchNormalization,
  Cast: shape.cast,
  Clip: elementwise.clip,
  Concat: shape.concat,
  Constant: "zero",
  ConstantOfShape: "zero",
  Conv: linear.conv,
  ConvTranspose: { forbidden: "the gradient of a transposed convolution is not yet written" },
  CumSum: reduce.cumSum,
  Div: elementwise.div,
  Dropout: shape.identity,
  Equal: "zero",
  Exp: elementwise.exp,
  Expand: shape.expand,
  Flatten: shape.reshape,
  Gather: index.gather,
  GatherElements: index.gatherElements,
  Gemm: linear.gemm,
  GlobalAveragePool: reduce.globalAveragePool,
  Greater: "zero",
  GreaterOrEqual: "zero",
  Identity: shape.identity,
  Less: "zero",
  LessOrEqual: "zero",
  Log: elementwise.log,
  LogSoftmax: reduce.logSoftmax,
  MatMul: linear.matMul,
  Max: elementwise.extremum,
  MaxPool: linear.maxPool,
  Min: elementwise.extremum,
  Mul: elementwise.mul,
  Neg: elementwise.neg,
  Not: "zero",
  Or: "zero",
  Pad: shape.pad,
  Pow: elementwise.pow,
  Range: "zero",
  Reciprocal: elementwise.reciprocal,
  ReduceMax: reduce.reduceMax,
  ReduceMean: reduce.reduceMean,
  ReduceSum: reduce.reduceSum,
  Relu: elementwise.relu,
  Reshape: shape.reshape,
  ScatterElements: index.scatterElements,
  Shape: "zero",
  Sigmoid: elementwise.sigmoid,
  Sign: "zero",
  Slice: shape.slice,
  Softmax: reduce.softmax,
  Split: shape.split,
  Sqrt: elementwise.sqrt,
  Squeeze: shape.reshape,
  Sub: elementwise.sub,
  Sum: elementwise.sum,
  Tanh: elementwise.tanh,
  TopK: index.topK,
  Transpose: shape.transpose,
  Unsqueeze: shape.reshape,
  Where: elementwise.where,

  ReluGrad: SECOND_ORDER,
  ConvGradInput: SECOND_ORDER,
  ConvGradWeight: SECOND_ORDER,
  MaxPoolGrad: SECOND_ORDER,
  AveragePoolGrad: SECOND_ORDER,
  BatchNorm: batchNorm.batchNorm,
  BatchNormGrad: SECOND_ORDER,
  SoftmaxCrossEntropy: reduce.softmaxCrossEntropy,
  SoftmaxCrossEntropyGrad: SECOND_ORDER,
  KofN: kOfN,
  KofNGrad: SECOND_ORDER,
};
