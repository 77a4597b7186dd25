/** What a training step must know of what a model is trained for: what it is fed, the loss, and what is counted. */

import type { Builder } from "../onnx/builder.js";
import type { Graph } from "../onnx/model.js";

/** An array that a batch fills, and an input of the step. */
export interface Feed {
  readonly name: string;
  readonly dtype: "float32" | "int64";
  readonly dims: readonly number[];
}

/** The array of a feed. */
export type FeedArray = Float32Array<ArrayBuffer> | BigInt64Array<ArrayBuffer>;

/** Gives the name that a value of the model has in the step. */
export type ValueOf = (name: string) => string;

/** A task bound to a model and to batches of one size. Steps ask it, and know nothing of images or labels themselves. */
export interface BoundTask {
  /** The model for batches of the step's size, from its inputs to what the loss reads, with all shapes known. */
  readonly graph: Graph;
  readonly feeds: readonly Feed[];
  /** Of each input of the graph the feed that it reads. */
  readonly inputs: ReadonlyMap<string, string>;
  /** What is counted over a batch: outputs of the step, one number each. */
  readonly counts: readonly string[];
  /** Appends the loss; its further inputs are scalars, float32. */
  loss(b: Builder, value: ValueOf): TaskLoss;
  /** Appends what is counted, as outputs called {@link counts}. */
  count(b: Builder, value: ValueOf): void;
}

/** The names of what a task's loss is in a step. */
export interface TaskLoss {
  /** Which training lessens. */
  readonly trained: string;
  /** Which people are shown: without what serves training alone, such as a teacher's part. */
  readonly shown: string;
  /** Inputs that the loss has besides the feeds. */
  readonly scalars: readonly string[];
}
