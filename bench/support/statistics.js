/** Order statistics of samples that were taken in turn. */

import { internals } from "./internals.js";

/** @typedef {import("./internals.js").Summary} Summary */

/** @type {{ median: (values: readonly number[]) => number, summarise: (values: readonly number[]) => Summary }} */
export const { median, summarise } = await internals.statistics();

/**
 * The ratio of two samples that were taken in turn, round by round: what slows the machine for a while slows both.
 *
 * @param {readonly number[]} a
 * @param {readonly number[]} b as long as `a`
 * @returns {Summary} of a[i] / b[i]
 */
export function pairedRatio(a, b) {
  return summarise(a.map((value, i) => value / b[i]));
}
