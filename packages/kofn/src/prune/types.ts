/** What is to be pruned, as users say it, and as it was understood for one weight of a model. */

import type { MapGroup } from "./structure/map-groups.js";

export const GRANULARITIES = ["weights", "kernels", "maps"] as const;
/** What one prunable unit is. */
export type Granularity = (typeof GRANULARITIES)[number];

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

/** A layer of a model whose weight can be pruned. */
export interface PrunableLayer {
  /** Name of the layer, as the user writes it: "fc1". */
  readonly name: string;
  /** Name of the weight tensor: "fc1.weight". */
  readonly weight: string;
  /** Name of the bias tensor, where the layer has one. */
  readonly bias?: string;
  /** Dimensions of the weight tensor as stored. */
  readonly dims: readonly number[];
  /** Whether the weight is stored [in, out] (MatMul, Gemm without transB) instead of [out, in, ...kernel]. */
  readonly transposed: boolean;
}

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
  readonly group?: MapGroup;
}

export const ALLOCATIONS = ["erk", "uniform"] as const;
/**
 * How a budget is shared out among layers: by Erdos-Renyi-Kernel, which keeps more of small layers than of large ones, or the same
 * share of each.
 */
export type Allocation = (typeof ALLOCATIONS)[number];

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
