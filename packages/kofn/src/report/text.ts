/** How reports say what was pruned, the same in the terminal and in report.html. */

import type { BudgetResult, LayerReport } from "@kofn/format/run/types.js";
import { percent, whole } from "../figures.js";

/** "weights per kernel, share 4" */
export function granularityOf({
  granularity,
  per,
  share = 1,
}: Pick<LayerReport, "granularity" | "per" | "share">): string {
  return `${granularity}${per === undefined ? "" : " per kernel"}${share === 1 ? "" : `, share ${share}`}`;
}

/** "40 of 784" */
export function kOfN({ k, n }: Pick<LayerReport, "k" | "n">): string {
  return `${whole(k)} of ${whole(n)}`;
}

/** "27,216 of 272,160 weights requested (10.00 %), 27,210 kept (10.00 %)" */
export function budgetLine({ of, total, limit, kept, requested, achieved }: BudgetResult): string {
  const what = of === "macs" ? "MACs" : "weights";
  return `${whole(limit)} of ${whole(total)} ${what} requested (${percent(requested)}), ${whole(kept)} kept (${percent(achieved)})`;
}

/** The names of layers that share one mask, for each mask that several share. */
export function coupledSets(layers: readonly LayerReport[]): string[][] {
  const sets = new Map<string, string[]>();
  for (const { name, group } of layers) {
    if (group !== undefined) sets.set(group, [...(sets.get(group) ?? []), name]);
  }
  return [...sets.values()];
}
