/** What a training run is asked for, apart from the model, the data, and who listens. */

import type { OptimizerOptions } from "../optim/options.js";
import type { TrainOptions } from "../run/types.js";

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

/** The options of `train` without what is no plain data. */
export type PlainOptions = Omit<
  TrainOptions,
  "model" | "data" | "masks" | "onProgress" | "onEpoch" | "onCheckpoint" | "resume" | "signal"
>;
