/** Lets contenders take turns, and says on stderr how they do. */

import { internals } from "./internals.js";
import { say } from "./progress.js";
import { digits } from "./table.js";

const rounds = await internals.rounds();

/**
 * Runs again and again.
 *
 * @type {(run: () => Promise<unknown> | undefined, size: import("./internals.js").RoundSize) => Promise<number[]>} milliseconds of
 *   each run
 */
export const timeRuns = rounds.timeRuns;

/**
 * @param {string} what for the progress on stderr
 * @param {readonly import("./internals.js").Contender[]} contenders
 * @param {import("./internals.js").Limits} limits
 * @returns {Promise<number>} how many rounds it were
 */
export function takeTurns(what, contenders, limits) {
  return rounds.takeTurns(contenders, limits, (done, times) => {
    const line = contenders.map(({ name }, i) => `${name} ${digits(times[i])}`);
    say(`${what}, round ${done}, ms: ${line.join(", ")}`);
  });
}
