/** The distribution of the number of successes among independent trials of different probabilities (Poisson-binomial). */

/** Probabilities at the ends of the support below this are dropped: over a million trials they add up to 2e-10. */
const NEGLIGIBLE = 1e-16;

/** Terms of the series that takes out a trial of small probability, and at most of that for trials of any probability. */
const RARE_TERMS = 4;
const MOST_TERMS = 20;

/**
 * SERIES_VARIANCE[p]: from this variance V of the other trials on, p terms of the latter err by less than 1e-9. The error is
 * min(q, 1-q)^p times the p-th difference of the others' probabilities, whose generating function on the unit circle is at
 * most exp(-V (1 - cos angle)): together at most (p / 4eV)^(p/2).
 */
const SERIES_VARIANCE = Float64Array.from(
  { length: MOST_TERMS + 1 },
  (_, p) => (p / (4 * Math.E)) * 1e9 ** (2 / p),
);

/**
 * A Poisson-binomial distribution, built trial by trial in O(standard deviation) each: only the counts that have a
 * probability worth mentioning are kept. Taking one trial out again is stable: nothing is divided by less than 1/2.
 *
 * @example
 * const heads = new PoissonBinomial(2);
 * heads.reset(0, 0, 0, 0, 0);
 * heads.addPair(0.5, 0.25);
 * heads.at(1); // 0.5
 */
export class PoissonBinomial {
  /** P(N = j) for j of low..high. */
  readonly #mass: Float64Array;
  #low = 0;
  #high = 0;
  #variance = 0;
  readonly #down = new Float64Array(MOST_TERMS);
  readonly #up = new Float64Array(MOST_TERMS);

  /** @param trials the most trials that it will hold. */
  constructor(trials: number) {
    this.#mass = new Float64Array(trials + 3);
  }

  /**
   * Starts anew with so many trials of small probabilities q_i, given by their power sums s_p = sum_i q_i^p. Their
   * generating function is exp(sum_p (-1)^(p+1) s_p (z-1)^p / p), of which p <= 4 is used: all probabilities together err
   * by no more than about (2^5/5) s_5. s_1 must stay below 700.
   */
  reset(trials: number, s1: number, s2: number, s3: number, s4: number): void {
    const mass = this.#mass;
    // The exponent's derivative is c0 + c1 z + c2 z^2 + c3 z^3, and (exp e)' = e' exp e gives the recurrence.
    const c0 = s1 + s2 + s3 + s4;
    const c1 = -s2 - 2 * s3 - 3 * s4;
    const c2 = s3 + 3 * s4;
    const c3 = -s4;
    let p0 = Math.exp(-s1 - s2 / 2 - s3 / 3 - s4 / 4);
    let p1 = 0;
    let p2 = 0;
    let p3 = 0;
    let high = 0;
    mass[0] = p0;
    while (high < trials) {
      const next = (c0 * p0 + c1 * p1 + c2 * p2 + c3 * p3) / (high + 1);
      if (next < NEGLIGIBLE && high >= c0) break;
      p3 = p2;
      p2 = p1;
      p1 = p0;
      p0 = next;
      mass[++high] = next;
    }
    this.#low = 0;
    this.#high = high;
    this.#variance = s1 - s2;
    this.#trim();
  }

  /** Adds two trials with success probabilities a and b; one of them may be 0, to add a single trial. */
  addPair(a: number, b: number): void {
    const mass = this.#mass;
    const neither = (1 - a) * (1 - b);
    const one = a * (1 - b) + b * (1 - a);
    const both = a * b;
    const low = this.#low;
    let p0 = 0;
    let p1 = 0;
    for (let j = this.#high; j >= low; j--) {
      const p2 = mass[j];
      mass[j + 2] = neither * p0 + one * p1 + both * p2;
      p0 = p1;
      p1 = p2;
    }
    mass[low + 1] = neither * p0 + one * p1;
    mass[low] = neither * p1;
    this.#high += 2;
    this.#variance += a * (1 - a) + b * (1 - b);
    this.#trim();
  }

  #trim(): void {
    const mass = this.#mass;
    while (this.#low < this.#high && mass[this.#low] < NEGLIGIBLE) this.#low++;
    while (this.#low < this.#high && mass[this.#high] < NEGLIGIBLE) this.#high--;
  }

  /** P(N = j). */
  at(j: number): number {
    return j < this.#low || j > this.#high ? 0 : this.#mass[j];
  }

  /** P(N <= j). */
  cumulative(j: number): number {
    const last = Math.min(j, this.#high);
    let sum = 0;
    for (let i = this.#low; i <= last; i++) sum += this.#mass[i];
    return sum;
  }

  /**
   * P(N without trial i = j) for the trials i of from..to-1, whose probabilities are q[i], written to out[i].
   *
   * @param rare the first of the trials whose probabilities are small (those that `reset` was given).
   */
  without(j: number, q: Float64Array, from: number, rare: number, to: number, out: Float64Array): void {
    const terms = termsFor(this.#variance - 0.25);
    this.#differences(this.#down, j, -1, terms || RARE_TERMS);
    if (terms === 0) this.#solve(j, q, from, rare, out);
    else {
      this.#differences(this.#up, j + 1, 1, terms);
      for (let i = from; i < rare; i++) {
        out[i] = q[i] < 0.5 ? series(this.#down, terms, -q[i]) : series(this.#up, terms, q[i] - 1);
      }
    }
    const down = this.#down;
    const d0 = down[0];
    const d1 = down[1];
    const d2 = down[2];
    const d3 = down[3];
    for (let i = rare; i < to; i++) out[i] = d0 - q[i] * (d1 - q[i] * (d2 - q[i] * d3));
  }

  /**
   * From P(N = j) = (1-q) P'(j) + q P'(j-1), where P' is without the trial: upwards from P'(low - 1) = 0 if q < 1/2,
   * downwards from P'(high) = 0 otherwise, so that errors never grow. P'(j) is at most 2 P(j) or 2 P(j+1), respectively.
   */
  #solve(j: number, q: Float64Array, from: number, to: number, out: Float64Array): void {
    const mass = this.#mass;
    const low = this.#low;
    const high = this.#high;
    for (let i = from; i < to; i++) {
      const success = q[i];
      const failure = 1 - success;
      let p = 0;
      if (success < 0.5) {
        const scale = 1 / failure;
        const ratio = success * scale;
        if (j <= high) for (let m = low; m <= j; m++) p = mass[m] * scale - ratio * p;
      } else {
        const scale = 1 / success;
        const ratio = failure * scale;
        if (j + 1 >= low) for (let m = high; m > j; m--) p = mass[m] * scale - ratio * p;
      }
      out[i] = p;
    }
  }

  /**
   * 1 / (1 - q + qz) = sum_p (-q)^p (z-1)^p = (1/z) sum_p (q-1)^p (1/z-1)^p: without a trial, P'(j) is a series in q whose
   * coefficients are the differences of P(j), P(j-1), ..., or one in 1 - q with those of P(j+1), P(j+2), ...
   */
  #differences(coefficients: Float64Array, j: number, step: number, terms: number): void {
    for (let p = 0; p < terms; p++) coefficients[p] = this.at(j + step * p);
    for (let p = 1; p < terms; p++) {
      for (let i = terms - 1; i >= p; i--) coefficients[i] -= coefficients[i - 1];
    }
  }
}

/** How many terms of the series suffice for trials of any probability; 0 if more than MOST_TERMS. */
function termsFor(variance: number): number {
  if (variance < SERIES_VARIANCE[MOST_TERMS]) return 0;
  let terms = RARE_TERMS;
  while (variance < SERIES_VARIANCE[terms]) terms++;
  return terms;
}

/** The sum of coefficients[p] x^p over the first so many terms. */
function series(coefficients: Float64Array, terms: number, x: number): number {
  let sum = 0;
  for (let p = terms - 1; p >= 0; p--) sum = sum * x + coefficients[p];
  return sum;
}
