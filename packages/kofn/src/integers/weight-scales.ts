/** Scales of weights that are quantized after training, from the weights alone. */

import type { WeightFormat } from "@kofn/format/run/words.js";
import type { AxisView } from "../onnx/evaluate/support.js";
import { forEachRun, largestCode } from "../quantize/weights.js";
import type { CalibrationMethod } from "./types.js";

/** The share of magnitudes that the method percentile leaves within the range. */
export const PERCENTILE = 0.999;
/** Scales that the method mse compares: so many, up to that of the largest magnitude. */
const CANDIDATES = 100;
/** The scale of a channel of zeros, which may be any. */
const NO_SCALE = 1e-8;

/**
 * A scale for each output channel, over its weights other than 0 (those that a mask keeps).
 *
 * - minmax: the largest magnitude has the largest code.
 * - percentile: the magnitude that 99.9 % do not exceed has it.
 * - mse: least sum of squared errors among 100 scales, then fitted to the codes that it gives.
 *
 * Binary weights have mean|w| with every method, which is the least-squares fit (XNOR-Net, arXiv 1603.05279, equation 6).
 *
 * @returns [channels]
 */
export function calibratedScales(
  weight: Float32Array,
  format: WeightFormat,
  view: AxisView,
  method: CalibrationMethod,
): Float32Array {
  const kept = magnitudes(weight, view);
  const most = largestCode(format);
  return Float32Array.from(kept, (values) => {
    if (values.length === 0) return NO_SCALE;
    if (format === "binary") return values.reduce((sum, value) => sum + value, 0) / values.length;
    const largest = values[values.length - 1];
    if (method === "minmax") return largest / most;
    if (method === "percentile") return values[Math.ceil(PERCENTILE * values.length) - 1] / most;
    return leastSquares(values, largest / most, most);
  });
}

/** For each channel the magnitudes other than 0, ascending. */
function magnitudes(weight: Float32Array, view: AxisView): Float64Array[] {
  const counts = new Uint32Array(view.length);
  forEachRun(view, (channel, begin, end) => {
    for (let i = begin; i < end; i++) if (weight[i] !== 0) counts[channel]++;
  });
  const kept = Array.from(counts, (count) => new Float64Array(count));
  counts.fill(0);
  forEachRun(view, (channel, begin, end) => {
    for (let i = begin; i < end; i++) {
      if (weight[i] !== 0) kept[channel][counts[channel]++] = Math.abs(weight[i]);
    }
  });
  for (const values of kept) values.sort();
  return kept;
}

/** The scale with the least sum of squared errors. */
function leastSquares(values: Float64Array, widest: number, most: number): number {
  let [best, least] = [widest, Infinity];
  for (let step = 1; step <= CANDIDATES; step++) {
    const fit = fitted(values, (widest * step) / CANDIDATES, most);
    if (fit.error < least) [best, least] = [fit.scale, fit.error];
  }
  return best;
}

/** The scale that fits best to the codes which a scale gives, and its sum of squared errors. */
function fitted(values: Float64Array, scale: number, most: number): { scale: number; error: number } {
  let [products, squares, total] = [0, 0, 0];
  for (const value of values) {
    const code = Math.min(most, Math.round(value / scale));
    products += value * code;
    squares += code * code;
    total += value * value;
  }
  // sum (w - s q)^2 with s = sum(w q) / sum(q^2)
  return squares === 0
    ? { scale, error: total }
    : { scale: products / squares, error: total - products ** 2 / squares };
}
