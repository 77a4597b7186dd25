/**
 * Methods of pruning that compute their masks, where DPP learns them: when a method chooses, and by which scores. The k units of a
 * row with the largest scores are kept, until it chooses again.
 */

import type { Granularity } from "@kofn/format/run/words.js";
import type { Random } from "../../random.js";

/** A step of a run, as methods look at it. */
export interface Moment {
  /** From 0. */
  readonly step: number;
  /** Of the whole run. */
  readonly steps: number;
  /** The share of training over which k falls to its target. */
  readonly shrink: readonly [from: number, to: number];
}

/** What a method may look at when it chooses the masks of a step: of one layer, R rows of n units. */
export interface Choice extends Moment {
  readonly rows: number;
  readonly n: number;
  /** How many units of each row the next step keeps. */
  readonly k: number;
  /** 1 at the units that the step before kept, [R, n]; undefined before the first step. */
  readonly kept: Uint8Array | undefined;
  /** Whether the weights were trained before this run. */
  readonly pretrained: boolean;
  /** Sum of the magnitudes of each unit's weights, [R, n]. */
  readonly magnitudes: () => Float32Array;
  /** Norm of each unit's weights, [R, n]. */
  readonly norms: () => Float32Array;
  /**
   * dL/du of each unit in the last step, [R, n]: of its weight times its mask for {@link Chooser.gradient} "weights", of its mask for
   * "masks".
   */
  readonly gradient: () => Float32Array;
  /** Numbers of this layer and step alone. */
  readonly random: () => Random;
}

export interface Chooser {
  /** What a unit can be. */
  readonly granularities: readonly Granularity[];
  /** How k may go from n to its target: not at all, at one step, or over many. */
  readonly shrinks: "never" | "at once" | "gradually";
  /** The share of training over which it does by default. */
  readonly shrink: Readonly<Record<"default" | "pretrained", readonly [number, number]>>;
  /**
   * What {@link Choice.gradient} has to give: that of a few batches before the first step, nothing being pruned ("masks"), or that
   * of the step before, also for units that were left out ("weights"). Left out, scores do not read it.
   */
  readonly gradient?: "masks" | "weights";
  /** Whether units that were left out begin with weights of 0 when they come back. */
  readonly growsFromZero?: true;
  /** Whether the masks of a step are chosen anew. Those of step 0 always are. */
  chooses(moment: Moment): boolean;
  /** @returns [R, n] */
  scores(choice: Choice): Float32Array;
}

/** Progress of a step, 0 at the first and 1 at the last. */
export function progressOf({ steps }: Moment, step: number): number {
  return steps > 1 ? step / (steps - 1) : 1;
}

/** Whether this is the first step with k at its target. */
export function reachesTarget(moment: Moment): boolean {
  const [, to] = moment.shrink;
  return progressOf(moment, moment.step) >= to && progressOf(moment, moment.step - 1) < to;
}

/** So many steps lie between two choices: 100, as in the papers, but at least 100 choices in a run. */
export function choosesEvery({ steps }: Moment): number {
  return Math.max(1, Math.min(100, Math.round(steps / 100)));
}
