/** Options of the k-of-n sampler (DPP) and its logits: the fields of `TrainOptions.sampler`. */

import type { OptimizerOptions } from "../../optim/options.js";
import type { ConfigOf } from "../fields.js";
import { notNegative, oneOf, pair, positive } from "../kinds.js";
import { field, option } from "../option.js";
import { isPlainAdam, optimizerObject } from "./optimizer.js";

export const SAMPLER = {
  logitLr: option({
    kind: positive,
    value: "<x>",
    help: "learning rate of the mask logits",
    default: 0.03,
  }),
  logitOptimizer: option({ kind: optimizerObject }),
  /** Temperature of the relaxed mask, linear from first to last step. */
  tau: field({
    kind: pair(
      { form: "A:B" },
      "two temperatures of at least 0.01",
      (from, to) => from >= 0.01 && to >= 0.01,
    ),
    value: "<a:b>",
    help: "temperature of the relaxed masks, from first to last step",
    default: [5, 0.5],
  }),
  /** Scale of the Gumbel noise, linear from first to last step. */
  beta: field({
    kind: pair(
      { form: "A or A:B", single: true },
      "noise scales of at least 0",
      (from, to) => from >= 0 && to >= 0,
    ),
    value: "<a[:b]>",
    help: "scale of the Gumbel noise, from first to last step",
    default: [0.1, 0.1],
    // The noise falls, so that the weights end with the masks that stay.
    pretrained: [0.1, 0.01],
  }),
  /** Weight of the entropy regulariser, sum over groups of H(softmax(phi)). */
  entropy: field({
    kind: notNegative,
    value: "<x>",
    help: "weight of the entropy regulariser",
    default: 0,
  }),
  /** Initial logits: normal with standard deviation 0.5, or the weights' magnitudes, brought to that deviation in each group. */
  init: field({
    kind: oneOf(["normal", "magnitude"]),
    value: "<how>",
    help: "mask logits: normal, or from the weights' magnitude",
    default: "normal",
    pretrained: "magnitude",
  }),
  /** k falls from n to its target over this share of training (cubic). With [0, 0] it is at its target from the start. */
  shrink: field({
    kind: pair(
      { form: "A:B" },
      "two shares of training, 0 <= A <= B <= 1",
      (from, to) => from >= 0 && from <= to && to <= 1,
    ),
    value: "<a:b>",
    help: "share of training over which k falls from n to its target",
    default: [0, 0],
    pretrained: [0, 0.5],
  }),
};

/** The options of {@link SAMPLER} that make an optimizer. */
type LogitConfig = Pick<ConfigOf<typeof SAMPLER>, "logit-lr" | "logit-optimizer">;

/** The optimizer of the logits that a config asks for; that of an empty one is the default. */
export function logitOptimizer(config: LogitConfig): OptimizerOptions {
  const { "logit-lr": lr = SAMPLER.logitLr.default, "logit-optimizer": optimizer } = config;
  return optimizer ?? { kind: "adam", lr };
}

/** What {@link logitOptimizer} reads back. */
export function logitOptimizerConfig(optimizer: OptimizerOptions): LogitConfig {
  return isPlainAdam(optimizer) && optimizer.weightDecay === undefined
    ? { "logit-lr": optimizer.lr }
    : { "logit-optimizer": optimizer };
}
