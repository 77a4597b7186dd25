/** What a run does where its options do not say: for a fresh network, and for one that is trained already. */

import type { OptimizerOptions } from "../optim/options.js";
import type { SamplerOptions } from "./types.js";

interface Defaults {
  readonly epochs: number;
  readonly kind: OptimizerOptions["kind"];
  /** Learning rate of each optimizer. */
  readonly lr: Readonly<Record<OptimizerOptions["kind"], number>>;
  readonly momentum: number;
  /** Share of training after which quantization begins. */
  readonly quantizeFrom: number;
  /**
   * Learning rate of the logarithms of quantization scales, by Adam: a step changes a scale by about this share of itself, at the peak
   * of the schedule.
   */
  readonly scaleRate: number;
  readonly sampler: Required<SamplerOptions>;
}

const FRESH: Defaults = {
  epochs: 20,
  kind: "adam",
  lr: { adam: 0.002, sgd: 0.05 },
  momentum: 0,
  quantizeFrom: 0.3,
  scaleRate: 0.03,
  sampler: {
    tau: [5, 0.5],
    beta: [0.1, 0.1],
    entropy: 0,
    init: "normal",
    optimizer: { kind: "adam", lr: 0.03 },
    shrink: [0, 0],
  },
};

/**
 * Masks begin with the largest weights, and k falls to its target while the network adapts. The noise falls, so that the
 * weights end with the masks that stay.
 */
const PRETRAINED: Defaults = {
  epochs: 15,
  kind: "adam",
  lr: { adam: 0.001, sgd: 0.02 },
  momentum: 0.9,
  quantizeFrom: 0,
  scaleRate: 0.01,
  sampler: { ...FRESH.sampler, beta: [0.1, 0.01], init: "magnitude", shrink: [0, 0.5] },
};

/** @param pretrained whether the model's weights are trained already. */
export function defaultsFor(pretrained: boolean): Defaults {
  return pretrained ? PRETRAINED : FRESH;
}

/** The optimizer of a run that names none, or no rate for it. */
export function defaultOptimizer(pretrained: boolean, kind?: OptimizerOptions["kind"]): OptimizerOptions {
  const { lr, momentum, kind: chosen } = defaultsFor(pretrained);
  const used = kind ?? chosen;
  return used === "sgd" && momentum > 0 ? { kind: used, lr: lr.sgd, momentum } : { kind: used, lr: lr[used] };
}
