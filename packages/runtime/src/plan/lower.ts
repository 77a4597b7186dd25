/** Which operation carries out which operator. */

import type { Fused } from "../graph/fuse.js";
import { refuse } from "../graph/node.js";
import { QUANTIZE } from "../graph/quantizers.js";
import { BLOCKS } from "../graph/rewrite.js";
import { layerNorm, matmul, reduce, softmax } from "./along.js";
import { batchNorm, binary, quantize, unary } from "./elementwise.js";
import { conv, gemm } from "./layers.js";
import { blocks, concat, expand, gather, pad, reshape, slice, transpose } from "./movement.js";
import type { Planner } from "./planner.js";
import { globalMax, mean, pool } from "./pools.js";
import { resize } from "./resize.js";

type Rule = (planner: Planner, fused: Fused) => void;

const RULES: Readonly<Record<string, Rule>> = {
  [QUANTIZE]: quantize,
  Conv: conv,
  Gemm: gemm,
  MatMul: (planner, fused) => {
    const weight = planner.constant(fused.node.inputs[1]);
    (weight?.dims.length === 2 ? gemm : matmul)(planner, fused);
  },
  BatchNormalization: batchNorm,
  MaxPool: pool,
  AveragePool: pool,
  GlobalMaxPool: globalMax,
  GlobalAveragePool: mean,
  ReduceMean: reduce,
  ReduceSum: reduce,
  ReduceMax: reduce,
  ReduceMin: reduce,
  LayerNormalization: layerNorm,
  Resize: resize,
  Add: binary,
  Sub: binary,
  Mul: binary,
  Div: binary,
  Max: binary,
  Min: binary,
  PRelu: binary,
  Softmax: softmax,
  LogSoftmax: softmax,
  Identity: reshape,
  Dropout: reshape,
  Flatten: reshape,
  Reshape: reshape,
  Squeeze: reshape,
  Unsqueeze: reshape,
  Transpose: transpose,
  Concat: concat,
  Slice: slice,
  Split: slice,
  Gather: gather,
  Expand: expand,
  Pad: pad,
  DepthToSpace: blocks,
  [BLOCKS]: blocks,
  Relu: unary,
  Clip: unary,
  LeakyRelu: unary,
  Sigmoid: unary,
  HardSigmoid: unary,
  HardSwish: unary,
  Tanh: unary,
  Erf: unary,
  Gelu: unary,
  Elu: unary,
  Exp: unary,
  Abs: unary,
  Neg: unary,
  Sqrt: unary,
  Reciprocal: unary,
  Softsign: unary,
  Selu: unary,
  Log: unary,
  Softplus: unary,
  Floor: unary,
  Ceil: unary,
  Round: unary,
};

export function lower(planner: Planner, fused: Fused): void {
  if (!Object.hasOwn(RULES, fused.node.op)) refuse(fused.node, "the runtime has no kernel for this operator");
  RULES[fused.node.op](planner, fused);
}
