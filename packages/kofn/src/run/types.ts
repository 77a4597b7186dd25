/** What a training run is asked for, what it tells while it runs, and what it reports. */

import type { EpochMetrics, Progress } from "@kofn/format/run/types.js";
import type { Provider } from "@kofn/format/run/words.js";
import type { Augmentation } from "../data/augment.js";
import type { Normalization } from "../data/normalization.js";
import type { Dataset } from "../data/types.js";
import type { Heatmap } from "../metrics/heatmaps.js";
import type { Model } from "../onnx/model.js";
import type { Tensor } from "../onnx/tensor.js";
import type { OptimizerOptions } from "../optim/options.js";
import type {
  BatchNormMode,
  DistillOptions,
  LearningRateSchedule,
  SamplerOptions,
} from "../options/types.js";
import type { Amount, Budget, PruneSpec } from "../prune/types.js";
import type { QuantizeSpec } from "../quantize/types.js";

/** What `train` is asked for. Only `model` and `data` are needed. */
export interface TrainOptions {
  readonly model: Model;
  readonly data: Dataset;
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
  /**
   * Masks to train with, one for each pruned weight, which stay as they are. Exactly k of each group, as the rules say that
   * prune the weights. Default: masks are learned.
   */
  readonly masks?: ReadonlyMap<string, Tensor<"uint8">>;
  /** Train on the first so many samples. */
  readonly limit?: number;
  /** Called often while training; cheap work only. */
  readonly onProgress?: (progress: Progress) => void;
  /** Called after each epoch, with pictures of its masks. */
  readonly onEpoch?: (epoch: EpochMetrics, heatmaps: readonly Heatmap[]) => void;
  /** Called after each epoch but the last with all that a run needs to go on from there. */
  readonly onCheckpoint?: (checkpoint: Checkpoint) => Promise<void>;
  /** Goes on from a checkpoint of a run with the same options. */
  readonly resume?: Checkpoint;
  /** Stops the run before its next step: `train` then throws the signal's reason. */
  readonly signal?: AbortSignal;
}

/** A run between two epochs. Going on from it gives exactly the result of a run that was never interrupted. */
export interface Checkpoint {
  /**
   * Parameters, optimizer states and logits ("current/NAME"), those of the best epoch ("best/NAME"), and which units the
   * masks of the epochs so far have kept ("chosen/WEIGHT").
   */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** The epochs so far. */
  readonly metrics: readonly EpochMetrics[];
  /** How long the run took so far. */
  readonly seconds: number;
}
