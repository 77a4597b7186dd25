/** Chooses the k of each layer so that a whole model keeps to a budget of weights or multiply-accumulates. */

import type { BudgetResult } from "@kofn/format/run/types.js";
import { ALLOCATIONS, GRANULARITIES } from "@kofn/format/run/words.js";
import { InputError } from "../errors.js";
import { prunableLayers } from "../layers/layers.js";
import type { PrunableLayer } from "../layers/types.js";
import type { Graph } from "../onnx/model.js";
import { sizeOf } from "../onnx/tensor.js";
import { allocate, smallest } from "./allocation.js";
import { type Choice, choiceOf } from "./budget-choice.js";
import { countMacs } from "./macs.js";
import { planPrune } from "./plan.js";
import { entriesOf, formatShare, resolvePrune } from "./spec.js";
import type { Amount, Budget, PrunedLayer, PruneSpec } from "./types.js";

/** What is to be pruned: parts of the options of `train`. */
export interface PruneOptions {
  readonly prune?: PruneSpec;
  readonly keep?: Amount;
  readonly budget?: Budget;
}

/** How a budget chooses where it does not say. */
export const BUDGET_DEFAULTS = { granularity: "weights", allocation: "erk", round: 1 } as const;

/** The layers to prune, and what became of the budget if there is one. */
export interface PrunePlan {
  readonly layers: PrunedLayer[];
  readonly budget?: BudgetResult;
}

/**
 * What prune options mean for the layers of a graph: {@link resolvePrune}, with a budget's k where there is one.
 *
 * A budget applies to every layer that no entry of `prune` names and that has units of its granularity to choose from: the
 * first and the last layer as well, but for maps, where the last one's are the classes. The others stay as they are, and count.
 * Of maps, coupled layers get one k, and the weights that read a removed map count as removed.
 *
 * @throws InputError as {@link resolvePrune} does, or if the budget can't be met, saying what can.
 * @example
 * planPruning(zoo.resnet20().graph, { budget: { weights: 10 } }).budget?.achieved; // 0.09996...
 */
export function planPruning(graph: Graph, { prune = {}, keep, budget }: PruneOptions): PrunePlan {
  const layers = prunableLayers(graph);
  if (budget === undefined) return { layers: planPrune(graph, prune, keep) };
  if (keep !== undefined) {
    throw new InputError("keep and budget both say how much to keep of all layers: leave one of them out.");
  }
  return planBudget(graph, layers, prune, budget);
}

function planBudget(
  graph: Graph,
  layers: readonly PrunableLayer[],
  prune: PruneSpec,
  budget: Budget,
): PrunePlan {
  const { granularity, allocation, round } = { ...BUDGET_DEFAULTS, ...budget };
  const where = `budget ${formatBudget(budget)}`;
  checkBudget(budget, where);
  const of = "macs" in budget ? "macs" : "weights";
  const named = resolvePrune(layers, prune);
  const choice = choiceOf({ graph, layers, prune, named, allocation }, granularity);
  const { total, cost } = costOf(graph, layers, choice, of);
  const { allotments, chosen } = choice;
  const requested = "macs" in budget ? budget.macs : 1 / budget.weights;
  const limit = Math.floor(total * requested * (1 + ROUNDING));

  const about = `${where}: at most ${limit} of ${total} ${of === "macs" ? "multiply-accumulates" : "weights"} are to be kept`;
  const least = cost(smallest(allotments, round));
  if (least > limit) {
    const others = layers.filter(({ name }) => !chosen.has(name));
    const rest =
      others.length === 0
        ? ""
        : `, and ${listed(others)} ${others.length === 1 ? "is" : "are"} left as ${others.length === 1 ? "it is" : "they are"}`;
    const each = chosen.size === 0 ? "there is no layer for it to choose" : `k is at least ${round}`;
    throw new InputError(
      `${about}, but ${least} is the fewest: ${each} (granularity ${granularity})${rest}. ` +
        `Ask for ${of === "macs" ? `at least ${percent(Math.ceil, least / total)}` : `at most ${times(Math.floor, least / total)}`}, or prune other layers by prune specs.`,
    );
  }
  const most = cost(allotments.map(({ n }) => n));
  if (most < limit) {
    throw new InputError(
      `${about}, but the prune specs leave only ${most}. ` +
        `Ask for ${of === "macs" ? `at most ${percent(Math.floor, most / total)}` : `at least ${times(Math.ceil, most / total)}`}, or keep more by prune specs.`,
    );
  }
  const k = allocate(allotments, round, cost, limit);
  const kept = cost(k);
  const spec = new Map([...choice.rules(k), ...entriesOf(prune)]);
  return {
    layers: planPrune(graph, spec),
    budget: { of, granularity, allocation, round, requested, achieved: kept / total, total, limit, kept },
  };
}

/** The relative error that the product of a whole number and a fraction may have. */
const ROUNDING = 1e-12;

/** What a choice of k costs, and the dense model. */
function costOf(
  graph: Graph,
  layers: readonly PrunableLayer[],
  choice: Choice,
  of: BudgetResult["of"],
): { readonly total: number; readonly cost: (k: readonly number[]) => number } {
  const sizes = layers.map(({ dims }) => sizeOf(dims));
  const ofWeights = sizes.reduce((sum, size) => sum + size, 0);
  const macs = of === "macs" ? countMacs(graph) : undefined;
  const prices = layers.map((_, i) => (macs === undefined ? 1 : macs.layers[i].macs / sizes[i]));
  const total = macs?.macs ?? ofWeights;
  const rest = prices.reduce((sum, price, i) => sum - price * sizes[i], total);
  const cost = (k: readonly number[]): number => {
    let sum = rest;
    for (let i = 0; i < prices.length; i++) sum += prices[i] * choice.kept(i, k);
    return sum;
  };
  return { total, cost };
}

function checkBudget(budget: Budget, where: string): void {
  const { granularity, allocation, round } = { ...BUDGET_DEFAULTS, ...budget };
  const fits = "macs" in budget ? budget.macs > 0 && budget.macs <= 1 : budget.weights >= 1;
  if (!fits || ("macs" in budget && "weights" in budget)) {
    throw new InputError(
      `${where}: expected either weights, how many times fewer are kept (10; at least 1), or macs, the fraction that is kept (0.3; above 0, at most 1), got ${JSON.stringify(budget)}.`,
    );
  }
  if (!GRANULARITIES.includes(granularity)) {
    throw new InputError(
      `${where}: expected a granularity of ${GRANULARITIES.join(", ")}, got "${granularity}".`,
    );
  }
  if (!ALLOCATIONS.includes(allocation)) {
    throw new InputError(
      `${where}: expected the allocation ${ALLOCATIONS.join(" or ")}, got "${allocation}".`,
    );
  }
  if (!Number.isSafeInteger(round) || round < 1) {
    throw new InputError(`${where}: round is a whole number of at least 1, got ${round}.`);
  }
}

/** The amount as the command line writes it: "10x" of weights, "30%" of multiply-accumulates. */
export function formatBudget(budget: Budget): string {
  return "macs" in budget ? formatShare(budget.macs) : `${Number(budget.weights.toPrecision(15))}x`;
}

/**
 * Reads the amount of a budget: "10x" (a tenth is kept) or "10%".
 *
 * @param where what the text belongs to, to open the message of an error with: `--budget`.
 * @returns the fraction that is kept.
 * @throws InputError if it is neither, or out of range.
 */
export function parseShare(text: string, where: string): number {
  const [, amount, unit] = /^(\d+\.?\d*|\.\d+)([x%])$/.exec(text.trim()) ?? [];
  const share = unit === "x" ? 1 / Number(amount) : Number(amount) / 100;
  if (share > 0 && share <= 1) return share;
  throw new InputError(
    `${where}: expected how many times less is kept (10x; at least 1x) or the share that is kept (10%; above 0 %, at most 100 %), got "${text}".`,
  );
}

/** The names of layers, the first of them if there are many. */
function listed(layers: readonly PrunableLayer[]): string {
  const names = layers.slice(0, 10).map(({ name }) => name);
  return `${names.join(", ")}${layers.length > names.length ? ` and ${layers.length - names.length} more` : ""}`;
}

function percent(round: (value: number) => number, share: number): string {
  return `${round(share * 1e4) / 100}%`;
}

function times(round: (value: number) => number, share: number): string {
  return `${round(100 / share) / 100}x`;
}
