/** A matrix of operator cases: every operator with its attributes, shapes and broadcasts, and inputs away from kinks. */

import { batchNormCases } from "./ops/batch-norm.js";
import type { OpCase } from "./ops/case.js";
import { convolutionCases } from "./ops/convolution.js";
import { elementwiseCases } from "./ops/elementwise.js";
import { movementCases } from "./ops/movement.js";
import { poolCases } from "./ops/pool.js";
import { productCases } from "./ops/product.js";
import { reduceCases } from "./ops/reduce.js";
import { trainingCases } from "./ops/training.js";

export type { OpCase } from "./ops/case.js";

/** Every operator at least once, in float64; some also with integers. The same cases every time. */
export function* opCases(): Generator<OpCase> {
  yield* elementwiseCases();
  yield* movementCases();
  yield* reduceCases();
  yield* productCases();
  yield* convolutionCases();
  yield* poolCases();
  yield* batchNormCases();
  yield* trainingCases();
}
