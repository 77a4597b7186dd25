/** What a run tells of itself in its files, report.json and metrics.jsonl, and how far it is. */

import type { ProcessName } from "./liveness.js";
import type { Allocation, Granularity, Method, Provider, WeightFormat } from "./words.js";

/** What the weights of a layer take when packed. */
export interface LayerSize {
  readonly name: string;
  readonly weight: string;
  readonly format: WeightFormat | "float32";
  /** Of one weight. */
  readonly bits: number;
  /** Weights that are left. */
  readonly kept: number;
  readonly bytes: {
    /** Kept values, those of each group of a mask in whole bytes. */
    readonly weights: number;
    /** The mask; that of maps which are removed takes none, and that of several layers counts for the first. */
    readonly indices: number;
    /** 4 for each output channel of a quantized weight. */
    readonly scales: number;
  };
}

export interface LayerMetrics {
  /** 0: each unit is as likely kept as any other; 1: the mask is certain. */
  readonly confidence: number;
  /** 0: all groups choose alike; up to `confidence` when they choose differently. */
  readonly diversity: number;
  /** 1 - softmaxEntropy. */
  readonly softmaxConfidence: number;
  /** jensenShannon. */
  readonly jensenShannon: number;
  /** inclusionHistogram. */
  readonly inclusion: readonly number[];
}

/** What became of a budget. */
export interface BudgetResult {
  readonly of: "weights" | "macs";
  readonly granularity: Granularity;
  readonly allocation: Allocation;
  readonly round: number;
  /** Fractions of the weights or multiply-accumulates of the dense model. */
  readonly requested: number;
  readonly achieved: number;
  /** Weights or multiply-accumulates: of the dense model, at most to be kept, and kept. */
  readonly total: number;
  readonly limit: number;
  readonly kept: number;
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

/** The process that has a run directory open. */
export interface Owner extends ProcessName {
  /** When it opened the directory, as ISO 8601 has it. Older versions do not say. */
  readonly started?: string | undefined;
}

/** running.json: which process has the directory open, and once it trains, with which settings, and how far it is. */
export interface Running extends Owner, Partial<Progress> {
  /** The run's settings, which config.json holds from the first epoch on. */
  readonly config?: Readonly<Record<string, unknown>>;
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
  /** How the masks were chosen. Absent in reports of older runs, which are of "dpp". */
  readonly method?: Method;
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

/** What a run is made from, by SHA-256 sums in hex. */
export interface RunInputs {
  /** The version of kofn that took them. */
  readonly kofn: string;
  readonly model: string;
  readonly data: string;
  /** Where masks were given. */
  readonly masks?: string;
}
