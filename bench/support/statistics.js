/** Order statistics of timing samples. */

/**
 * @typedef {object} Summary
 * @property {number} median
 * @property {number} low first quartile
 * @property {number} high third quartile
 * @property {number} best the least
 */

/**
 * The quantile of a sample, interpolated linearly between neighbours.
 *
 * @param {readonly number[]} values at least one
 * @param {number} share from 0 to 1
 * @returns {number}
 */
export function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = share * (sorted.length - 1);
  const below = sorted[Math.floor(at)];
  return below + (sorted[Math.ceil(at)] - below) * (at - Math.floor(at));
}

/**
 * @param {readonly number[]} values at least one
 * @returns {number}
 */
export const median = (values) => quantile(values, 0.5);

/**
 * @param {readonly number[]} values at least one
 * @returns {Summary}
 */
export function summarise(values) {
  return {
    median: median(values),
    low: quantile(values, 0.25),
    high: quantile(values, 0.75),
    best: Math.min(...values),
  };
}

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
