/** The numbers of operators and attributes: files that were written must be read as they were meant for ever. */

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ATTRIBUTES, OPERATORS } from "../../src/file/operators.js";

const numbered = (names: readonly string[]): string => names.map((name, i) => `${i + 1} ${name}`).join(", ");

// New names are added at the end; whatever else changes here makes files unreadable.
const FROZEN_OPERATORS = `
  1 Abs, 2 Add, 3 And, 4 ArgMax, 5 ArgMin, 6 AveragePool, 7 BatchNormalization, 8 Cast, 9 Ceil, 10 Celu,
  11 Clip, 12 Concat, 13 Constant, 14 ConstantOfShape, 15 Conv, 16 ConvTranspose, 17 Cos, 18 CumSum,
  19 DepthToSpace, 20 Div, 21 Dropout, 22 Elu, 23 Equal, 24 Erf, 25 Exp, 26 Expand, 27 EyeLike,
  28 Flatten, 29 Floor, 30 Gather, 31 GatherElements, 32 GatherND, 33 Gelu, 34 Gemm, 35 GlobalAveragePool,
  36 GlobalLpPool, 37 GlobalMaxPool, 38 Greater, 39 GreaterOrEqual, 40 GroupNormalization, 41 HardSigmoid,
  42 HardSwish, 43 Identity, 44 InstanceNormalization, 45 IsInf, 46 IsNaN, 47 LRN, 48 LayerNormalization,
  49 LeakyRelu, 50 Less, 51 LessOrEqual, 52 Log, 53 LogSoftmax, 54 LpNormalization, 55 MatMul, 56 Max,
  57 MaxPool, 58 Mean, 59 Min, 60 Mish, 61 Mod, 62 Mul, 63 Neg, 64 Not, 65 OneHot, 66 Or, 67 PRelu,
  68 Pad, 69 Pow, 70 Range, 71 Reciprocal, 72 ReduceL1, 73 ReduceL2, 74 ReduceLogSum, 75 ReduceLogSumExp,
  76 ReduceMax, 77 ReduceMean, 78 ReduceMin, 79 ReduceProd, 80 ReduceSum, 81 ReduceSumSquare, 82 Relu,
  83 Reshape, 84 Resize, 85 Round, 86 ScatterElements, 87 Selu, 88 Shape, 89 Sigmoid, 90 Sign, 91 Sin,
  92 Slice, 93 Softmax, 94 Softplus, 95 Softsign, 96 SpaceToDepth, 97 Split, 98 Sqrt, 99 Squeeze, 100 Sub,
  101 Sum, 102 Tanh, 103 ThresholdedRelu, 104 Tile, 105 TopK, 106 Transpose, 107 Unsqueeze, 108 Where,
  109 Shrink
`;
const FROZEN_ATTRIBUTES = `
  1 alpha, 2 beta, 3 gamma, 4 epsilon, 5 momentum, 6 axis, 7 axes, 8 allowzero, 9 approximate,
  10 auto_pad, 11 batch_dims, 12 bias, 13 blocksize, 14 ceil_mode, 15 coordinate_transformation_mode,
  16 count_include_pad, 17 cubic_coeff_a, 18 dilations, 19 direction, 20 dtype, 21 exclude_outside,
  22 exclusive, 23 extrapolation_value, 24 group, 25 keepdims, 26 kernel_shape, 27 lambd, 28 largest,
  29 max, 30 min, 31 mode, 32 nearest_mode, 33 noop_with_empty_axes, 34 num_groups, 35 num_outputs,
  36 output_padding, 37 output_shape, 38 p, 39 pads, 40 perm, 41 reduction, 42 reverse, 43 saturate,
  44 select_last_index, 45 size, 46 sorted, 47 stash_type, 48 storage_order, 49 strides, 50 to,
  51 training_mode, 52 transA, 53 transB, 54 value, 55 antialias, 56 keep_aspect_ratio_policy,
  57 block_size, 58 fmod
`;

test.each([
  ["operators", OPERATORS, FROZEN_OPERATORS],
  ["attributes", ATTRIBUTES, FROZEN_ATTRIBUTES],
])("%s have the numbers that they had, and that docs/format.md says", (_, names, frozen) => {
  const said = frozen.trim().replaceAll(/\s+/g, " ");
  expect(numbered(names)).toBe(said);
  expect(new Set(names).size).toBe(names.length);
  expect(readFileSync(new URL("../../../../docs/format.md", import.meta.url), "utf8")).toContain(
    `: ${said}.\n`,
  );
});
