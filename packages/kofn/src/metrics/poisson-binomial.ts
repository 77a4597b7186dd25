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
 * heads.add(Float64Array.of(0.5, 0.25), 0, 2);
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
    this.#mass = new Float64Array(trials + 5);
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

  /** Adds the trials from..to-1, whose success probabilities are q[i]. */
  add(q: Float64Array, from: number, to: number): void {
    let i = from;
    for (; i + 4 <= to; i += 4) this.#addFour(q[i], q[i + 1], q[i + 2], q[i + 3]);
    if (i < to) this.#addFour(q[i], i + 1 < to ? q[i + 1] : 0, i + 2 < to ? q[i + 2] : 0, 0);
  }

  /** Adds four trials at once, by the product of their generating functions 1 - q + q z. */
  #addFour(a: number, b: number, c: number, d: number): void {
    const mass = this.#mass;
    const ab0 = (1 - a) * (1 - b);
    const ab1 = a * (1 - b) + b * (1 - a);
    const ab2 = a * b;
    const cd0 = (1 - c) * (1 - d);
    const cd1 = c * (1 - d) + d * (1 - c);
    const cd2 = c * d;
    const c0 = ab0 * cd0;
    const c1 = ab0 * cd1 + ab1 * cd0;
    const c2 = ab0 * cd2 + ab1 * cd1 + ab2 * cd0;
    const c3 = ab1 * cd2 + ab2 * cd1;
    const c4 = ab2 * cd2;
    const low = this.#low;
    // p0 to p3 are the masses of j + 1 to j + 4.
    let p0 = 0;
    let p1 = 0;
    let p2 = 0;
    let p3 = 0;
    for (let j = this.#high; j >= low - 4; j--) {
      const p = j < low ? 0 : mass[j];
      mass[j + 4] = c0 * p3 + c1 * p2 + c2 * p1 + c3 * p0 + c4 * p;
      p3 = p2;
      p2 = p1;
      p1 = p0;
      p0 = p;
    }
    this.#high += 4;
    this.#variance += a * (1 - a) + b * (1 - b) + c * (1 - c) + d * (1 - d);
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
   * @returns d_0 to d_3, with which the same is d_0 - q (d_1 - q (d_2 - q d_3)) for trials whose probability q is small (those
   * that `reset` was given). The array is used again by the next call.
   */
  without(j: number, q: Float64Array, from: number, to: number, out: Float64Array): Float64Array {
    const terms = termsFor(this.#variance - 0.25);
    this.#differences(this.#down, j, -1, terms || RARE_TERMS);
    if (terms === 0) this.#solve(j, q, from, to, out);
    else {
      this.#differences(this.#up, j + 1, 1, terms);
      for (let i = from; i < to; i++) {
        out[i] = q[i] < 0.5 ? series(this.#down, terms, -q[i]) : series(this.#up, terms, q[i] - 1);
      }
    }
    return this.#down;
  }

  /**
   * From P(N = j) = (1-q) P'(j) + q P'(j-1), where P' is without the trial: upwards from P'(low - 1) = 0 if q < 1/2,
   * downwards from P'(high) = 0 otherwise, so that errors never grow. P'(j) is at most 2 P(j) or 2 P(j+1), respectively.
   * Each step waits for the one before, so trials on the same side of 1/2 go four at a time.
   */
  #solve(j: number, q: Float64Array, from: number, to: number, out: Float64Array): void {
    let i = from;
    while (i < to) {
      const four = i + 4 <= to;
      if (four && q[i] < 0.5 && q[i + 1] < 0.5 && q[i + 2] < 0.5 && q[i + 3] < 0.5) {
        this.#upwards(j, q, i, i + 1, i + 2, i + 3, out);
        i += 4;
      } else if (four && q[i] >= 0.5 && q[i + 1] >= 0.5 && q[i + 2] >= 0.5 && q[i + 3] >= 0.5) {
        this.#downwards(j, q, i, i + 1, i + 2, i + 3, out);
        i += 4;
      } else {
        if (q[i] < 0.5) this.#upwards(j, q, i, i, i, i, out);
        else this.#downwards(j, q, i, i, i, i, out);
        i++;
      }
    }
  }

  #upwards(j: number, q: Float64Array, a: number, b: number, c: number, d: number, out: Float64Array): void {
    const mass = this.#mass;
    const sa = 1 / (1 - q[a]);
    const sb = 1 / (1 - q[b]);
    const sc = 1 / (1 - q[c]);
    const sd = 1 / (1 - q[d]);
    const ra = q[a] * sa;
    const rb = q[b] * sb;
    const rc = q[c] * sc;
    const rd = q[d] * sd;
    let pa = 0;
    let pb = 0;
    let pc = 0;
    let pd = 0;
    const last = j <= this.#high ? j : -1;
    for (let m = this.#low; m <= last; m++) {
      const p = mass[m];
      pa = p * sa - ra * pa;
      pb = p * sb - rb * pb;
      pc = p * sc - rc * pc;
      pd = p * sd - rd * pd;
    }
    out[a] = pa;
    out[b] = pb;
    out[c] = pc;
    out[d] = pd;
  }

  #downwards(
    j: number,
    q: Float64Array,
    a: number,
    b: number,
    c: number,
    d: number,
    out: Float64Array,
  ): void {
    const mass = this.#mass;
    const sa = 1 / q[a];
    const sb = 1 / q[b];
    const sc = 1 / q[c];
    const sd = 1 / q[d];
    const ra = sa - 1;
    const rb = sb - 1;
    const rc = sc - 1;
    const rd = sd - 1;
    let pa = 0;
    let pb = 0;
    let pc = 0;
    let pd = 0;
    const first = j + 1 >= this.#low ? j : this.#high;
    for (let m = this.#high; m > first; m--) {
      const p = mass[m];
      pa = p * sa - ra * pa;
      pb = p * sb - rb * pb;
      pc = p * sc - rc * pc;
      pd = p * sd - rd * pd;
    }
    out[a] = pa;
    out[b] = pb;
    out[c] = pc;
    out[d] = pd;
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
