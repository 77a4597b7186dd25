/** A matrix of operator cases: every operator with its attributes, shapes and broadcasts, and inputs away from kinks. */

import { activationCases } from "./ops/activation.js";
import { batchNormCases } from "./ops/batch-norm.js";
import type { OpCase } from "./ops/case.js";
import { convolutionCases } from "./ops/convolution.js";
import { elementwiseCases } from "./ops/elementwise.js";
import { movementCases } from "./ops/movement.js";
import { normalizationCases } from "./ops/normalization.js";
import { poolCases } from "./ops/pool.js";
import { productCases } from "./ops/product.js";
import { rearrangeCases } from "./ops/rearrange.js";
import { reduceCases } from "./ops/reduce.js";
import { resizeCases } from "./ops/resize.js";
import { trainingCases } from "./ops/training.js";

export type { OpCase } from "./ops/case.js";

/** Every operator at least once, in float64; some also with integers. The same cases every time. */
export function* opCases(): Generator<OpCase> {
  yield* elementwiseCases();
  yield* activationCases();
  yield* normalizationCases();
  yield* movementCases();
  yield* rearrangeCases();
  yield* resizeCases();
  yield* reduceCases();
  yield* productCases();
  yield* convolutionCases();
  yield* poolCases();
  yield* batchNormCases();
  yield* trainingCases();
}

/** Cases that onnxruntime does not compute, or computes against the definition, by title. */
export const NOT_IN_ONNXRUNTIME: Readonly<Record<string, string>> = {
  "ReduceSum: large int64": "onnxruntime sums int64 in double precision",
  "LRN: size 4, 3 channels": "onnxruntime takes odd sizes alone",
  "LRN: size 4, 6 channels": "onnxruntime takes odd sizes alone",
};
