/** Allocation of a budget: within rounding of the limit, never above it, 1 <= k <= n, monotone, in proportion to density. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { allocate, type Allotment, erdosRenyiKernel, smallest } from "../../src/prune/allocation.js";

const CASES = fc.record({
  layers: fc.array(
    fc.record({
      n: fc.integer({ min: 1, max: 300 }),
      density: fc.double({ min: 1e-4, max: 2, noNaN: true }),
      price: fc.integer({ min: 1, max: 500 }),
    }),
    { minLength: 1, maxLength: 12 },
  ),
  round: fc.constantFrom(1, 2, 8),
  share: fc.double({ min: 0, max: 1, noNaN: true }),
  more: fc.double({ min: 0, max: 1, noNaN: true }),
});

type Layers = readonly (Allotment & { price: number })[];

const costOf = (layers: Layers) => (k: readonly number[]) =>
  layers.reduce((sum, { price }, i) => sum + price * k[i], 0);

function allowed({ n }: Allotment, k: number, round: number): boolean {
  return k >= 1 && k <= n && (k === n || k % round === 0);
}

describe("allocate", () => {
  test("comes as near to the limit as any single step allows, and never passes it", () => {
    fc.assert(
      fc.property(CASES, ({ layers, round, share }) => {
        const cost = costOf(layers);
        const least = cost(smallest(layers, round));
        const most = cost(layers.map(({ n }) => n));
        const limit = Math.floor(least + share * (most - least));
        const k = allocate(layers, round, cost, limit);
        const spent = cost(k);
        expect(spent).toBeLessThanOrEqual(limit);
        layers.forEach((layer, i) => {
          expect(allowed(layer, k[i], round)).toBe(true);
          const step = Math.min(k[i] + round, layer.n) - k[i];
          if (step > 0) expect(spent + step * layer.price).toBeGreaterThan(limit);
        });
      }),
      { numRuns: 500 },
    );
  });

  test("is monotone: a larger limit costs less by no more than rounding, and all at n in the end", () => {
    fc.assert(
      fc.property(CASES, ({ layers, round, share, more }) => {
        const cost = costOf(layers);
        const least = cost(smallest(layers, round));
        const most = cost(layers.map(({ n }) => n));
        const low = Math.floor(least + share * (most - least));
        const high = Math.floor(low + more * (most - low));
        const [fewer, larger] = [low, high].map((limit) => allocate(layers, round, cost, limit));
        const largest = Math.max(...layers.map(({ n, price }) => Math.min(round, n) * price));
        expect(cost(larger)).toBeGreaterThan(cost(fewer) - largest);
        if (high - low >= largest) expect(cost(larger)).toBeGreaterThanOrEqual(cost(fewer));
        expect(allocate(layers, round, cost, most)).toEqual(layers.map(({ n }) => n));
      }),
      { numRuns: 300 },
    );
  });

  test("keeps shares in proportion to densities, up to 1, but for rounding", () => {
    const layers = [
      { n: 1000, density: 1, price: 10 },
      { n: 1000, density: 2, price: 10 },
      { n: 1000, density: 8, price: 1 },
    ];
    expect(allocate(layers, 1, costOf(layers), 7000)).toEqual([200, 400, 1000]);
  });

  test("leaves what can't be lowered at its smallest step, though it costs more than the limit", () => {
    const layers = [{ n: 10, density: 1, price: 5 }];
    expect(allocate(layers, 8, costOf(layers), 3)).toEqual([8]);
  });
});

describe("erdosRenyiKernel", () => {
  test("is the sum of the dimensions over their product, and of several weights that of both sums", () => {
    expect(erdosRenyiKernel([[64, 32, 3, 3]])).toBe((64 + 32 + 3 + 3) / (64 * 32 * 3 * 3));
    expect(erdosRenyiKernel([[10, 500]])).toBe(510 / 5000);
    const both = [
      [16, 3, 3, 3],
      [16, 16, 3, 3],
    ];
    expect(erdosRenyiKernel(both)).toBe((25 + 38) / (432 + 2304));
  });
});
