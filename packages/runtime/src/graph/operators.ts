/** The operators that the runtime computes. Tables that these lists type do not compile until every operator has an entry. */

import type { Operator } from "@kofn/format/file/operators.js";

/** An operator that a file can have, or one that the runtime makes of such. */
type Known = Operator | `kofn:${string}`;

/** Functions of each element of a value. */
export const UNARY = [
  "Abs",
  "Clip",
  "Elu",
  "Erf",
  "Exp",
  "Gelu",
  "HardSigmoid",
  "HardSwish",
  "LeakyRelu",
  "Log",
  "Mish",
  "Neg",
  "Reciprocal",
  "Relu",
  "Selu",
  "Shrink",
  "Sigmoid",
  "Softplus",
  "Softsign",
  "Sqrt",
  "Tanh",
] as const satisfies readonly Known[];

/** Functions of the elements of two values. */
export const BINARY = ["Add", "Sub", "Mul", "Div", "Max", "Min", "PRelu"] as const satisfies readonly Known[];

/** Numbers of all elements along axes. */
export const REDUCTIONS = [
  "ReduceSum",
  "ReduceMean",
  "ReduceMax",
  "ReduceMin",
] as const satisfies readonly Known[];

/** Quantizes an activation: what quantizers.ts puts into a graph. */
export const QUANTIZE = "kofn:Quantize";

/** Channels become blocks of cells, of which borders are left out: the end of a ConvTranspose, as rewrite.ts writes it. */
export const BLOCKS = "kofn:Blocks";

/** All others. */
export const OTHERS = [
  "AveragePool",
  "BatchNormalization",
  BLOCKS,
  "Concat",
  "Conv",
  "DepthToSpace",
  "Dropout",
  "Expand",
  "Flatten",
  "Gather",
  "Gemm",
  "GlobalAveragePool",
  "GlobalMaxPool",
  "Identity",
  "LayerNormalization",
  "LogSoftmax",
  "MatMul",
  "MaxPool",
  "Pad",
  QUANTIZE,
  "Reshape",
  "Resize",
  "Slice",
  "Softmax",
  "Split",
  "Squeeze",
  "Transpose",
  "Unsqueeze",
] as const satisfies readonly Known[];

export type Unary = (typeof UNARY)[number];
export type Binary = (typeof BINARY)[number];
export type Reduction = (typeof REDUCTIONS)[number];
export type Op = Unary | Binary | Reduction | (typeof OTHERS)[number];
/** Operators of files that rewrite.ts writes as those of above. */
export type Rewritten = "ConvTranspose" | "Pow" | "Split";

/** A part of a table: the same entry for each of these operators. */
export function each<O extends Op, T>(ops: readonly O[], entry: T): Record<O, T> {
  return Object.fromEntries(ops.map((op) => [op, entry])) as Record<O, T>;
}
