/** What runs training steps: one interface, whatever computes what where. */

import type { Optimizer } from "../optim/optimizer.js";
import type { LayerMask } from "../prune/mask.js";
import type { PlannedActivation } from "../quantize/plan.js";
import type { Quantization } from "../quantize/types.js";
import type { FeedArray } from "../task/task.js";
import type { Phase, PlannedMask, StepPlan } from "./plan.js";
import type { State } from "./state.js";

/** What an optimizer's formula reads in a step. */
export type UpdateScalars = ReturnType<Optimizer["scalars"]>;

/** How a step's masks are drawn: they are a function of the logits and this. */
export interface Draw {
  /** Number of the step in the run, from 0. */
  readonly step: number;
  /** Scale of the noise. */
  readonly beta: number;
  /** k of each layer. */
  readonly k: readonly number[];
}

/** All that a step is told of the schedules. */
export interface At {
  readonly draw: Draw;
  readonly phase: Phase;
  /** Temperature of the relaxed masks. */
  readonly tau: number;
  /** What the task's loss reads, by the names of its scalars. */
  readonly task: Readonly<Record<string, number>>;
  readonly weights: UpdateScalars;
  /** At rate 0 where masks are frozen. */
  readonly logits: UpdateScalars;
  /** Of the logarithms of quantization scales. */
  readonly scales: UpdateScalars;
}

/** What a step gave. */
export interface StepResult {
  readonly loss: number;
  /** What the task counts, in its order. */
  readonly counts: readonly number[];
}

/**
 * Runs the steps of a plan. A step is: fill `batch`, `forward`, `learn`.
 *
 * @example
 * step.draw(at.draw);
 * batch.images.set(pixels);
 * const { loss } = await step.forward(at);
 * step.learn(at, next); // and the masks of the next step are drawn
 */
export interface Step {
  readonly plan: StepPlan;
  /** The arrays of the task's feeds, by name, which whoever trains fills. */
  readonly batch: ReadonlyMap<string, FeedArray>;
  readonly state: State;
  /**
   * To be called once before all else.
   *
   * @throws KofnError if threads can't be had.
   */
  open(): Promise<void>;
  /** Draws masks: those of the first step of an epoch, or after the state was restored. */
  draw(draw: Draw): void;
  /**
   * Before the first quantized step: sets learned scales of weights to where they begin.
   *
   * @param masks the deterministic masks of the logits
   */
  beginWeights(masks: readonly LayerMask[]): void;
  /** Then: sets the scales of activations to where they begin. */
  beginActivations(scales: ReadonlyMap<PlannedActivation, number>): void;
  /** Runs the graph on the batch. */
  forward(at: At): Promise<StepResult>;
  /**
   * What {@link forward} found of a mask, until {@link learn}: dL/d of what the graph reads, of units that are left out, too.
   *
   * @throws TypeError if the graph keeps its gradients.
   */
  maskGradient(mask: PlannedMask): Float32Array;
  /**
   * Learns from what {@link forward} found.
   *
   * @param next masks that are drawn then, as {@link draw} would
   */
  learn(at: At, next?: Draw): void;
  /** Codes and scales of what is quantized, under deterministic masks. */
  quantization(masks: readonly LayerMask[]): Quantization;
  /** Names of the learned scales among the tensors of the state. */
  readonly scaleNames: readonly string[];
  close(): Promise<void>;
}
