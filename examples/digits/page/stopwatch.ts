/** Measures how long something takes that is over before most clocks of browsers have moved. */

/** Milliseconds of one measurement, in which the work is done again and again. */
const LEAST = 1;
/** Of so many measurements the median is taken, the last ones. */
const MEASUREMENTS = 25;

export class Stopwatch {
  readonly #times: number[] = [];

  /** Does the work for about a millisecond, at least once. */
  measure(work: () => void): void {
    const start = performance.now();
    let [count, passed] = [0, 0];
    while (passed < LEAST) {
      work();
      count++;
      passed = performance.now() - start;
    }
    this.#times.push(passed / count);
    if (this.#times.length > MEASUREMENTS) this.#times.shift();
  }

  /** The median of the last measurements, in milliseconds; NaN before the first. */
  get median(): number {
    return this.#times.toSorted((a, b) => a - b).at(Math.floor(this.#times.length / 2)) ?? NaN;
  }

  get count(): number {
    return this.#times.length;
  }
}
