/** What a training run is asked for, what it tells while it runs, and what it reports. */

import type { EpochMetrics, Progress } from "@kofn/format/run/types.js";
import type { Dataset } from "../data/types.js";
import type { Heatmap } from "../metrics/heatmaps.js";
import type { Model } from "../onnx/model.js";
import type { Tensor } from "../onnx/tensor.js";
import type { PlainOptions } from "../options/types.js";
import type { GivenMasks } from "../prune/given-masks.js";

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
}
