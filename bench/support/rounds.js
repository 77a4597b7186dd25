/** Lets contenders take turns, so that what slows the machine for a while slows all of them. */

import { say } from "./progress.js";
import { digits } from "./table.js";

/** However slow the machine, so many rounds are taken. */
const LEAST_ROUNDS = 3;

/**
 * @typedef {object} Contender
 * @property {string} name
 * @property {() => Promise<number>} round measures once more: milliseconds
 * @property {() => Promise<void>} [close]
 */

/**
 * Rounds in which each contender measures once, in one order and the reverse by turns; then closes the contenders.
 *
 * @param {string} what for the progress on stderr
 * @param {readonly Contender[]} contenders
 * @param {{ rounds: number, seconds: number }} limits at most so many rounds, and none begun after so many seconds
 * @returns {Promise<number>} how many rounds it were
 */
export async function takeTurns(what, contenders, { rounds, seconds }) {
  const begin = performance.now();
  let done = 0;
  while (done < LEAST_ROUNDS || (done < rounds && performance.now() - begin < 1000 * seconds)) {
    const forward = done % 2 === 0;
    const times = new Map();
    for (const { name, round } of forward ? contenders : contenders.toReversed())
      times.set(name, await round());
    done++;
    const line = contenders.map(({ name }) => `${name} ${digits(times.get(name))}`);
    say(`${what}, round ${done}, ms: ${line.join(", ")}`);
  }
  for (const { close } of contenders) await close?.();
  return done;
}
