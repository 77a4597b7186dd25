/** Turns, timed runs, and what is made of their times. */

import { expect, test } from "vitest";
import { type Contender, takeTurns, timeRuns } from "../../src/bench/rounds.js";
import { median, summarise } from "../../src/bench/statistics.js";

/** Contenders that measure 1, 2, ... milliseconds and write down when it was their turn. */
function contenders(names: readonly string[], said: string[]): Contender[] {
  return names.map((name, i) => ({
    name,
    round: () => {
      said.push(name);
      return Promise.resolve(i + 1);
    },
    close: () => {
      said.push(`close ${name}`);
      return Promise.resolve();
    },
  }));
}

test("contenders take turns in one order and the reverse, and are closed in the end", async () => {
  const said: string[] = [];
  const rounds: (readonly number[])[] = [];
  const done = await takeTurns(contenders(["a", "b", "c"], said), { rounds: 4 }, (number, times) => {
    expect(number).toBe(rounds.push(times));
  });
  expect(done).toBe(4);
  expect(said.join(" ")).toBe("a b c c b a a b c c b a close a close b close c");
  expect(rounds).toEqual(Array.from({ length: 4 }, () => [1, 2, 3]));
});

test("three rounds are taken however little time there is", async () => {
  const said: string[] = [];
  expect(await takeTurns(contenders(["a", "b"], said), { rounds: 9, seconds: 0 })).toBe(3);
  expect(said.join("")).toBe("abbaabclose aclose b");
});

test("runs that warm up are not timed, and both the number of runs and the time are reached", async () => {
  let count = 0;
  const counted = (): undefined => {
    count++;
    return undefined;
  };
  expect(await timeRuns(counted, { warmUp: 3, runs: 5 })).toHaveLength(5);
  expect(count).toBe(8);
  const wait = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 2));
  const times = await timeRuns(wait, { warmUp: 0, runs: 1, ms: 20 });
  expect(times.reduce((sum, ms) => sum + ms, 0)).toBeGreaterThan(19);
  expect(times.length).toBeGreaterThan(1);
});

test("quartiles lie between neighbours", () => {
  expect(summarise([4, 1, 3, 2])).toEqual({ median: 2.5, low: 1.75, high: 3.25, best: 1 });
  expect(summarise([7])).toEqual({ median: 7, low: 7, high: 7, best: 7 });
  expect(median([5, 1, 9])).toBe(5);
});
