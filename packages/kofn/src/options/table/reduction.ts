/** Options that say what is pruned and quantized, and when. */

import { ALLOCATIONS, GRANULARITIES, METHODS } from "@kofn/format/run/words.js";
import { z } from "zod";
import { InputError } from "../../errors.js";
import { BUDGET_DEFAULTS, formatBudget, parseShare } from "../../prune/budget.js";
import { entriesOf, formatAmount, formatRule, parseAmount, parsePrune } from "../../prune/spec.js";
import type { Budget, PruneSpec } from "../../prune/types.js";
import { formatQuantizeRule, parseQuantize, quantizeEntries } from "../../quantize/spec.js";
import type { QuantizeSpec } from "../../quantize/types.js";
import type { ConfigOf } from "../fields.js";
import { count, kind, oneOf, share, text, texts } from "../kinds.js";
import { field, fieldAs, option } from "../option.js";

export const REDUCTION = {
  prune: option({
    kind: texts("a list of prune specs", "a prune spec such as fc1=weights:40"),
    value: "<spec>",
    help: "what to prune; can be given several times",
  }),
  /** Keep this much of every layer but the last; rules of `prune` win. */
  keep: fieldAs({
    kind: kind(
      z
        .union([z.string(), z.number()], { error: "expected an amount: 40, 5% or 2:4" })
        .transform((amount) => String(amount)),
    ),
    value: "<amount>",
    help: "keep so many weights of every output channel, in all layers but the last",
    fromConfig: (amount) => parseAmount(amount, `keep "${amount}"`),
    toConfig: formatAmount,
  }),
  budget: option({
    kind: text("how many times fewer weights to keep (10x), or the share to keep (10%)"),
    value: "<amount>",
    help: "keep so much of all weights, such as 10x (a tenth) or 10%, each layer its part",
  }),
  macs: option({
    kind: text("the share of multiply-accumulates to keep (30%)"),
    value: "<share>",
    help: "the same of multiply-accumulates, such as 30%",
  }),
  granularity: option({
    kind: oneOf(GRANULARITIES),
    value: "<name>",
    help: "what the budget keeps: weights, kernels or maps",
    default: BUDGET_DEFAULTS.granularity,
  }),
  allocation: option({
    kind: oneOf(ALLOCATIONS),
    value: "<name>",
    help: "which part each layer gets: erk or uniform",
    default: BUDGET_DEFAULTS.allocation,
  }),
  round: option({
    kind: count(1),
    value: "<n>",
    help: "the budget keeps multiples of n in each group, or all",
    default: BUDGET_DEFAULTS.round,
  }),
  /** How masks are chosen: learned by DPP, or by another method, under the same rules; "dense" leaves all rules out. */
  method: field({
    kind: oneOf(METHODS),
    value: "<name>",
    help: `how masks are chosen: ${METHODS.join(", ")}`,
    default: "dpp",
  }),
  quantize: option({
    kind: texts("a list of quantize specs", "a quantize spec such as *=int8"),
    value: "<spec>",
    help: "what to learn in few bits; can be given several times",
  }),
  /** Share of training after which quantization begins. */
  quantizeFrom: field({
    kind: share,
    value: "<share>",
    help: "share of training after which quantization begins",
    default: 0.3,
    pretrained: 0,
  }),
  /** Share of training after which masks stay as they are, at least where k is at its target. */
  freezeFrom: field({
    kind: share,
    value: "<share>",
    help: "share of training after which masks stay as they are",
    otherwise: "never",
  }),
  masks: option({
    kind: text("the path of a safetensors file with masks"),
    value: "<file>",
    help: "train with these masks (masks.safetensors), which stay as they are",
  }),
};

/** The options of {@link REDUCTION} that are no fields by themselves, in a config. */
type ReductionConfig = ConfigOf<typeof REDUCTION>;

/** What a config's specs and its budget are in the library. */
export interface Reduction {
  readonly prune?: PruneSpec;
  readonly quantize?: QuantizeSpec;
  readonly budget?: Budget;
}

/** @throws InputError for a spec or an amount that can't be read, or settings of a budget that contradict each other. */
export function reductionOf(config: ReductionConfig): Reduction {
  const quantize = rulesOf(config.quantize, parseQuantize);
  const budget = budgetOf(config);
  return {
    prune: rulesOf(config.prune, parsePrune),
    ...(quantize.size === 0 ? {} : { quantize }),
    ...(budget === undefined ? {} : { budget }),
  };
}

/** Rules by pattern, in the order in which they win: a later spec stands after all others. */
function rulesOf<Rule>(
  specs: readonly string[] = [],
  parse: (spec: string) => { readonly pattern: string; readonly rule: Rule },
): Map<string, Rule> {
  const rules = new Map<string, Rule>();
  for (const spec of specs) {
    const { pattern, rule } = parse(spec);
    rules.delete(pattern);
    rules.set(pattern, rule);
  }
  return rules;
}

function budgetOf({ budget, macs, granularity, allocation, round }: ReductionConfig): Budget | undefined {
  const how = {
    ...(granularity === undefined ? {} : { granularity }),
    ...(allocation === undefined ? {} : { allocation }),
    ...(round === undefined ? {} : { round }),
  };
  if (budget !== undefined && macs !== undefined) {
    throw new InputError(
      `budget "${budget}" of weights and macs "${macs}": a run has one budget. Leave one of them out.`,
    );
  }
  if (macs !== undefined) return { macs: parseShare(macs, `macs "${macs}"`), ...how };
  if (budget !== undefined) {
    const times = 1 / parseShare(budget, `budget "${budget}"`);
    return { weights: Number(times.toPrecision(15)), ...how };
  }
  const lone = Object.keys(how).at(0);
  if (lone === undefined) return undefined;
  throw new InputError(
    `${lone} says how a budget chooses, and there is none. Give one (--budget 10x or --macs 30%), or leave ${lone} out.`,
  );
}

/** What {@link reductionOf} reads back. */
export function reductionConfig({ prune = {}, quantize = {}, budget }: Reduction): ReductionConfig {
  const quantized = quantizeEntries(quantize);
  return {
    prune: entriesOf(prune).map(([pattern, rule]) => `${pattern}=${formatRule(rule)}`),
    ...(budget === undefined ? {} : budgetConfig(budget)),
    ...(quantized.length === 0
      ? {}
      : { quantize: quantized.map(([pattern, rule]) => `${pattern}=${formatQuantizeRule(rule)}`) }),
  };
}

function budgetConfig(budget: Budget): ReductionConfig {
  const { granularity, allocation, round } = { ...BUDGET_DEFAULTS, ...budget };
  const amount = formatBudget(budget);
  return { ...("macs" in budget ? { macs: amount } : { budget: amount }), granularity, allocation, round };
}
