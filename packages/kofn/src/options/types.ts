/** What a training run is asked for, apart from the model, the data, and who listens. */

import type { OptimizerOptions } from "../optim/options.js";
import type { Budget, PruneSpec } from "../prune/types.js";
import type { QuantizeSpec } from "../quantize/types.js";
import type { Given } from "./fields.js";
import type { SAMPLER } from "./table/sampler.js";
import type { FIELDS } from "./table.js";

/** Settings of the k-of-n sampler (DPP). */
export interface SamplerOptions extends Given<typeof SAMPLER> {
  /** Optimizer of the logits. Default Adam, with the rate of `--logit-lr`. */
  readonly optimizer?: OptimizerOptions;
}

/**
 * The options of `train` that are plain data: the fields of the table of options, and what several options say together. Their
 * defaults are those of the command line (docs/cli.md); for a pretrained model those that it gives for .onnx files.
 */
export interface PlainOptions extends Given<typeof FIELDS> {
  /**
   * The model's weights are trained already: masks begin with the largest of them, k shrinks to its target while the
   * network adapts, and rates are those of fine-tuning. Default false.
   */
  readonly pretrained?: boolean;
  /** What is pruned to how much, by the names of layers. Default: nothing. */
  readonly prune?: PruneSpec;
  /** Keep so much of the whole model, each layer its part; layers that `prune` names keep what it says. Not with `keep`. */
  readonly budget?: Budget;
  /** What is learned in few bits. Default: nothing. */
  readonly quantize?: QuantizeSpec;
  /** Optimizer of the weights. Default Adam, with the rate of `--lr`. */
  readonly optimizer?: OptimizerOptions;
  readonly sampler?: SamplerOptions;
}

/** How the learning rate goes over training. */
export type LearningRateSchedule = NonNullable<PlainOptions["schedule"]>;

/** What batch normalisation does in training. */
export type BatchNormMode = NonNullable<PlainOptions["batchNorm"]>;

/** Knowledge distillation: the teacher's share of the loss, and the temperature of both softmaxes. */
export type DistillOptions = NonNullable<PlainOptions["distill"]>;
