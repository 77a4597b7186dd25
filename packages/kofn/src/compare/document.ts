/** Makes compare.json of the reports of a comparison's runs. */

import type { Report } from "@kofn/format/run/types.js";
import type { Method } from "@kofn/format/run/words.js";
import { VERSION } from "../version.js";
import type { Cell } from "./cells.js";
import type { CompareDocument, ComparePair, CompareRow, Spread } from "./types.js";

/** A run that is finished. */
export interface FinishedCell {
  readonly cell: Cell;
  readonly report: Report;
  /** See {@link CompareRow.latencyUs}; of runs that are not the first of their row it is not asked for. */
  readonly latencyUs: number | null;
}

/** @param runs at least one, in the order of the cells. */
export function documentOf(runs: readonly FinishedCell[]): CompareDocument {
  const rows = new Map<string, FinishedCell[]>();
  for (const run of runs) {
    const { method, budget } = run.cell;
    const row = rows.get(`${method} ${budget}`) ?? [];
    row.push(run);
    rows.set(`${method} ${budget}`, row);
  }
  const [{ report }] = runs;
  return {
    kofn: VERSION,
    model: report.model,
    data: report.data,
    rows: [...rows.values()].map(rowOf),
    pairs: pairsOf(runs),
  };
}

function rowOf(runs: readonly FinishedCell[]): CompareRow {
  const [{ cell, latencyUs }] = runs;
  const over = (of: (report: Report) => number): number => spread(runs.map(({ report }) => of(report))).mean;
  const error = (split: "validation" | "test"): { error: Spread } => ({
    error: spread(runs.map(({ report }) => errorOf(report, split))),
  });
  return {
    method: cell.method,
    budget: cell.budget,
    seeds: runs.map(({ cell: { seed } }) => seed),
    weights: over(({ totals }) => totals.weights),
    kept: over(({ totals }) => totals.kept),
    compression: over(({ totals }) => totals.compression),
    macsKept: over(({ totals }) => totals.macsKept),
    bytesPacked: over(({ totals }) => totals.bytesPacked),
    latencyUs,
    seconds: over(({ training }) => training.seconds),
    validation: error("validation"),
    test: error("test"),
    runs: runs.map(({ cell: { folder } }) => folder),
  };
}

/** 1 - accuracy without the dust of floating point, as accuracies are shares of whole numbers of samples. */
function errorOf({ result, data }: Report, split: "validation" | "test"): number {
  const count = data[split];
  return (count - Math.round(result[split].accuracy * count)) / count;
}

/**
 * @example
 * spread([1, 2, 3]); // { mean: 2, std: 1 }
 */
export function spread(values: readonly number[]): Spread {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, std: values.length < 2 ? 0 : Math.sqrt(squares / (values.length - 1)) };
}

/** Every two methods at each budget at which both have runs, by the seeds that both have. */
function pairsOf(runs: readonly FinishedCell[]): ComparePair[] {
  const errorsOf = (budget: string, method: Method): Map<number, number> =>
    new Map(
      runs
        .filter(({ cell }) => cell.budget === budget && cell.method === method)
        .map(({ cell, report }) => [cell.seed, errorOf(report, "test")]),
    );
  const unique = <T>(values: readonly T[]): T[] => [...new Set(values)];
  const budgets = unique(runs.map(({ cell }) => cell.budget));
  return budgets.flatMap((budget) => {
    const methods = unique(runs.filter(({ cell }) => cell.budget === budget).map(({ cell }) => cell.method));
    return methods.flatMap((a, i) =>
      methods.slice(i + 1).map((b): ComparePair => {
        const [own, others] = [errorsOf(budget, a), errorsOf(budget, b)];
        const signs = [...own].flatMap(([seed, error]) => {
          const other = others.get(seed);
          return other === undefined ? [] : [Math.sign(error - other)];
        });
        const count = (sign: number): number => signs.filter((one) => one === sign).length;
        return { budget, a, b, wins: count(-1), ties: count(0), losses: count(1) };
      }),
    );
  });
}
