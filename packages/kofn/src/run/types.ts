/** What a training run is asked for, what it tells while it runs, and what it reports. */

import type { EpochMetrics, Progress, Report, RunInputs } from "@kofn/format/run/types.js";
import type { Dataset } from "../data/types.js";
import type { Heatmap } from "../metrics/heatmaps.js";
import type { Model } from "../onnx/model.js";
import type { Tensor } from "../onnx/tensor.js";
import type { Config } from "../options/config.js";
import type { PlainOptions } from "../options/types.js";
import type { GivenMasks } from "../prune/given-masks.js";
import type { Quantization } from "../quantize/types.js";

/** What `train` is asked for. Only `model` and `data` are needed. */
export interface TrainOptions extends PlainOptions {
  readonly model: Model;
  readonly data: Dataset;
  /**
   * Masks to train with, one for each pruned weight, which stay as they are. Exactly k of each group, as the rules say that
   * prune the weights. Default: masks are learned.
   */
  readonly masks?: GivenMasks;
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
  /** What the run is made from; in run directories, but for those of older versions. */
  readonly inputs?: RunInputs;
}

/** All that a finished run leaves. */
export interface RunContents {
  readonly model: Model;
  /** The model at the shapes of the masks; the same object where no maps were removed. */
  readonly masked: Model;
  readonly report: Report;
  readonly masks: ReadonlyMap<string, Tensor<"uint8">>;
  readonly metrics: readonly EpochMetrics[];
  readonly config: Config;
  readonly quantization: Quantization;
  readonly heatmaps: RunHeatmaps;
}

/** Pictures of a run's masks, one for each mask. */
export interface RunHeatmaps {
  /** Of each epoch; those before a checkpoint that the run went on from are not here. */
  readonly epochs: readonly (readonly Heatmap[])[];
  /** Of the masks that the run ends with. */
  readonly result: readonly Heatmap[];
}

/** A finished run, read back. */
export interface StoredRun extends Omit<RunContents, "model" | "masked" | "heatmaps"> {
  /** The run directory. */
  readonly path: string;
  /** The path of model.onnx. */
  readonly modelPath: string;
  /** The path of the model whose weights have the masks' shapes: model.masked.onnx, or model.onnx without `maps`. */
  readonly maskedPath: string;
}

export interface RunDirectoryOptions {
  /** Replace the run that the folder holds. Other files in it stay. Default false. */
  readonly overwrite?: boolean;
}
