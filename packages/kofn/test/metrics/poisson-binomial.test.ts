/** The Poisson-binomial distribution, whole and with one trial taken out, against the plain recurrence. */

import { describe, expect, test } from "vitest";
import { PoissonBinomial } from "../../src/metrics/poisson-binomial.js";
import { Random } from "../../src/random.js";

/** P(N = j) for j of 0..length, by adding one trial at a time. */
function plain(trials: Float64Array): Float64Array {
  const mass = new Float64Array(trials.length + 1);
  mass[0] = 1;
  for (const q of trials) {
    for (let j = trials.length; j > 0; j--) mass[j] = mass[j] * (1 - q) + mass[j - 1] * q;
    mass[0] *= 1 - q;
  }
  return mass;
}

const powerSum = (trials: Float64Array, p: number): number => trials.reduce((sum, q) => sum + q ** p, 0);

/** Trials of any probability up to `rare`, and of small probabilities from there on. */
function build(trials: Float64Array, rare: number): PoissonBinomial {
  const count = new PoissonBinomial(trials.length);
  const small = trials.subarray(rare);
  count.reset(small.length, powerSum(small, 1), powerSum(small, 2), powerSum(small, 3), powerSum(small, 4));
  count.add(trials, 0, rare);
  return count;
}

describe.each([
  { name: "few", common: 5, small: 0 },
  { name: "narrow", common: 41, small: 60 },
  { name: "moderately wide (a series of many terms)", common: 131, small: 60 },
  { name: "wide (a series of few terms)", common: 700, small: 0 },
  { name: "small probabilities alone", common: 0, small: 100 },
])("$name", ({ common, small }) => {
  const random = new Random(1, "trials", common);
  const trials = Float64Array.from({ length: common + small }, (_, i) =>
    i < common ? random.uniform() : 0.01 * random.uniform(),
  );
  const count = build(trials, common);
  const expected = plain(trials);

  test("its probabilities and their sums", () => {
    let sum = 0;
    for (let j = 0; j <= trials.length; j++) {
      sum += expected[j];
      expect(Math.abs(count.at(j) - expected[j])).toBeLessThan(1e-8);
      expect(Math.abs(count.cumulative(j) - sum)).toBeLessThan(1e-8);
    }
    expect(count.at(-1)).toBe(0);
    expect(count.at(trials.length + 1)).toBe(0);
  });

  test("without one trial", () => {
    const mean = Math.round(powerSum(trials, 1));
    const out = new Float64Array(trials.length);
    for (const j of [0, mean - 2, mean, mean + 5, trials.length - 1]) {
      if (j < 0) continue;
      const [d0, d1, d2, d3] = count.without(j, trials, 0, common, out);
      trials.forEach((q, i) => {
        if (i >= common) out[i] = d0 - q * (d1 - q * (d2 - q * d3));
      });
      for (let i = 0; i < trials.length; i += Math.ceil(trials.length / 20)) {
        const others = plain(trials.filter((_, other) => other !== i));
        expect(Math.abs(out[i] - (others[j] ?? 0))).toBeLessThan(2e-8);
      }
    }
  });
});

test("certain and impossible trials", () => {
  const trials = Float64Array.of(1, 0, 0.5, 1, 0.5);
  const out = new Float64Array(5);
  const count = build(trials, 5);
  expect([0, 1, 2, 3, 4, 5].map((j) => count.at(j))).toEqual([0, 0, 0.25, 0.5, 0.25, 0]);
  count.without(2, trials, 0, 5, out);
  expect([...out]).toEqual([0.5, 0.25, 0.5, 0.5, 0.5]);
});
