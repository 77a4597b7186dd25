/** Inclusion probabilities against enumeration of ordered draws, closed forms, a slow evaluation and sampling. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InputError } from "../../src/errors.js";
import { inclusionProbabilities } from "../../src/metrics/inclusion.js";
import { topKMask } from "../../src/prune/topk.js";
import { Random } from "../../src/random.js";

const BOUND = 1e-6;

function largestError(actual: Float64Array, expected: ArrayLike<number>): number {
  let worst = 0;
  for (let i = 0; i < actual.length; i++) worst = Math.max(worst, Math.abs(actual[i] - expected[i]));
  return worst;
}

function sumOf(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0);
}

/** All ordered draws of k without replacement, each unit drawn with probability proportional to exp(phi / beta). */
function enumerate(logits: Float32Array, k: number, beta: number): Float64Array {
  const n = logits.length;
  const pi = new Float64Array(n);
  const largest = Math.max(...logits);
  const draw = (chosen: readonly number[], probability: number): void => {
    if (chosen.length === k) {
      for (const i of chosen) pi[i] += probability;
      return;
    }
    // The largest of those left is subtracted, so that none of the shares is 0/0.
    let top = -Infinity;
    for (let i = 0; i < n; i++) if (!chosen.includes(i)) top = Math.max(top, (logits[i] - largest) / beta);
    let total = 0;
    for (let i = 0; i < n; i++)
      if (!chosen.includes(i)) total += Math.exp((logits[i] - largest) / beta - top);
    for (let i = 0; i < n; i++) {
      if (chosen.includes(i)) continue;
      draw([...chosen, i], (probability * Math.exp((logits[i] - largest) / beta - top)) / total);
    }
  };
  draw([], 1);
  return pi;
}

/**
 * The definition, slowly, for one unit: at each of many times, P(fewer than k of the others have rung) by the plain
 * recurrence over the others, times the unit's own density.
 */
function integrateSlowly(logits: Float32Array, unit: number, k: number, beta: number, reach: number): number {
  const step = 0.05;
  const rung = new Float64Array(k);
  let pi = 0;
  for (let u = -reach - 16; u < reach; u += step) {
    rung.fill(0);
    rung[0] = 1;
    for (let other = 0; other < logits.length; other++) {
      if (other === unit) continue;
      const x = Math.exp(logits[other] / beta + u);
      const silent = Math.exp(-x);
      for (let j = k - 1; j > 0; j--) rung[j] = rung[j] * silent - rung[j - 1] * Math.expm1(-x);
      rung[0] *= silent;
    }
    const x = Math.exp(logits[unit] / beta + u);
    pi += step * x * Math.exp(-x) * sumOf(rung);
  }
  return pi;
}

/** Shares of sampled masks in which each unit is. */
function sample(logits: Float32Array, k: number, beta: number, draws: number, random: Random): Float64Array {
  const n = logits.length;
  const pi = new Float64Array(n);
  const z = new Float32Array(n);
  for (let draw = 0; draw < draws; draw++) {
    for (let i = 0; i < n; i++) z[i] = logits[i] - beta * Math.log(-Math.log(random.uniform()));
    const mask = topKMask(z, 1, n, k);
    for (let i = 0; i < n; i++) pi[i] += mask[i] / draws;
  }
  return pi;
}

function normal(n: number, spread: number, seed: number): Float32Array {
  const random = new Random(seed, "logits");
  return Float32Array.from({ length: n }, () => spread * random.normal());
}

describe("inclusionProbabilities", () => {
  test("equals the enumeration of ordered draws", () => {
    fc.assert(
      fc.property(
        fc.array(fc.float({ min: -2, max: 2, noNaN: true }), { minLength: 1, maxLength: 6 }),
        fc.nat(),
        fc.constantFrom(0.01, 0.03, 0.1, 0.3, 1, 5),
        (values, seed, beta) => {
          const logits = Float32Array.from(values);
          const k = 1 + (seed % values.length);
          const pi = inclusionProbabilities(logits, 1, values.length, k, beta);
          expect(largestError(pi, enumerate(logits, k, beta))).toBeLessThan(BOUND);
        },
      ),
      { numRuns: 300, seed: 1 },
    );
  });

  test("k = 1 is the softmax of phi / beta", () => {
    for (const spread of [0, 0.1, 1, 10]) {
      const logits = normal(500, spread, 2);
      const top = Math.max(...logits);
      const shares = Array.from(logits, (logit) => Math.exp((logit - top) / 0.1));
      const total = shares.reduce((sum, share) => sum + share, 0);
      const pi = inclusionProbabilities(logits, 1, 500, 1, 0.1);
      expect(
        largestError(
          pi,
          shares.map((share) => share / total),
        ),
      ).toBeLessThan(BOUND);
    }
  });

  test("equal logits are kept alike: k/n", () => {
    for (const [n, k] of [
      [2, 1],
      [9, 8],
      [784, 40],
      [600, 300],
      [300, 299],
    ] as const) {
      const pi = inclusionProbabilities(new Float32Array(n).fill(3), 1, n, k, 0.1);
      expect(largestError(pi, new Float64Array(n).fill(k / n))).toBeLessThan(BOUND);
    }
  });

  test.each([
    { n: 40, k: 12, spread: 1, beta: 1 },
    { n: 40, k: 12, spread: 0.5, beta: 0.1 },
    { n: 40, k: 37, spread: 1, beta: 0.5 },
    { n: 160, k: 80, spread: 0.2, beta: 1 },
  ])("equals a slow evaluation of the definition: %o", ({ n, k, spread, beta }) => {
    const logits = normal(n, spread, 3);
    const pi = inclusionProbabilities(logits, 1, n, k, beta);
    for (let unit = 0; unit < n; unit += n / 8) {
      const slow = integrateSlowly(logits, unit, k, beta, 4 * (spread / beta) + 6);
      expect(Math.abs(pi[unit] - slow)).toBeLessThan(BOUND);
    }
  });

  test("agrees with sampling", () => {
    const draws = 20_000;
    const logits = normal(60, 0.5, 4);
    const pi = inclusionProbabilities(logits, 1, 60, 15, 0.1);
    const shares = sample(logits, 15, 0.1, draws, new Random(5, "noise"));
    for (let i = 0; i < 60; i++) {
      const deviation = Math.sqrt((pi[i] * (1 - pi[i])) / draws);
      expect(Math.abs(shares[i] - pi[i])).toBeLessThan(5 * deviation + 1 / draws);
    }
  });

  test("each row sums to k, rises with the logit and lies in [0, 1], for any spread", () => {
    const rows = 4;
    for (const [n, k] of [
      [4, 2],
      [25, 3],
      [200, 20],
      [784, 40],
      [784, 700],
    ] as const) {
      for (const spread of [0, 0.01, 0.5, 5, 300, 1e30]) {
        const logits = normal(rows * n, spread, n + k);
        const pi = inclusionProbabilities(logits, rows, n, k, 0.1);
        for (let start = 0; start < rows * n; start += n) {
          const row = pi.subarray(start, start + n);
          expect(Math.abs(sumOf(row) - k)).toBeLessThan(BOUND);
          const order = Array.from(row.keys()).sort((a, b) => logits[start + a] - logits[start + b]);
          for (let i = 1; i < n; i++) expect(row[order[i]]).toBeGreaterThanOrEqual(row[order[i - 1]] - BOUND);
          expect(row.every((p) => p >= 0 && p <= 1)).toBe(true);
        }
      }
    }
  });

  test("adding units that never win changes nothing, and units that always win only k", () => {
    const logits = normal(30, 0.5, 6);
    const alone = inclusionProbabilities(logits, 1, 30, 8, 0.1);
    const extended = Float32Array.from([
      ...logits,
      ...normal(500, 1, 7).map((v) => v - 300),
      ...normal(90, 1, 8).map((v) => v + 300),
    ]);
    const pi = inclusionProbabilities(extended, 1, 620, 98, 0.1);
    expect(largestError(pi.subarray(0, 30), alone)).toBeLessThan(BOUND);
    expect(pi.subarray(30, 530).every((p) => p === 0)).toBe(true);
    expect(pi.subarray(530).every((p) => p === 1)).toBe(true);
  });

  test("without noise it is the mask, and with hardly any noise too", () => {
    const logits = normal(5 * 64, 1, 9);
    const mask = topKMask(logits, 5, 64, 10);
    expect(inclusionProbabilities(logits, 5, 64, 10, 0)).toEqual(Float64Array.from(mask));
    expect(inclusionProbabilities(logits, 5, 64, 10, 1e-300)).toEqual(Float64Array.from(mask));
    expect(inclusionProbabilities(Float32Array.of(1, 2, 2, 2), 1, 4, 2, 0)).toEqual(
      Float64Array.of(0, 1, 1, 0),
    );
    const tied = inclusionProbabilities(Float32Array.of(1, 2, 2, 2), 1, 4, 2, 1e-300);
    expect(largestError(tied, [0, 2 / 3, 2 / 3, 2 / 3])).toBeLessThan(BOUND);
  });

  test("k = n keeps all", () => {
    expect(inclusionProbabilities(Float32Array.of(5, -5), 1, 2, 2, 1)).toEqual(Float64Array.of(1, 1));
  });

  test("wrong input is refused", () => {
    const logits = new Float32Array(6);
    expect(() => inclusionProbabilities(logits, 2, 4, 1, 1)).toThrow(/2 x 4 = 8 logits, got 6/);
    expect(() => inclusionProbabilities(logits, 2, 3, 0, 1)).toThrow(InputError);
    expect(() => inclusionProbabilities(logits, 2, 3, 4, 1)).toThrow(/from 1 to n = 3, got 4/);
    expect(() => inclusionProbabilities(logits, 2, 3, 1, -1)).toThrow(/beta >= 0, got -1/);
    expect(() => inclusionProbabilities(logits, 2, 3, 1, NaN)).toThrow(InputError);
    logits[4] = NaN;
    expect(() => inclusionProbabilities(logits, 2, 3, 1, 1)).toThrow(/got NaN at row 1, unit 1/);
  });
});
