/** Which operation carries out which operator. */

import type { Fused } from "../graph/fuse.js";
import { BINARY, BLOCKS, each, type Op, QUANTIZE, REDUCTIONS, UNARY } from "../graph/operators.js";
import { layerNorm, matmul, reduce, softmax } from "./along.js";
import { batchNorm, binary, quantize, unary } from "./elementwise.js";
import { conv, gemm } from "./layers.js";
import { blocks, concat, expand, gather, pad, reshape, slice, transpose } from "./movement.js";
import type { Planner } from "./planner.js";
import { globalMax, mean, pool } from "./pools.js";
import { resize } from "./resize.js";

type Rules = { readonly [O in Op]: (planner: Planner, fused: Fused<O>) => void };

const RULES: Rules = {
  ...each(UNARY, unary),
  ...each(BINARY, binary),
  ...each(REDUCTIONS, reduce),
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
  LayerNormalization: layerNorm,
  Resize: resize,
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
};

export function lower<O extends Op>(planner: Planner, fused: Fused<O>): void {
  RULES[fused.node.op](planner, fused);
}
