/** The deterministic mask against sorting, with ties. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { KofnError } from "../../src/errors.js";
import { topKMask } from "../../src/prune/topk.js";

/** Stable sort by falling value: ties keep their order, so the lower index comes first. */
function bySorting(logits: Float32Array, rows: number, n: number, k: number): number[] {
  return Array.from({ length: rows }, (_, row) => {
    const values = Array.from(logits.subarray(row * n, (row + 1) * n));
    const order = values.map((_, i) => i).sort((a, b) => values[b] - values[a]);
    const kept = new Set(order.slice(0, k));
    return values.map((_, i) => (kept.has(i) ? 1 : 0));
  }).flat();
}

describe("topKMask", () => {
  test("equals sorting, ties by lower index", () => {
    const tied = fc.constantFrom(-0, 0, 1, -1, 2, 1e-45, -1e30, 3.4e38, Infinity, -Infinity);
    const value = fc.oneof(tied, fc.float({ noNaN: true }));
    const rows = fc
      .integer({ min: 1, max: 40 })
      .chain((n) =>
        fc.tuple(
          fc.integer({ min: 1, max: n }),
          fc.array(fc.array(value, { minLength: n, maxLength: n }), { minLength: 1, maxLength: 4 }),
        ),
      );
    fc.assert(
      fc.property(rows, ([k, values]) => {
        const logits = Float32Array.from(values.flat());
        const n = values[0].length;
        const mask = topKMask(logits, values.length, n, k);
        // -0 and 0 are equal, but a difference of infinities is not a number: compare, do not subtract.
        const ranks = Float32Array.from(logits, (x) => (x === Infinity ? 3.41e38 : Math.max(x, -3.4e38)));
        if (logits.every(Number.isFinite)) {
          expect(Array.from(mask)).toEqual(bySorting(ranks, values.length, n, k));
        }
        for (let row = 0; row < values.length; row++) {
          const ones = mask.subarray(row * n, (row + 1) * n).reduce((sum, bit) => sum + bit, 0);
          expect(ones).toBe(k);
        }
      }),
      { seed: 1, numRuns: 500 },
    );
  });

  test("keeps all where k = n, and the first where all are equal", () => {
    expect([...topKMask(Float32Array.of(3, 1, 2), 1, 3, 3)]).toEqual([1, 1, 1]);
    expect([...topKMask(new Float32Array(6), 2, 3, 1)]).toEqual([1, 0, 0, 1, 0, 0]);
  });

  test("refuses logits that are not numbers, since no k of them are the largest", () => {
    expect(() => topKMask(Float32Array.of(0, 1, 0, NaN), 2, 2, 1)).toThrow(KofnError);
    expect(() => topKMask(Float32Array.of(0, 1, 0, NaN), 2, 2, 1)).toThrow(
      /training diverged: a mask logit of group 1 is not a number/,
    );
  });
});
