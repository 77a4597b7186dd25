/** What a training run is asked for, what it tells while it runs, and what it reports. */

import type { Augmentation } from "../data/augment.js";
import type { Normalization } from "../data/normalization.js";
import type { Dataset } from "../data/types.js";
import type { Heatmap } from "../metrics/heatmaps.js";
import type { LayerMetrics } from "../metrics/masks.js";
import type { LayerSize } from "../metrics/size.js";
import type { Model } from "../onnx/model.js";
import type { Tensor } from "../onnx/tensor.js";
import type { QuantizeSpec } from "../quantize/types.js";
import type { Amount, Budget, BudgetResult, Granularity, PruneSpec } from "../prune/types.js";

export const PROVIDERS = ["cpu", "wasm", "webgpu", "cuda"] as const;
/** Where onnxruntime computes. This version runs on "cpu" (onnxruntime-node) and "wasm" (onnxruntime-web). */
export type Provider = (typeof PROVIDERS)[number];

/** Adam, with the defaults of its authors: beta1 0.9, beta2 0.999, epsilon 1e-8, no weight decay. */
export interface AdamOptions {
  readonly kind: "adam";
  readonly lr: number;
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
  /** Decoupled weight decay (AdamW). */
  readonly weightDecay?: number;
}

/** Stochastic gradient descent. Momentum and weight decay are 0 by default. */
export interface SgdOptions {
  readonly kind: "sgd";
  readonly lr: number;
  readonly momentum?: number;
  readonly nesterov?: boolean;
  readonly weightDecay?: number;
}

export type OptimizerOptions = AdamOptions | SgdOptions;

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

/** The statistics of batch normalisation measured anew after training, and what that did. */
export interface Recalibration {
  readonly batches: number;
  /** On the validation split. */
  readonly before: Evaluation;
  readonly after: Evaluation;
  /** Whether the model has the new statistics: if it does better with them. */
  readonly kept: boolean;
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

/** How far a run is, a few times a second. */
export interface Progress {
  /** Current epoch, from 1. */
  readonly epoch: number;
  readonly epochs: number;
  /** Steps done in the whole run, and their final number. */
  readonly step: number;
  readonly steps: number;
  /** Running mean of the training loss in this epoch. */
  readonly loss: number;
  readonly learningRate: number;
  readonly tau: number;
  readonly samplesPerSecond: number;
  readonly remainingSeconds: number;
  /** Validation accuracy after the last finished epoch (a fraction). */
  readonly validationAccuracy?: number;
  /** Mean confidence of the masks after the last finished epoch. */
  readonly confidence?: number;
}

/** One line of metrics.jsonl. */
export interface EpochMetrics {
  readonly epoch: number;
  readonly step: number;
  readonly train: { readonly loss: number; readonly accuracy: number };
  readonly validation: Evaluation;
  readonly learningRate: number;
  readonly tau: number;
  /** Scale of the noise in the epoch's last step; 0 where masks are frozen. */
  readonly beta: number;
  readonly samplesPerSecond: number;
  readonly seconds: number;
  /** k of each pruned layer in this epoch, by layer name. */
  readonly k: Readonly<Record<string, number>>;
  /** The masks after this epoch, one per pruned layer or set of coupled layers. Absent in runs of older versions. */
  readonly layers?: readonly MaskMetrics[];
  /** Whether this epoch is the best so far on the validation split, with k at its target. */
  readonly best: boolean;
}

/** One mask after an epoch: the k largest logits of each group. */
export interface MaskMetrics extends Omit<LayerMetrics, "inclusion"> {
  /** The pruned layer; the first of those that share the mask. */
  readonly name: string;
  /** All layers that share the mask, if there are several. */
  readonly members?: readonly string[];
  /** Groups R, units n of a group, and how many of them were kept in the epoch's last step. */
  readonly rows: number;
  readonly n: number;
  readonly k: number;
  /**
   * What changed since the epoch before (in the first, since training began), 0 to 1: the bits that differ over the bits that
   * are set in both masks together; with the same k, |changed bits| / (2 |kept bits|).
   */
  readonly churn: number;
  /** Share of the kept units that the k largest magnitudes of each group would keep, too; a unit's is the sum of its weights' |w|. */
  readonly overlapMagnitude: number;
  /** Units that the mask of no epoch so far has kept. */
  readonly neverChosen: number;
}

/** How well a model does on a split. */
export interface Evaluation {
  readonly loss: number;
  /** A fraction. */
  readonly accuracy: number;
}

/** One row of report.json's `layers`: a pruned weight. */
export interface LayerReport {
  readonly name: string;
  readonly weight: string;
  readonly granularity: Granularity;
  readonly per?: "kernel";
  readonly share?: number;
  /** Layers with the same `group` share one mask of maps; it is the name of the first of them. Absent for a layer alone. */
  readonly group?: string;
  readonly groups: number;
  readonly n: number;
  readonly k: number;
  /** Weights of the layer, and how many of them the mask keeps. */
  readonly weights: number;
  readonly kept: number;
  /** Of the mask of the best epoch, under the noise of that epoch. Those that may be absent are so in reports of older runs. */
  readonly confidence: number;
  readonly diversity: number;
  readonly softmaxConfidence?: number;
  readonly jensenShannon?: number;
  /** Share of the kept units that the largest magnitudes of each group would keep, too. */
  readonly overlapMagnitude?: number;
  /** Units that the mask of no epoch of the run has kept. */
  readonly neverChosen?: number;
  /** How many units have an inclusion probability in each twentieth of [0, 1]. */
  readonly inclusion?: readonly number[];
}

/** One row of report.json's `shapes`: a layer before and after maps are removed. */
export interface ShapeReport {
  readonly name: string;
  readonly weight: string;
  /** Dimensions of the weight in model.masked.onnx, and in model.onnx. */
  readonly before: readonly number[];
  readonly after: readonly number[];
  /** Multiply-accumulates for one sample: dense, and of the weights that are left and kept by their mask. */
  readonly macsBefore: number;
  readonly macsAfter: number;
}

/** report.json */
export interface Report {
  readonly kofn: string;
  readonly model: string;
  readonly seed: number;
  readonly provider: Provider;
  readonly data: {
    readonly name: string;
    readonly train: number;
    readonly validation: number;
    readonly test: number;
    /** Names of the classes, in the order of the logits. Absent in reports of older runs. */
    readonly classes?: readonly string[];
  };
  readonly result: { readonly validation: Evaluation; readonly test: Evaluation };
  /** Where the model has batch normalisation. */
  readonly recalibration?: Recalibration;
  readonly totals: {
    /**
     * Weights of all layers that could be pruned, without biases; and those that are kept. With `maps`, weights that
     * read removed maps are not kept, as they are not in model.onnx either.
     */
    readonly weights: number;
    readonly kept: number;
    /** weights / kept */
    readonly compression: number;
    /** Multiply-accumulates of one forward pass for one sample: dense, and with kept weights alone. */
    readonly macs: number;
    readonly macsKept: number;
    /** Bytes of all parameters as float32. */
    readonly bytesDense: number;
    /** Bytes of the .kofn file that `kofn pack` writes of the run. */
    readonly bytesPacked: number;
    /**
     * Bytes of its parameters at the limit: kept values as float32 or in the bits of their format, scales, and masks in
     * log2 C(n, k) bits per group.
     */
    readonly bytesLimit: number;
  };
  /** What the budget asked for and what became of it, if there was one. */
  readonly budget?: BudgetResult;
  readonly layers: readonly LayerReport[];
  /** All layers with weights: the bits of a weight, and the bytes that they take when packed. Absent in reports of older runs. */
  readonly sizes?: readonly LayerSize[];
  /** All layers that could be pruned, where any was pruned by maps. */
  readonly shapes?: readonly ShapeReport[];
  readonly training: {
    readonly epochs: number;
    readonly steps: number;
    readonly seconds: number;
    readonly samplesPerSecond: number;
  };
}
