/** Ranges of activations that are quantized after training, from what was seen of them. */

import type { ActivationFormat } from "@kofn/format/run/words.js";
import type { CalibrationMethod } from "./types.js";
import { PERCENTILE } from "./weight-scales.js";

/** Ranges that the method mse compares: so many shares of the whole one. */
const CANDIDATES = 100;
/** The largest code less the smallest. */
const STEPS = 255;

/** What was seen of an activation. */
export interface Observed {
  readonly min: number;
  readonly max: number;
  readonly meanMagnitude: number;
  /** How many values fell into each of equal parts of [min, max]. */
  readonly histogram: Float64Array;
}

/**
 * Scale and zero point. The range takes in 0, so that zeros of padding and Relu are exact.
 *
 * - minmax: from the smallest to the largest value.
 * - percentile: without the 0.05 % smallest and largest values.
 * - mse: that share of the whole range, among 100, for which the squared errors of the values are least.
 *
 * Binary activations have the scale 2 mean|x|, so that their values are those closest to x in the least squares.
 */
export function calibratedRange(
  observed: Observed,
  format: ActivationFormat,
  method: CalibrationMethod,
): { scale: number; zeroPoint: number } {
  if (format === "binary") return { scale: 2 * observed.meanMagnitude || 1, zeroPoint: 0.5 };
  const [low, high] = rangeOf(observed, method);
  const [bottom, top] = [Math.min(0, low), Math.max(0, high)];
  const scale = Math.fround((top - bottom) / STEPS || 1);
  const lowest = format === "uint8" ? 0 : -128;
  return { scale, zeroPoint: lowest + Math.round(-bottom / scale) };
}

function rangeOf(observed: Observed, method: CalibrationMethod): [low: number, high: number] {
  switch (method) {
    case "minmax":
      return [observed.min, observed.max];
    case "percentile":
      return percentiles(observed);
    case "mse":
      return leastSquares(observed);
  }
}

function percentiles({ min, max, histogram }: Observed): [low: number, high: number] {
  const left = ((1 - PERCENTILE) / 2) * histogram.reduce((sum, count) => sum + count, 0);
  const width = (max - min) / histogram.length;
  let [first, last] = [0, histogram.length - 1];
  for (let sum = histogram[first]; sum <= left && first < last; sum += histogram[first]) first++;
  for (let sum = histogram[last]; sum <= left && last > first; sum += histogram[last]) last--;
  return [min + first * width, min + (last + 1) * width];
}

function leastSquares({ min, max, histogram }: Observed): [low: number, high: number] {
  const width = (max - min) / histogram.length;
  const [bottom, top] = [Math.min(0, min), Math.max(0, max)];
  let [best, least] = [1, Infinity];
  for (let step = CANDIDATES; step > 0; step--) {
    const share = step / CANDIDATES;
    const [low, high] = [bottom * share, top * share];
    const scale = (high - low) / STEPS || 1;
    let error = 0;
    for (let bin = 0; bin < histogram.length && error < least; bin++) {
      if (histogram[bin] === 0) continue;
      const value = min + (bin + 0.5) * width;
      const clipped = Math.min(high, Math.max(low, value));
      error += histogram[bin] * (Math.round(clipped / scale) * scale - value) ** 2;
    }
    if (error < least) [best, least] = [share, error];
  }
  return [bottom * best, top * best];
}
