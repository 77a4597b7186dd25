/** Which operation carries out which operator. */

import type { Fused } from "../graph/fuse.js";
import { QUANTIZE } from "../graph/quantizers.js";
import { BLOCKS } from "../graph/rewrite.js";
import { layerNorm, matmul, reduce, softmax } from "./along.js";
import { batchNorm, binary, isBinary, quantize, unary } from "./elementwise.js";
import { conv, gemm } from "./layers.js";
import { blocks, concat, expand, gather, pad, reshape, slice, transpose } from "./movement.js";
import type { Planner } from "./planner.js";
import { globalMax, mean, pool } from "./pools.js";
import { resize } from "./resize.js";

type Rule = (planner: Planner, fused: Fused) => void;

/** Operators that are no functions of each element. */
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

export function lower(planner: Planner, fused: Fused): void {
  const { op } = fused.node;
  // Every operator without a kernel was refused when shapes were inferred.
  const rule = Object.hasOwn(RULES, op) ? RULES[op] : isBinary(op) ? binary : unary;
  rule(planner, fused);
}
