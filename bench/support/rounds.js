/** Lets contenders take turns, and says on stderr how they do. */

import { takeTurns as inTurns } from "../../packages/kofn/dist/bench/rounds.js";
import { say } from "./progress.js";
import { digits } from "./table.js";

/**
 * @param {string} what for the progress on stderr
 * @param {readonly import("../../packages/kofn/dist/bench/rounds.js").Contender[]} contenders
 * @param {import("../../packages/kofn/dist/bench/rounds.js").Limits} limits
 * @returns {Promise<number>} how many rounds it were
 */
export function takeTurns(what, contenders, limits) {
  return inTurns(contenders, limits, (done, times) => {
    const line = contenders.map(({ name }, i) => `${name} ${digits(times[i])}`);
    say(`${what}, round ${done}, ms: ${line.join(", ")}`);
  });
}
