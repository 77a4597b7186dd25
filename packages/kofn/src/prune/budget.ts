/** Chooses the k of each layer so that a whole model keeps to a budget of weights or multiply-accumulates. */

import { InputError } from "../errors.js";
import { countMacs } from "../metrics/macs.js";
import type { Graph } from "../onnx/model.js";
import { sizeOf } from "../onnx/tensor.js";
import { allocate, erdosRenyiKernel, smallest } from "./allocation.js";
import { keptWeights } from "./groups.js";
import { prunableLayers } from "./layers.js";
import { planPrune, withGroups } from "./plan.js";
import { entriesOf, formatShare, matches, resolveLayer, resolvePrune } from "./spec.js";
import {
  ALLOCATIONS,
  type Amount,
  type Budget,
  type BudgetResult,
  GRANULARITIES,
  type Granularity,
  type PrunableLayer,
  type PrunedLayer,
  type PruneSpec,
} from "./types.js";

/** What is to be pruned: parts of the options of `train`. */
export interface PruneOptions {
  readonly prune?: PruneSpec;
  readonly keep?: Amount;
  readonly budget?: Budget;
}

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
  const { granularity = "weights", allocation = "erk", round = 1 } = budget;
  const where = `budget ${formatBudget(budget)}`;
  checkBudget(budget, where);
  const of = "macs" in budget ? "macs" : "weights";
  const named = resolvePrune(layers, prune);
  const chosen = untouched(layers, prune)
    .filter((layer) => isChosen(layer, granularity, layer === layers.at(-1)))
    .map((layer) => resolveLayer(layer, { granularity, amount: { k: 1 } }, where, layer === layers.at(-1)));
  const { total, fixed, perUnit } = costs(graph, layers, named, chosen, of);
  const cost = (k: readonly number[]): number => k.reduce((sum, count, i) => sum + count * perUnit[i], fixed);
  const requested = "macs" in budget ? budget.macs : 1 / budget.weights;
  const limit = Math.floor(total * requested * (1 + ROUNDING));
  const allotments = chosen.map(({ n, dims }) => {
    return { n, density: allocation === "uniform" ? 1 : erdosRenyiKernel(dims) };
  });

  const about = `${where}: at most ${limit} of ${total} ${of === "macs" ? "multiply-accumulates" : "weights"} are to be kept`;
  const least = cost(smallest(allotments, round));
  if (least > limit) {
    const others = layers.filter(({ name }) => !chosen.some((layer) => layer.name === name));
    const rest =
      others.length === 0 ? "" : `, and ${listed(others)} keep${others.length === 1 ? "s" : ""} ${fixed}`;
    const each = chosen.length === 0 ? "there is no layer for it to choose" : `k is at least ${round}`;
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
  const byName = new Map(named.map((layer) => [layer.name, layer]));
  chosen.forEach((layer, i) => {
    if (k[i] < layer.n) byName.set(layer.name, { ...layer, k: k[i] });
  });
  return {
    layers: withGroups(graph, layers.flatMap(({ name }) => byName.get(name) ?? [])),
    budget: { of, granularity, allocation, round, requested, achieved: kept / total, total, limit, kept },
  };
}

/** The relative error that the product of a whole number and a fraction may have. */
const ROUNDING = 1e-12;

/** The layers that no entry of a spec is for. */
function untouched(layers: readonly PrunableLayer[], prune: PruneSpec): PrunableLayer[] {
  const patterns = entriesOf(prune).map(([pattern]) => pattern);
  return layers.filter(({ name }) => !patterns.some((pattern) => matches(pattern, name)));
}

/** Whether a layer has units of the granularity to choose from. */
function isChosen({ dims }: PrunableLayer, granularity: Granularity, last: boolean): boolean {
  return granularity === "weights" || (granularity === "maps" ? !last : dims.length > 2);
}

interface Costs {
  /** Of the dense model. */
  readonly total: number;
  /** Of what the budget does not choose. */
  readonly fixed: number;
  /** Of one unit in each group of each chosen layer. */
  readonly perUnit: readonly number[];
}

/** @param chosen with k = 1 */
function costs(
  graph: Graph,
  layers: readonly PrunableLayer[],
  named: readonly PrunedLayer[],
  chosen: readonly PrunedLayer[],
  of: BudgetResult["of"],
): Costs {
  if (of === "weights") {
    const total = layers.reduce((sum, { dims }) => sum + sizeOf(dims), 0);
    const removed = named.reduce((sum, layer) => sum + sizeOf(layer.dims) - keptWeights(layer), 0);
    return { total, ...apart(total - removed, chosen, chosen.map(keptWeights)) };
  }
  const { macs, macsKept, layers: rows } = countMacs(graph, named);
  const ofLayer = new Map(rows.map((row) => [row.layer, row.macs]));
  const perUnit = chosen.map(({ name, n }) => (ofLayer.get(name) ?? 0) / n);
  return { total: macs, ...apart(macsKept, chosen, perUnit) };
}

/** @param whole all that is kept while every chosen layer is dense. */
function apart(
  whole: number,
  chosen: readonly PrunedLayer[],
  perUnit: readonly number[],
): Pick<Costs, "fixed" | "perUnit"> {
  return { perUnit, fixed: chosen.reduce((rest, { n }, i) => rest - n * perUnit[i], whole) };
}

function checkBudget(budget: Budget, where: string): void {
  const { granularity = "weights", allocation = "erk", round = 1 } = budget;
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
