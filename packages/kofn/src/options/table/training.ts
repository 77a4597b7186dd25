/** Options that say how training goes beside the optimizers: batch normalisation, images, distillation, the machine. */

import { availableParallelism } from "node:os";
import { PROVIDERS } from "@kofn/format/run/words.js";
import { formatAugmentation, parseAugmentation } from "../../data/augment.js";
import { formatNormalization, parseNormalization } from "../../data/normalization.js";
import { count, oneOf, pair, parsed, toggle } from "../kinds.js";
import { field, fieldAs, option } from "../option.js";

/** Knowledge distillation: the model as it was given is the teacher of the one that is trained. */
export interface DistillOptions {
  /** Share of the teacher in the loss, above 0 and at most 1; the labels have the rest. */
  readonly weight: number;
  /** Temperature of both softmaxes. */
  readonly temperature: number;
}

export const TRAINING = {
  /**
   * What batch normalisation does in training: "train" normalises by the statistics of the batch and moves the running ones;
   * "frozen" keeps those of the model and normalises by them.
   */
  batchNorm: field({
    kind: oneOf(["train", "frozen"]),
    value: "<mode>",
    help: "statistics of batch normalisation: train or frozen",
    default: "train",
  }),
  skipBadImages: option({ kind: toggle, help: "go on without images that can't be decoded" }),
  /**
   * What is done to training images at random; {} for nothing. Without it, what the data set asks for (crop and flip for
   * photographs, else nothing).
   */
  augment: fieldAs({
    kind: parsed("none, or a list such as crop:4,flip", parseAugmentation),
    value: "<list>",
    help: "none, or of crop:PIXELS, flip, cutout:PIXELS, mixup:A",
    otherwise: "the data set's",
    fromConfig: parseAugmentation,
    toConfig: formatAugmentation,
  }),
  /**
   * How pixels are normalised; it is recorded in the trained model's metadata. Without it, as the model's metadata says; without
   * that, the data set's own for a network that kofn has built, and for others what they do best with.
   */
  normalize: fieldAs({
    kind: parsed("none, or MEAN/STD such as 0.49,0.48,0.45/0.25,0.24,0.26", parseNormalization),
    value: "<how>",
    help: "none, or MEAN/STD per channel",
    otherwise: "the model's or the data set's",
    fromConfig: parseNormalization,
    toConfig: formatNormalization,
  }),
  /**
   * After training, the statistics of batch normalisation are measured anew over so many batches such as training makes, and
   * kept if the model then does better on the validation split. 0 leaves it out. Frozen statistics stay as they are.
   */
  recalibrate: field({
    kind: count(0),
    value: "<n>",
    help: "batches that measure batch normalisation anew after training",
    default: 100,
  }),
  /** Knowledge distillation: the model as it was given is the teacher of the one that is trained. */
  distill: fieldAs({
    kind: pair(
      { form: "A:T", inLibrary: "{ weight, temperature }" },
      "the teacher's share of the loss (above 0, at most 1) and a temperature above 0",
      (weight, temperature) => weight > 0 && weight <= 1 && temperature > 0,
    ),
    value: "<a:t>",
    help: "learn from the dense model, too: its share of the loss, and a temperature",
    fromConfig: ([weight, temperature]): DistillOptions => ({ weight, temperature }),
    toConfig: ({ weight, temperature }: DistillOptions) => [weight, temperature] as const,
  }),
  /** Fixes all that is random in training. */
  seed: field({ kind: count(0), value: "<n>", help: "fixes all that is random", default: 1 }),
  /** Threads of onnxruntime, and of the sampler where there is work for them. */
  threads: field({
    kind: count(1),
    value: "<n>",
    help: "threads of onnxruntime and of the sampler",
    default: availableParallelism(),
    otherwise: "the number of cores",
  }),
  /** Where onnxruntime computes. */
  provider: field({
    kind: oneOf(PROVIDERS),
    value: "<name>",
    help: "where onnxruntime computes: cpu, wasm",
    default: "cpu",
  }),
  /** Train on the first so many samples. */
  limit: field({ kind: count(1), value: "<n>", help: "train on the first n samples only" }),
};
