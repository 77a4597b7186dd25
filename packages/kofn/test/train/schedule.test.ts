/** Schedules against their formulas. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { kAt, learningRateFactor, linear } from "../../src/train/schedule.js";

const at = (schedule: Parameters<typeof learningRateFactor>[0], warmup = 0): number[] =>
  [0, 0.25, 0.5, 0.75, 1].map((progress) => learningRateFactor(schedule, warmup, progress));

describe("learningRateFactor", () => {
  test("is what its name says", () => {
    expect(at("constant")).toEqual([1, 1, 1, 1, 1]);
    expect(at("linear")).toEqual([1, 0.75, 0.5, 0.25, 0]);
    expect(at("step")).toEqual([1, 1, 0.1, 0.01, 0.01]);
    const cosine = at("cosine");
    [1, (1 + Math.SQRT1_2) / 2, 0.5, (1 - Math.SQRT1_2) / 2, 0].forEach((value, i) => {
      expect(cosine[i]).toBeCloseTo(value, 15);
    });
  });

  test("rises linearly from 0 first, and then goes through the whole schedule", () => {
    expect(learningRateFactor("linear", 0.5, 0)).toBe(0);
    expect(learningRateFactor("linear", 0.5, 0.25)).toBe(0.5);
    expect(learningRateFactor("linear", 0.5, 0.5)).toBe(1);
    expect(learningRateFactor("linear", 0.5, 0.75)).toBe(0.5);
    expect(at("step", 0.2)[4]).toBe(0.01);
    expect(at("cosine", 0.2)[4]).toBe(0);
  });
});

describe("linear", () => {
  test("meets both ends", () => {
    expect([0, 0.5, 1].map((progress) => linear([5, 0.5], progress))).toEqual([5, 2.75, 0.5]);
  });
});

describe("kAt", () => {
  test("is cubic between the ends of the span", () => {
    expect([0, 0.2, 0.4, 0.6, 0.8, 1].map((progress) => kAt(1000, 0, [0.2, 0.8], progress))).toEqual([
      1000, 1000, 296, 37, 0, 0,
    ]);
  });

  test("is the target from the start where the span is empty", () => {
    expect(kAt(784, 40, [0, 0], 0)).toBe(40);
    expect(kAt(784, 40, [0.5, 0.5], 0.49)).toBe(784);
    expect(kAt(784, 40, [0.5, 0.5], 0.5)).toBe(40);
  });

  test("never rises, and stays between target and n", () => {
    const share = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5000 }), share, share, share, (n, keep, a, b) => {
        const target = Math.max(1, Math.round(keep * n));
        const span = [Math.min(a, b), Math.max(a, b)] as const;
        let last = n;
        for (let i = 0; i <= 50; i++) {
          const k = kAt(n, target, span, i / 50);
          expect(Number.isInteger(k) && k <= last && k >= target).toBe(true);
          last = k;
        }
        expect(last).toBe(target);
      }),
      { seed: 1 },
    );
  });
});
