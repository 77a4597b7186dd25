/** Compares figures with the targets that the project has set itself. */

import { pairedRatio } from "./statistics.js";
import { digits } from "./table.js";

/**
 * A ratio of two times, taken in two ways: on a busy machine they differ, and a target is met if both reach it.
 *
 * @typedef {object} Target
 * @property {string} what
 * @property {number} median over the rounds, of the rounds' ratios
 * @property {number} best the ratio of each side's best round
 * @property {number} limit
 * @property {"at least" | "at most"} kind
 * @property {boolean} met
 * @property {string} verdict
 */

/**
 * A target for a speed: how many times as fast as the peer.
 *
 * @param {string} what
 * @param {readonly number[]} peer its time in each round
 * @param {readonly number[]} own kofn's
 * @param {number} limit
 * @returns {Target}
 */
export function speedTarget(what, peer, own, limit) {
  const ratios = bothRatios(peer, own);
  const least = Math.min(ratios.median, ratios.best);
  const met = least >= limit;
  const verdict = `${least >= 1 ? "faster" : "slower"}, ${met ? "met" : "missed"}`;
  return { what, ...ratios, limit, kind: "at least", met, verdict };
}

/**
 * A target for a cost: one time of kofn's over another.
 *
 * @param {string} what
 * @param {readonly number[]} times in each round
 * @param {readonly number[]} base what they are compared with
 * @param {number} limit
 * @returns {Target}
 */
export function costTarget(what, times, base, limit) {
  const ratios = bothRatios(times, base);
  const met = Math.max(ratios.median, ratios.best) <= limit;
  return { what, ...ratios, limit, kind: "at most", met, verdict: met ? "met" : "missed" };
}

/**
 * @param {readonly number[]} a
 * @param {readonly number[]} b
 * @returns {{ median: number, best: number }}
 */
function bothRatios(a, b) {
  return { median: pairedRatio(a, b).median, best: Math.min(...a) / Math.min(...b) };
}

/**
 * @param {readonly Target[]} targets
 * @returns {string} a Markdown list
 */
export function targetList(targets) {
  return targets
    .map(
      ({ what, median, best, kind, limit, verdict }) =>
        `- ${what}: ${digits(median)}x, best rounds ${digits(best)}x; target ${kind} ${digits(limit)}x: ${verdict}`,
    )
    .join("\n");
}
