/** Weights to codes and back, per output channel: the definition of kofn's weight quantizers, on the host. */

import type { WeightFormat } from "@kofn/format/run/words.js";
import type { PrunableLayer } from "../layers/types.js";
import { type AxisView, axisView } from "../onnx/evaluate/support.js";

/** Where the output channels lie in the stored weight of a layer. */
export function channelAxis({ transposed }: PrunableLayer): 0 | 1 {
  return transposed ? 1 : 0;
}

/** The weight of a layer seen from its output channels. */
export function channelView(layer: PrunableLayer): AxisView {
  return axisView(layer.dims, channelAxis(layer));
}

/** The largest code of a format; the smallest is its negative. */
export function largestCode(format: WeightFormat): number {
  return format === "binary" || format === "ternary" ? 1 : 2 ** (bitsOf(format) - 1) - 1;
}

/** Bits of a code. Three values take two. */
export function bitsOf(format: WeightFormat): number {
  if (format === "binary") return 1;
  return format === "ternary" ? 2 : Number(format.slice("int".length));
}

/** The sum of double precision numbers and this, less this, is the number rounded to a whole one, ties to even. */
const ROUNDING = 1.5 * 2 ** 52;

/** The whole number that is nearest, ties to even, as ONNX rounds. */
export function roundHalfToEven(value: number): number {
  return value + ROUNDING - ROUNDING;
}

/**
 * The codes of a weight: clamp(round(w / scale), -Q, Q), or for binary weights -1 below 0 and else 1; 0 where the mask is 0.
 *
 * @param weight in the layout that `view` describes.
 * @param scale [channels]
 * @param mask 0 or 1 for each weight; all are kept without it.
 */
export function codesOf(
  weight: Float32Array,
  scale: Float32Array,
  format: WeightFormat,
  view: AxisView,
  mask?: Uint8Array,
): Int8Array {
  const codes = new Int8Array(weight.length);
  const most = largestCode(format);
  forEachRun(view, (channel, begin, end) => {
    for (let i = begin; i < end; i++) {
      if (mask?.[i] === 0) continue;
      const value = Math.fround(weight[i] / scale[channel]);
      codes[i] =
        format === "binary"
          ? weight[i] < 0
            ? -1
            : 1
          : roundHalfToEven(Math.max(-most, Math.min(most, value)));
    }
  });
  return codes;
}

/** scale[channel] * code for each weight, in float32. */
export function dequantized(codes: Int8Array, scale: Float32Array, view: AxisView): Float32Array {
  const values = new Float32Array(codes.length);
  forEachRun(view, (channel, begin, end) => {
    for (let i = begin; i < end; i++) values[i] = scale[channel] * codes[i];
  });
  return values;
}

/** Calls `visit` with each run of neighbours in one channel: from `begin` to before `end`. */
export function forEachRun(
  { outer, length, inner }: AxisView,
  visit: (channel: number, begin: number, end: number) => void,
): void {
  for (let o = 0, at = 0; o < outer; o++) {
    for (let channel = 0; channel < length; channel++, at += inner) visit(channel, at, at + inner);
  }
}

/** No scale is smaller: a channel of zeros still has one, as exporters and onnxruntime divide by it. */
const SMALLEST_SCALE = 1e-8;

/**
 * The scales with which LSQ begins (arXiv 1902.08153, section 2.1), 2 mean|w| / sqrt(Q); for binary weights mean|w|, which
 * approximates them best (XNOR-Net, arXiv 1603.05279, equation 6). The means are over the kept weights of each channel.
 *
 * @param isKept whether the mask keeps the weight at an index.
 */
export function initialScales(
  weight: Float32Array,
  format: WeightFormat,
  view: AxisView,
  isKept: (index: number) => boolean,
): Float32Array {
  const factor = format === "binary" ? 1 : 2 / Math.sqrt(largestCode(format));
  const [sums, counts] = [0, 1].map(() => new Float64Array(view.length));
  forEachRun(view, (channel, begin, end) => {
    for (let i = begin; i < end; i++) {
      if (!isKept(i)) continue;
      sums[channel] += Math.abs(weight[i]);
      counts[channel]++;
    }
  });
  return Float32Array.from(sums, (sum, channel) =>
    Math.max(SMALLEST_SCALE, (factor * sum) / (counts[channel] || 1)),
  );
}
