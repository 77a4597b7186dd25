/**
 * The units with the largest weights stay: |w|, summed over the weights of a unit, or the norm of a unit (L2). At one moment, after
 * which the network learns on (Han et al., "Learning both Weights and Connections for Efficient Neural Networks", NIPS 2015; norms
 * of filters: Li et al., "Pruning Filters for Efficient ConvNets", ICLR 2017), or little by little (see `gradual.ts`).
 */

import { type Chooser, reachesTarget } from "./chooser.js";

/** A network from scratch is dense for half of training. */
const AT_ONCE = { default: [0.5, 0.5], pretrained: [0, 0] } as const;

/** score = sum over the unit of |w| */
export const magnitude: Chooser = {
  granularities: ["weights", "kernels", "maps"],
  shrinks: "at once",
  shrink: AT_ONCE,
  chooses: reachesTarget,
  scores: (choice) => choice.magnitudes(),
};

/** score = sqrt(sum over the unit of w^2) */
export const l2: Chooser = {
  granularities: ["kernels", "maps"],
  shrinks: "at once",
  shrink: AT_ONCE,
  chooses: reachesTarget,
  scores: (choice) => choice.norms(),
};
