/** What is to be pruned, as users say it, and as it was understood for one weight of a model. */

import type { Allocation, Granularity } from "@kofn/format/run/words.js";
import type { PrunableLayer } from "../layers/types.js";

/** How many units of each group are kept. */
export type Amount =
  /** Exactly k units of each group. */
  | { readonly k: number }
  /** The nearest whole number to this fraction of each group (0 < keep <= 1), at least 1. */
  | { readonly keep: number }
  /** k of every n consecutive units of the fan-in (N:M sparsity); granularity `weights` only. */
  | { readonly tile: readonly [k: number, n: number] };

/** How to prune one layer. */
export interface PruneRule {
  readonly granularity: Granularity;
  readonly amount: Amount;
  /** `weights` only: each 2-D kernel is a group, instead of the whole fan-in of an output channel. */
  readonly per?: "kernel";
  /** So many consecutive output channels use one mask. Default 1. */
  readonly share?: number;
}

/**
 * Layer glob -> rule; "none" leaves the layer dense. Later entries win. An object lists keys that are whole numbers
 * ("0") before all others, whatever the order in which they were written; a Map keeps that order.
 */
export type PruneSpec =
  Readonly<Record<string, PruneRule | "none">> | ReadonlyMap<string, PruneRule | "none">;

/** One pruned weight: R groups of n units, of which exactly k are kept. */
export interface PrunedLayer extends PrunableLayer {
  readonly granularity: Granularity;
  readonly per?: "kernel";
  readonly share: number;
  /** R */
  readonly groups: number;
  readonly n: number;
  /** The target k. */
  readonly k: number;
  /**
   * `maps` only: the layers whose maps are kept or removed together, and all that the mask goes on. The layer is the
   * first of them and stands for all. Left out, the layer is alone and its mask goes on its weight and bias.
   */
  readonly set?: MapSet;
}

/** How much of a whole model is kept; the k of each layer follows. Layers that a prune spec names keep what that says. */
export type Budget = (
  | {
      /** The weights of all prunable layers over those that are kept: 10 keeps a tenth. At least 1. */
      readonly weights: number;
    }
  | {
      /** The fraction of the model's multiply-accumulates that is kept (0 < macs <= 1). */
      readonly macs: number;
    }
) & {
  /** What is kept or removed. Default "weights". */
  readonly granularity?: Granularity;
  /** Default "erk". */
  readonly allocation?: Allocation;
  /** Every k is a multiple of this, or n. Default 1. */
  readonly round?: number;
};

/** A layer of a {@link MapSet}. */
export interface MapSetLayer {
  readonly layer: PrunableLayer;
  /** The unit, 0 to n - 1, that each of the layer's output channels belongs to. */
  readonly units: Int32Array;
}

/** A parameter on which a mask of a set's units goes. */
export interface MapCarrier {
  readonly parameter: string;
  readonly axis: number;
  /** For each index along the axis its unit, or -1 for one that belongs to another set. */
  readonly units: Int32Array;
  /**
   * Whether the mask multiplies it while training. It is enough to mask what comes last before other layers read the channel:
   * the batch normalisation after a convolution, and not the convolution as well. Then the gradient of a unit that is not
   * drawn tells what it would be worth, which a product of two masks would not.
   */
  readonly trained: boolean;
}

/** Layers whose output channels can only be removed together, and as which units. */
export interface MapSet {
  /** The name of its first layer. */
  readonly name: string;
  readonly layers: readonly MapSetLayer[];
  /** Units that can be kept or removed: as many as a layer has channels, unless several channels are one unit. */
  readonly n: number;
  readonly carriers: readonly MapCarrier[];
  /** Why none of them can be removed; undefined if they can. */
  readonly refusal?: string;
}
