/** What a training run is asked for, apart from the model, the data, and who listens. */

import type { Provider } from "@kofn/format/run/words.js";
import type { Augmentation } from "../data/augment.js";
import type { Normalization } from "../data/normalization.js";
import type { OptimizerOptions } from "../optim/options.js";
import type { Amount, Budget, PruneSpec } from "../prune/types.js";
import type { QuantizeSpec } from "../quantize/types.js";

/** How the learning rate goes over training. */
export type LearningRateSchedule = "constant" | "cosine" | "linear" | "step";

/**
 * What batch normalisation does in training: "train" normalises by the statistics of the batch and moves the running ones;
 * "frozen" keeps those of the model and normalises by them.
 */
export type BatchNormMode = "train" | "frozen";

/** Knowledge distillation: the model as it was given is the teacher of the one that is trained. */
export interface DistillOptions {
  /** Share of the teacher in the loss, above 0 and at most 1; the labels have the rest. */
  readonly weight: number;
  /** Temperature of both softmaxes. */
  readonly temperature: number;
}

/** Settings of the k-of-n sampler (DPP). */
export interface SamplerOptions {
  /** Temperature of the relaxed mask, linear from first to last step. Default [5, 0.5]. */
  readonly tau?: readonly [from: number, to: number];
  /** Scale of the Gumbel noise, linear from first to last step. Default [0.1, 0.1]; [0.1, 0.01] for a pretrained model. */
  readonly beta?: readonly [from: number, to: number];
  /** Weight of the entropy regulariser, sum over groups of H(softmax(phi)). Default 0. */
  readonly entropy?: number;
  /**
   * Initial logits: normal with standard deviation 0.5, or the weights' magnitudes, brought to that deviation in each group.
   * Default "normal"; "magnitude" for a pretrained model.
   */
  readonly init?: "normal" | "magnitude";
  /** Optimizer of the logits. Default Adam with lr 0.03. */
  readonly optimizer?: OptimizerOptions;
  /**
   * k falls from n to its target over this share of training (cubic). Default [0, 0]: k is at its target from the start;
   * [0, 0.5] for a pretrained model.
   */
  readonly shrink?: readonly [from: number, to: number];
}

/** The options of `train` that are plain data: what a config says. */
export interface PlainOptions {
  /**
   * The model's weights are trained already: masks begin with the largest of them, k shrinks to its target while the
   * network adapts, and rates are those of fine-tuning. Default false.
   */
  readonly pretrained?: boolean;
  readonly prune?: PruneSpec;
  /** Keep this much of every layer but the last; rules of `prune` win. */
  readonly keep?: Amount;
  /** Keep so much of the whole model, each layer its part; layers that `prune` names keep what it says. Not with `keep`. */
  readonly budget?: Budget;
  /** Default 20; 15 for a pretrained model. */
  readonly epochs?: number;
  /** What is learned in few bits. Default: nothing. */
  readonly quantize?: QuantizeSpec;
  /** Share of training after which quantization begins. Default 0.3; 0 for a pretrained model. */
  readonly quantizeFrom?: number;
  /** Share of training after which masks stay as they are, at least where k is at its target. Default: they never do. */
  readonly freezeFrom?: number;
  /** Default 64. */
  readonly batch?: number;
  /** Default Adam with lr 0.002; 0.001 for a pretrained model. */
  readonly optimizer?: OptimizerOptions;
  /** Default "cosine". */
  readonly schedule?: LearningRateSchedule;
  /** Share of training over which the learning rate rises linearly from 0. Default 0. */
  readonly warmup?: number;
  readonly sampler?: SamplerOptions;
  /** Default "train". */
  readonly batchNorm?: BatchNormMode;
  /**
   * After training, the statistics of batch normalisation are measured anew over so many batches such as training makes, and
   * kept if the model then does better on the validation split. 0 leaves it out. Default 100. Frozen statistics stay as they
   * are.
   */
  readonly recalibrate?: number;
  /** Default: none. */
  readonly distill?: DistillOptions;
  /** Default 1. */
  readonly seed?: number;
  /** Threads of onnxruntime, and of the sampler where there is work for them. Default: the number of cores. */
  readonly threads?: number;
  /** Default "cpu". */
  readonly provider?: Provider;
  /**
   * What is done to training images at random; {} for nothing. Default: what the data set asks for (crop and flip for
   * photographs, else nothing).
   */
  readonly augment?: Augmentation;
  /**
   * How pixels are normalised; it is recorded in the trained model's metadata. Default: as the model's metadata says;
   * without it the data set's own for a network that kofn has built, and for others what they do best with.
   */
  readonly normalize?: Normalization | "none";
  /** Train on the first so many samples. */
  readonly limit?: number;
}
