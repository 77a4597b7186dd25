/** Digits that the page can draw by itself, for who has no pen at hand. */

import type { Point, Stroke } from "./sample.js";

/** For each digit its strokes: points as x and y in hundredths of the pad. */
const DIGITS: readonly (readonly string[])[] = [
  ["50 12, 34 22, 27 50, 34 78, 50 88, 66 78, 73 50, 66 22, 50 12"],
  ["38 28, 54 14, 54 50, 54 86"],
  ["28 30, 36 16, 54 13, 68 24, 65 42, 48 62, 28 86, 50 86, 74 86"],
  ["30 18, 48 12, 66 22, 62 40, 46 47, 64 53, 71 70, 58 86, 38 87, 27 78"],
  ["34 14, 30 36, 27 54, 50 55, 76 53", "64 14, 62 52, 60 88"],
  ["70 15, 50 14, 36 15, 33 32, 32 46, 52 42, 68 54, 69 72, 54 87, 30 82"],
  ["62 14, 44 26, 32 52, 33 76, 48 88, 65 80, 67 62, 52 53, 34 66"],
  ["27 17, 50 16, 73 15, 60 46, 46 88"],
  ["63 24, 49 13, 36 22, 40 38, 58 54, 66 72, 50 88, 34 74, 42 54, 60 38, 63 24"],
  ["67 30, 55 14, 38 20, 34 38, 48 48, 62 42, 67 26, 66 54, 60 88"],
];

/** Points between two given ones. */
const STEPS = 8;

/** The strokes of a digit, smooth. */
export function exampleOf(digit: number): Stroke[] {
  return DIGITS[digit].map((text) => smooth(text.split(", ").map(pointOf)));
}

function pointOf(text: string): Point {
  const [x, y] = text.split(" ").map(Number);
  return { x: x / 100, y: y / 100 };
}

/** A Catmull-Rom spline through the points. */
function smooth(points: readonly Point[]): Point[] {
  const last = points.length - 1;
  return points.flatMap((from, i) => {
    if (i === last) return [from];
    const [before, to, after] = [points[Math.max(0, i - 1)], points[i + 1], points[Math.min(last, i + 2)]];
    return Array.from({ length: STEPS }, (_, step) => {
      const t = step / STEPS;
      const at = (axis: "x" | "y"): number => {
        const [a, b, c, d] = [before[axis], from[axis], to[axis], after[axis]];
        return b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)));
      };
      return { x: at("x"), y: at("y") };
    });
  });
}
