/**
 * Exact inclusion probabilities of Gumbel top-k sampling: how likely each of n units is among the k kept.
 *
 * Unit i draws z_i = phi_i + beta g_i; the k largest are kept. exp(-z_i / beta) is exponential with rate
 * r_i = exp(phi_i / beta), so the units are clocks and the k first to ring are kept (the Plackett-Luce order; Yellott,
 * "The Relationship between Luce's Choice Axiom, Thurstone's Theory of Comparative Judgment, and the Double Exponential
 * Distribution", 1977). At u = log time let x_i = r_i e^u, q_i = 1 - exp(-x_i) = P(i has rung), f_i = x_i exp(-x_i) its
 * derivative, and d_i = P(exactly k-1 of the others have rung), a Poisson-binomial probability. Unit i is kept if it is the
 * k-th to ring (density f_i d_i) or has rung before; h = sum_i f_i d_i is the density of the k-th ring, and integrating
 * by parts gives
 *
 *     pi_i = integral of q_i (h + f_i d_i) du.
 *
 * The integrand vanishes at both ends and is analytic, so the trapezoidal rule converges exponentially. With c = cos y,
 * |exp(-x e^(iy))| = exp(-cx) and |1 - exp(-x e^(iy))| <= (1 - exp(-cx)) / c. Expanding d_i into its products and bounding
 * each shows that |integrand(u + iy)| <= c^-(k+1) integrand(u + log c), so that with step s the rule's relative error is at
 * most 2 c^-(k+1) / (exp(2 pi y / s) - 1), for each y in (0, pi/2).
 *
 * Errors per probability: the rule's is below 1e-7 / k relative, what lies beyond the first and the last node (a k-th ring
 * that early or late has a probability below 1e-7 / k each) of the same size, units that are settled beforehand 1e-8, and the
 * joint treatment of units unlikely to have rung about 1e-8. Together they stay below 1e-6 by a wide margin; the sum of a
 * row is k within 1e-6 too.
 */

import { InputError } from "../errors.js";
import { topKMask } from "../prune/topk.js";
import { PoissonBinomial } from "./poisson-binomial.js";

/** Error of the trapezoidal rule, and of each end of the integral, summed over a row. */
const TOLERANCE = 1e-7;

/** Units whose rate differs from the k-th largest by a factor e^50 are settled: they err with probability < n^2 e^-50. */
const FAR = 50;

/** All units outside of which the sum of probabilities to be kept is below this are settled. */
const OUT = 1e-8;

/** A unit that has not rung at x = 30 is taken as if it had: exp(-30) = 1e-13. */
const RUNG = 30;

/**
 * Units with sum x_i^5 below this, and sum x_i below RARE_MEAN, are taken together: what they add to the distribution and to
 * h, and what they get, are polynomials in x_i up to x_i^4, of which power sums of the rates are enough.
 */
const RARE = 1e-9;
const RARE_MEAN = 200;

/**
 * For each unit, the probability that it is among the k largest of phi_i + beta g_i of its group (g standard Gumbel).
 *
 * With beta = 0 that is the deterministic mask (ties by lower index), and with k = n all probabilities are 1. Exact within
 * 1e-6 for independent noise, for logits of any spread. The host's sampler reads its noise from a pool, under which a unit's
 * probability differs by about 0.001 (docs/sampler.md, Noise). Takes some 25 quadrature nodes per row, each in time proportional to the number of units
 * that are neither surely kept nor surely dropped, times the standard deviation of the number of units that have rung.
 *
 * @param logits [R, n]
 * @param k 1 <= k <= n
 * @param beta scale of the noise, >= 0
 * @returns [R, n]; each row sums to k.
 * @throws InputError if sizes do not fit, or a logit is not finite.
 *
 * @example
 * inclusionProbabilities(Float32Array.of(0, 0, 0), 1, 3, 2, 1); // 2/3, 2/3, 2/3
 */
export function inclusionProbabilities(
  logits: Float32Array,
  rows: number,
  n: number,
  k: number,
  beta: number,
): Float64Array {
  check(logits, rows, n, k, beta);
  if (k === n) return new Float64Array(rows * n).fill(1);
  if (beta === 0) return Float64Array.from(topKMask(logits, rows, n, k));
  const pi = new Float64Array(rows * n);
  const row = new Row(n, k, beta);
  for (let start = 0; start < pi.length; start += n) {
    row.integrate(logits.subarray(start, start + n), pi.subarray(start, start + n));
  }
  return pi;
}

function check(logits: Float32Array, rows: number, n: number, k: number, beta: number): void {
  if (logits.length !== rows * n) {
    throw new InputError(
      `inclusion probabilities: expected ${rows} x ${n} = ${rows * n} logits, got ${logits.length}. Give the layer's logits as [groups, units].`,
    );
  }
  if (!Number.isInteger(k) || k < 1 || k > n) {
    throw new InputError(
      `inclusion probabilities: expected a whole number k from 1 to n = ${n}, got ${k}. Choose how many units of each group are kept.`,
    );
  }
  if (!(beta >= 0 && beta < Infinity)) {
    throw new InputError(
      `inclusion probabilities: expected a noise scale beta >= 0, got ${beta}. Use 0 for no noise.`,
    );
  }
  const wrong = logits.findIndex((logit) => !Number.isFinite(logit));
  if (wrong >= 0) {
    throw new InputError(
      `inclusion probabilities: expected finite logits, got ${logits[wrong]} at row ${Math.floor(wrong / n)}, unit ${wrong % n}. If training diverged, lower the learning rate of the logits.`,
    );
  }
}

/** The work space of one row. Units are held in descending order of their logits. */
class Row {
  readonly #n: number;
  readonly #k: number;
  readonly #beta: number;
  /** Sort keys: the unit in the low word, its logit (complemented, as an ordered integer) in the high word. */
  readonly #keys: BigUint64Array;
  readonly #words: Uint32Array;
  readonly #bits: Uint32Array;
  readonly #row: Float32Array;
  /** r_i relative to that of the k-th unit, and the sums over i.. of r to r^5. */
  readonly #rate: Float64Array;
  readonly #rates: Float64Array;
  readonly #squares: Float64Array;
  readonly #cubes: Float64Array;
  readonly #fourths: Float64Array;
  readonly #fifths: Float64Array;
  /** What a rare unit of rate r has got so far: sum_p polynomial[p] r^(p + 1). */
  readonly #polynomial = new Float64Array(4);
  /** Of the current node. */
  readonly #q: Float64Array;
  readonly #d: Float64Array;
  readonly #sum: Float64Array;
  readonly #count: PoissonBinomial;
  /** earliest[m]: the largest mean of a count whose probability to reach m is below the tolerance (Chernoff). */
  readonly #earliest: Float64Array;

  constructor(n: number, k: number, beta: number) {
    this.#n = n;
    this.#k = k;
    this.#beta = beta;
    this.#keys = new BigUint64Array(n);
    this.#words = new Uint32Array(this.#keys.buffer);
    this.#row = new Float32Array(n);
    this.#bits = new Uint32Array(this.#row.buffer);
    this.#rate = new Float64Array(n + 1);
    this.#rates = new Float64Array(n + 1);
    this.#squares = new Float64Array(n + 1);
    this.#cubes = new Float64Array(n + 1);
    this.#fourths = new Float64Array(n + 1);
    this.#fifths = new Float64Array(n + 1);
    this.#q = new Float64Array(n);
    this.#d = new Float64Array(n);
    this.#sum = new Float64Array(n);
    this.#count = new PoissonBinomial(n);
    this.#earliest = Float64Array.from({ length: k + 1 }, (_, m) =>
      m === 0 ? 0 : earliestMean(m, TOLERANCE / k),
    );
  }

  /** Writes the row's inclusion probabilities to `pi`. */
  integrate(logits: Float32Array, pi: Float64Array): void {
    this.#sort(logits);
    const [first, last] = this.#settle(logits);
    const sum = this.#sum;
    sum.fill(1, 0, first);
    sum.fill(0, first);
    if (last <= this.#k) sum.fill(1, first, this.#k);
    else this.#march(first, last);
    for (let i = 0; i < this.#n; i++) pi[this.#words[2 * i]] = Math.min(1, sum[i]);
  }

  #sort(logits: Float32Array): void {
    this.#row.set(logits);
    for (let i = 0; i < this.#n; i++) {
      const bits = this.#bits[i];
      this.#words[2 * i] = i;
      this.#words[2 * i + 1] = bits & 0x80000000 ? bits : ~bits & 0x7fffffff;
    }
    this.#keys.sort();
  }

  /** Computes the rates, and the range of units of which some could be kept and some dropped. */
  #settle(logits: Float32Array): [first: number, last: number] {
    const rate = this.#rate;
    const reference = logits[this.#words[2 * (this.#k - 1)]];
    // All of the k first have rung at this time, but for a probability below the tolerance: the k-th has rate 1.
    const latest = Math.log((this.#k * this.#k) / TOLERANCE);
    let first = 0;
    let last = this.#n;
    let out = 0;
    for (let i = this.#n - 1; i >= 0; i--) {
      const exponent = (logits[this.#words[2 * i]] - reference) / this.#beta;
      if (exponent > FAR) {
        first = i + 1;
        break;
      }
      const r = exponent < -FAR ? 0 : Math.exp(exponent);
      rate[i] = r;
      if (last === i + 1 && (out += r * latest) < OUT) last = i;
    }
    return [first, last];
  }

  #march(settled: number, last: number): void {
    this.#sumPowers(settled, last);
    const rate = this.#rate;
    const rates = this.#rates;
    const fifths = this.#fifths;
    const k = this.#k;
    // If the m first have rung, k - m of the others are to ring, whose mean count at time t is at most t * rates[m].
    let time = 0;
    for (let m = settled; m < k; m++) time = Math.max(time, this.#earliest[k - m] / rates[m]);
    let first = settled;
    while (rate[first] * time > RUNG) first++;
    const step = stepFor(k - first, TOLERANCE / k);
    const growth = Math.exp(step);
    const sum = this.#sum;
    sum.fill(1, settled, first);
    this.#polynomial.fill(0);
    let rung = first;
    let rare = first;
    for (; ; time *= growth) {
      while (rung < last && rate[rung] * time > RUNG) rung++;
      if (rung >= k) break;
      const before = rare;
      rare = Math.max(rare, rung);
      const fifth = time * time * time * time * time;
      while (fifths[rare] * fifth > RARE || rates[rare] * time > RARE_MEAN) rare++;
      this.#addRare(before, rare);
      if (!this.#addNode(time, step, first, rung, rare, last)) break;
    }
    this.#addRare(rare, last);
  }

  #sumPowers(first: number, last: number): void {
    const rate = this.#rate;
    let s1 = 0;
    let s2 = 0;
    let s3 = 0;
    let s4 = 0;
    let s5 = 0;
    for (let i = last; i >= first; i--) {
      const r = i === last ? 0 : rate[i];
      const rr = r * r;
      this.#rates[i] = s1 += r;
      this.#squares[i] = s2 += rr;
      this.#cubes[i] = s3 += rr * r;
      this.#fourths[i] = s4 += rr * rr;
      this.#fifths[i] = s5 += rr * rr * r;
    }
  }

  /** Adds to the sums of units that have been rare until now what they got while they were. */
  #addRare(from: number, to: number): void {
    const rate = this.#rate;
    const sum = this.#sum;
    const c1 = this.#polynomial[0];
    const c2 = this.#polynomial[1];
    const c3 = this.#polynomial[2];
    const c4 = this.#polynomial[3];
    for (let i = from; i < to; i++) {
      const r = rate[i];
      sum[i] += r * (c1 + r * (c2 + r * (c3 + r * c4)));
    }
  }

  /** Adds the integrand at one time to the sums; false if the k-th ring is surely over. */
  #addNode(time: number, step: number, first: number, rung: number, rare: number, last: number): boolean {
    const rate = this.#rate;
    const q = this.#q;
    const d = this.#d;
    const sum = this.#sum;
    const count = this.#count;
    // The sums over the rare units of x to x^4, and of q to q^4, where q = x - x^2/2 + x^3/6 - x^4/24.
    const t2 = time * time;
    const x1 = time * this.#rates[rare];
    const x2 = t2 * this.#squares[rare];
    const x3 = t2 * time * this.#cubes[rare];
    const x4 = t2 * t2 * this.#fourths[rare];
    count.reset(last - rare, x1 - x2 / 2 + x3 / 6 - x4 / 24, x2 - x3 + (7 / 12) * x4, x3 - (3 / 2) * x4, x4);
    for (let i = rung; i < rare; i++) q[i] = 1 - Math.exp(-rate[i] * time);
    count.add(q, rung, rare);
    const needed = this.#k - rung - 1;
    const rareTrials = count.without(needed, q, rung, rare, d);
    const d0 = rareTrials[0];
    const d1 = rareTrials[1];
    const d2 = rareTrials[2];
    const d3 = rareTrials[3];
    // f d of a rare unit as a polynomial in x: f = x - x^2 + x^3/2 - x^4/6, d = d0 - q (d1 - q (d2 - q d3)).
    const g1 = d0;
    const g2 = -d0 - d1;
    const g3 = d0 / 2 + (3 / 2) * d1 + d2;
    const g4 = -d0 / 6 - (7 / 6) * d1 - 2 * d2 - d3;
    let density = g1 * x1 + g2 * x2 + g3 * x3 + g4 * x4;
    for (let i = rung; i < rare; i++) {
      d[i] *= rate[i] * time * (1 - q[i]);
      density += d[i];
    }
    for (let i = first; i < rung; i++) sum[i] += step * density;
    for (let i = rung; i < rare; i++) sum[i] += step * q[i] * (density + d[i]);
    // q (density + f d), too.
    const polynomial = this.#polynomial;
    polynomial[0] += step * time * density;
    polynomial[1] += step * t2 * (g1 - density / 2);
    polynomial[2] += step * t2 * time * (g2 - g1 / 2 + density / 6);
    polynomial[3] += step * t2 * t2 * (g3 - g2 / 2 + g1 / 6 - density / 24);
    return count.cumulative(needed) > TOLERANCE / this.#k;
  }
}

/**
 * The largest mean of a sum of independent indicators that reaches m with probability at most `tail`: the sum's
 * Chernoff bound is exp(-m (w - 1 + exp(-w))) at the mean m exp(-w).
 */
function earliestMean(m: number, tail: number): number {
  const target = -Math.log(tail) / m;
  let w = target + 1;
  for (let i = 0; i < 20; i++) w -= (w - 1 + Math.exp(-w) - target) / (1 - Math.exp(-w));
  return m * Math.exp(-w);
}

/**
 * The step of the trapezoidal rule for a relative error below `error`, with k units to ring: the bound above, solved for
 * the step, at the y that nearly maximises it.
 */
function stepFor(k: number, error: number): number {
  const exponent = Math.log(1 + 2 / error);
  const y = Math.atan(Math.sqrt((2 * exponent) / (k + 1)));
  return (2 * Math.PI * y) / (exponent - (k + 1) * Math.log(Math.cos(y)));
}
