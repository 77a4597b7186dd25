/** Compares figures with the targets that the project has set itself. */

import { digits } from "./table.js";

/**
 * @typedef {object} Target
 * @property {string} what
 * @property {number} value what was measured, a ratio
 * @property {number} limit
 * @property {"at least" | "at most"} kind
 * @property {boolean} met
 * @property {string} verdict
 */

/**
 * A target for a speed: how many times as fast as the peer.
 *
 * @param {string} what
 * @param {number} value the peer's time over kofn's
 * @param {number} limit
 * @returns {Target}
 */
export function speedTarget(what, value, limit) {
  const met = value >= limit;
  const compared = value >= 1 ? "faster" : "slower";
  return { what, value, limit, kind: "at least", met, verdict: `${compared}, ${met ? "met" : "missed"}` };
}

/**
 * A target for a cost: one time of kofn's over another.
 *
 * @param {string} what
 * @param {number} value
 * @param {number} limit
 * @returns {Target}
 */
export function costTarget(what, value, limit) {
  const met = value <= limit;
  return { what, value, limit, kind: "at most", met, verdict: met ? "met" : "missed" };
}

/**
 * @param {readonly Target[]} targets
 * @returns {string} a Markdown list
 */
export function targetList(targets) {
  return targets
    .map(
      ({ what, value, kind, limit, verdict }) =>
        `- ${what}: ${digits(value)}x; target ${kind} ${digits(limit)}x: ${verdict}`,
    )
    .join("\n");
}
