/** Lets contenders take turns, so that what slows the machine for a while slows all of them. */

/** However slow the machine, so many rounds are taken. */
const LEAST_ROUNDS = 3;

export interface Contender {
  readonly name: string;
  /** Measures once more: milliseconds. */
  round(): Promise<number>;
  close?(): Promise<void>;
}

export interface Limits {
  /** At most so many rounds, but at least 3. */
  readonly rounds: number;
  /** No further round is begun after so many seconds. Default: no limit. */
  readonly seconds?: number;
}

/**
 * Rounds in which each contender measures once, in one order and the reverse by turns; then closes the contenders.
 *
 * @param onRound called after each round with its number, from 1, and what each contender measured in it, in their order.
 * @returns how many rounds it were.
 */
export async function takeTurns(
  contenders: readonly Contender[],
  { rounds, seconds = Infinity }: Limits,
  onRound?: (done: number, times: readonly number[]) => void,
): Promise<number> {
  const begin = performance.now();
  const numbers = contenders.map((_, i) => i);
  let done = 0;
  while (done < LEAST_ROUNDS || (done < rounds && performance.now() - begin < 1000 * seconds)) {
    const times: number[] = [];
    for (const i of done % 2 === 0 ? numbers : numbers.toReversed()) times[i] = await contenders[i].round();
    done++;
    onRound?.(done, times);
  }
  for (const contender of contenders) await contender.close?.();
  return done;
}

/** How a round goes. */
export interface RoundSize {
  /** Runs at its beginning that are not timed. */
  readonly warmUp: number;
  /** At least so many runs are timed. */
  readonly runs: number;
  /** And at least for so long. Default 0. */
  readonly ms?: number;
}

/** Runs again and again, and gives the milliseconds of each run. */
export async function timeRuns(
  run: () => Promise<unknown> | undefined,
  { warmUp, runs, ms = 0 }: RoundSize,
): Promise<number[]> {
  for (let i = 0; i < warmUp; i++) await run();
  const times: number[] = [];
  const begin = performance.now();
  let from = begin;
  while (times.length < runs || from - begin < ms) {
    const start = performance.now();
    const pending = run();
    // What is done already is not made to wait for the event loop.
    if (pending !== undefined) await pending;
    from = performance.now();
    times.push(from - start);
  }
  return times;
}
