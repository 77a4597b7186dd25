/** The fake quantizer of one weight on the host: what a training step sees of it, and what it learns. */

import type { AxisView } from "../onnx/evaluate/support.js";
import type { PrunableLayer } from "../prune/types.js";
import type { WeightRule } from "./types.js";
import {
  channelView,
  fittedScales,
  forEachRun,
  initialScales,
  largestCode,
  roundHalfToEven,
} from "./weights.js";

/** The logarithms of a weight's scales, which the method lsq learns, and their gradient: [channels] each. */
export interface LearnedScales {
  readonly values: Float32Array;
  readonly gradient: Float32Array;
}

/**
 * Quantizes a weight before a training step and turns the gradient of what the step saw into that of the weight and its scales.
 *
 * Forward, per output channel: w~ = s clamp(round(w / s), -Q, Q), or s sign(w) for binary weights, sign(0) being 1.
 *
 * Backward, method lsq (Esser et al., Learned Step Size Quantization, arXiv 1902.08153, equations 3 and 5):
 *
 *     dL/dw = dL/dw~ where |w / s| <= Q, else 0
 *     dL/ds = sum of dL/dw~ times round(w / s) - w / s where |w / s| <= Q, else -Q or Q
 *
 * Learned is log s, whose steps are relative to s, so that s stays above 0 and one rate fits all bits. LSQ's factor
 * 1 / sqrt(N Q) serves to balance the rates of scales and weights under SGD; under Adam, which learns the scales here, a constant
 * factor changes nothing, and it is left out.
 *
 * Binary weights, both methods: the derivative of sign is that of hard-tanh (Hubara et al., arXiv 1602.02830), dL/dw = s dL/dw~
 * where |w| <= 1, else 0; learned scales have dL/ds = sum of dL/dw~ sign(w).
 *
 * Method dpp (Gonzalez-Carabarin et al., arXiv 2105.12686): s follows from the kept weights in each step and is not
 * learned, and the gradient passes rounding as it is, dL/dw = dL/dw~.
 *
 * @example
 * const quantizer = new HostQuantizer(layer, { format: "int4", method: "lsq" }, scales);
 * quantizer.begin(weight, () => true);
 * quantizer.forward(weight, () => true); // fills quantizer.quantized
 * quantizer.backward(weight, gradient); // gradient was dL/dw~ and is dL/dw; scales.gradient is filled
 */
export class HostQuantizer {
  readonly layer: PrunableLayer;
  readonly rule: Required<WeightRule>;
  /** w~, in the layout of the weight. */
  readonly quantized: Float32Array;
  /** [channels], as they were used last. */
  readonly scale: Float32Array;
  readonly #view: AxisView;
  readonly #learned: LearnedScales | undefined;

  /** @param learned for the method lsq: where the scales lie that are learned. */
  constructor(layer: PrunableLayer, rule: Required<WeightRule>, learned?: LearnedScales) {
    this.layer = layer;
    this.rule = rule;
    this.#view = channelView(layer);
    this.#learned = learned;
    this.quantized = new Float32Array(layer.dims.reduce((size, dim) => size * dim, 1));
    this.scale = new Float32Array(this.#view.length);
  }

  /**
   * Sets learned scales to where they begin.
   *
   * @param isKept whether the mask keeps the weight at an index.
   */
  begin(weight: Float32Array, isKept: (index: number) => boolean): void {
    const scales = initialScales(weight, this.rule.format, this.#view, isKept);
    this.#learned?.values.set(scales.map(Math.log));
  }

  /**
   * Fills {@link scale} with the scales that go with the weight, and {@link quantized}.
   *
   * @param isKept whether the mask keeps the weight at an index.
   */
  forward(weight: Float32Array, isKept: (index: number) => boolean): void {
    const { quantized, scale } = this;
    this.setScale(weight, isKept);
    const most = largestCode(this.rule.format);
    const isBinary = this.rule.format === "binary";
    forEachRun(this.#view, (channel, begin, end) => {
      const s = scale[channel];
      if (isBinary) {
        // Neither here nor below a branch on the weights: processors can't guess it.
        for (let i = begin; i < end; i++) quantized[i] = s - 2 * s * Number(weight[i] < 0);
        return;
      }
      for (let i = begin; i < end; i++) {
        const value = Math.fround(weight[i] / s);
        quantized[i] = s * roundHalfToEven(Math.max(-most, Math.min(most, value)));
      }
    });
  }

  /** Fills {@link scale}. */
  setScale(weight: Float32Array, isKept: (index: number) => boolean): void {
    if (this.#learned === undefined) {
      this.scale.set(fittedScales(weight, this.rule.format, this.#view, isKept));
    } else {
      for (let i = 0; i < this.scale.length; i++) this.scale[i] = Math.exp(this.#learned.values[i]);
    }
  }

  /** Replaces dL/dw~ by dL/dw, and fills the gradient of learned scales. `weight` is what {@link forward} was given. */
  backward(weight: Float32Array, gradient: Float32Array): void {
    this.#learned?.gradient.fill(0);
    forEachRun(this.#view, (channel, begin, end) => {
      const s = this.scale[channel];
      const ofScale =
        this.rule.format === "binary"
          ? throughSign(weight, this.quantized, gradient, s, begin, end)
          : this.#learned === undefined
            ? 0
            : throughRounding(weight, gradient, s, largestCode(this.rule.format), begin, end);
      // d(log s) = ds / s
      if (this.#learned !== undefined) this.#learned.gradient[channel] += s * ofScale;
    });
  }
}

/** LSQ's straight-through gradient in place; gives dL/ds. */
function throughRounding(
  weight: Float32Array,
  gradient: Float32Array,
  s: number,
  most: number,
  begin: number,
  end: number,
): number {
  let sum = 0;
  for (let i = begin; i < end; i++) {
    const value = Math.fround(weight[i] / s);
    if (value > most) {
      sum += gradient[i] * most;
      gradient[i] = 0;
    } else if (value < -most) {
      sum -= gradient[i] * most;
      gradient[i] = 0;
    } else {
      sum += gradient[i] * (roundHalfToEven(value) - value);
    }
  }
  return sum;
}

/** The straight-through gradient of the sign in place; gives dL/ds, the sign being quantized / s. */
function throughSign(
  weight: Float32Array,
  quantized: Float32Array,
  gradient: Float32Array,
  s: number,
  begin: number,
  end: number,
): number {
  let sum = 0;
  for (let i = begin; i < end; i++) {
    sum += gradient[i] * quantized[i];
    gradient[i] = Math.abs(weight[i]) <= 1 ? s * gradient[i] : 0;
  }
  return sum / s;
}
