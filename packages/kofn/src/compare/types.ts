/** What `kofn compare` writes as compare.json. */

import type { Method } from "@kofn/format/run/words.js";
import type { Report } from "@kofn/format/run/types.js";

/** Of the runs of one row. */
export interface Spread {
  readonly mean: number;
  /** Standard deviation of a sample (n - 1); 0 for one run. */
  readonly std: number;
}

/** A method at one budget: the runs of all seeds. */
export interface CompareRow {
  readonly method: Method;
  /** The budget as it was given, or the name of a set of rules; "dense" where nothing is pruned. */
  readonly budget: string;
  readonly seeds: readonly number[];
  /** Means over the runs, as those of report.json's totals. */
  readonly weights: number;
  readonly kept: number;
  readonly compression: number;
  readonly macsKept: number;
  readonly bytesPacked: number;
  /** Microseconds for one sample in @kofn/runtime on one thread, of the first seed's run; null where it can't run the network. */
  readonly latencyUs: number | null;
  /** Of training; a mean. */
  readonly seconds: number;
  /** error = 1 - accuracy, a fraction. */
  readonly validation: { readonly error: Spread };
  readonly test: { readonly error: Spread };
  /** Run directories, from the comparison's folder. */
  readonly runs: readonly string[];
}

/** How often, seed by seed, one method has the smaller test error than another at the same budget. */
export interface ComparePair {
  readonly budget: string;
  readonly a: Method;
  readonly b: Method;
  readonly wins: number;
  readonly ties: number;
  readonly losses: number;
}

export interface CompareDocument {
  readonly kofn: string;
  readonly model: string;
  readonly data: Report["data"];
  readonly rows: readonly CompareRow[];
  readonly pairs: readonly ComparePair[];
}
