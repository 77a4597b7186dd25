/** What drawings become before a network sees them. */

import { describe, expect, test } from "vitest";
import { exampleOf } from "../page/examples.js";
import { SIDE, sampleOf, type Stroke } from "../page/sample.js";

const digits = Array.from({ length: 10 }, (_, digit) => [digit, exampleOf(digit)] as const);

/** First and last row and column with ink of at least half. */
function boxOf(sample: Uint8Array): { height: number; width: number } {
  const inked = [...sample.keys()].filter((i) => sample[i] >= 128);
  const [rows, columns] = [inked.map((i) => Math.floor(i / SIDE)), inked.map((i) => i % SIDE)];
  return {
    height: Math.max(...rows) - Math.min(...rows) + 1,
    width: Math.max(...columns) - Math.min(...columns) + 1,
  };
}

function centreOf(sample: Uint8Array): [x: number, y: number] {
  const sum = sample.reduce((a, b) => a + b);
  const mean = (of: (i: number) => number): number =>
    sample.reduce((total, value, i) => total + (value / sum) * (of(i) + 0.5), 0);
  return [mean((i) => i % SIDE), mean((i) => Math.floor(i / SIDE))];
}

function moved(strokes: readonly Stroke[], size: number, right: number, down: number): Stroke[] {
  return strokes.map((stroke) => stroke.map(({ x, y }) => ({ x: size * x + right, y: size * y + down })));
}

describe("a sample", () => {
  test.each(digits)("has the digit %i in a box of 20, its centre of mass in the middle", (_, strokes) => {
    const sample = sampleOf(strokes);
    const { height, width } = boxOf(sample);
    expect(Math.abs(Math.max(height, width) - 20)).toBeLessThanOrEqual(1);
    for (const coordinate of centreOf(sample)) expect(Math.abs(coordinate - SIDE / 2)).toBeLessThan(0.1);
    expect(Math.max(...sample)).toBe(255);
    // Edges are smooth.
    expect(sample.filter((value) => value > 0 && value < 255).length).toBeGreaterThan(30);
  });

  test("is the same wherever and however large the digit was drawn", () => {
    const [, strokes] = digits[5];
    const sample = sampleOf(strokes);
    for (const [size, right, down] of [
      [0.3, 0, 0.6],
      [0.5, 0.45, 0.02],
      [1.2, -0.1, -0.2],
    ]) {
      const other = sampleOf(moved(strokes, size, right, down));
      const differences = sample.map((value, i) => Math.abs(value - other[i]));
      expect(Math.max(...differences)).toBeLessThanOrEqual(1);
    }
  });

  test("keeps a dot small, and is empty without strokes", () => {
    const dot = sampleOf([[{ x: 0.9, y: 0.2 }]]);
    expect(boxOf(dot)).toEqual({ height: 2, width: 2 });
    expect(sampleOf([])).toEqual(new Uint8Array(SIDE * SIDE));
  });
});
