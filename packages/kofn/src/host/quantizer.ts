/** The fake quantizer of one weight on the host: what a training step sees of it, and what it learns. */

import type { PrunableLayer } from "../layers/types.js";
import { sizeOf } from "../onnx/tensor.js";
import type { WeightRule } from "../quantize/types.js";
import { channelView, initialScales, largestCode } from "../quantize/weights.js";
import { type Kernel, write } from "./kernel.js";
import { sideBySide } from "./memory.js";
import type { HostArrays } from "./optimizer.js";
import { type Address, STRUCTURES } from "./wasm.generated.js";

/** The logarithms of a weight's scales, which the method lsq learns, and their gradient: [channels] each. */
export interface LearnedScales {
  readonly values: Float32Array;
  readonly gradient: Float32Array;
}

/** What a quantizer works on, in the memory of its weight. */
export interface QuantizerPlace {
  readonly kernel: Kernel;
  /** The weight; its gradient is that of what a step saw of it. */
  readonly weight: Pick<HostArrays, "values" | "gradient">;
  /**
   * The mask, in other memory, where its units are the weights in their order: not 0 for those that are kept, and where its
   * gradient is to be. A step then sees the weight quantized and masked. Default: all are kept, or the step masks.
   */
  readonly mask?: { readonly values: Float32Array; readonly gradient: Float32Array };
  /** Where as many bytes are the quantizer's own as {@link HostQuantizer.bytes} says: a multiple of 64. */
  readonly address: number;
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
 * With a mask M, the step sees w~ M, and what its gradient says is dL/d(w~ M): dL/dw~ is that times M, and dL/dM that times w~. Pruned
 * weights so add nothing to the gradient of scales.
 *
 * The computing is done by the WebAssembly kernel (assembly/quantize.ts), on the weight and its gradient where they lie. A sum over
 * a channel is one of products in single precision, added in double precision.
 *
 * @example
 * const parameters = [{ name: "fc.weight", dims: [10, 100], decays: true }];
 * const host = new HostOptimizer(optimizer, parameters, HostQuantizer.bytes(layer, rule));
 * const weight = host.arrays.get("fc.weight");
 * const place = { kernel: host.kernel, weight, address: host.spare };
 * const quantizer = new HostQuantizer(layer, { format: "int4", method: "lsq" }, place, scales);
 * quantizer.begin(() => true);
 * quantizer.forward(); // fills quantizer.quantized
 * quantizer.backward(); // weight.gradient was dL/dw~ and is dL/dw; scales.gradient is filled
 */
export class HostQuantizer {
  readonly layer: PrunableLayer;
  readonly rule: Required<WeightRule>;
  readonly place: QuantizerPlace;
  /** What a step sees, w~ or w~ M, in the layout of the weight. With a mask, {@link backward} computes in it. */
  readonly quantized: Float32Array<ArrayBuffer>;
  /** [channels], as they were used last. */
  readonly scale: Float32Array<ArrayBuffer>;
  /**
   * Method dpp: not 0 for the weights that are kept, which {@link fit} reads. All are at first. With a mask, for both methods, what
   * {@link forward} finds there.
   */
  readonly kept: Float32Array<ArrayBuffer> | undefined;
  readonly #learned: LearnedScales | undefined;
  /** A number for each channel: dL/ds, or what a mean is made of. */
  readonly #sums: Float64Array<ArrayBuffer>;
  /** What the kernels know of it. */
  readonly #structure: Address<"Quantizer">;

  /** @param learned for the method lsq: where the scales lie that are learned. */
  constructor(
    layer: PrunableLayer,
    rule: Required<WeightRule>,
    place: QuantizerPlace,
    learned?: LearnedScales,
  ) {
    this.layer = layer;
    this.rule = rule;
    this.place = place;
    this.#learned = learned;
    const { outer, length: channels, inner } = channelView(layer);
    const { kernel, weight, mask } = place;
    const { buffer } = kernel.memory;
    const size = sizeOf(layer.dims);
    const { begins } = sideBySide(place.address, pieces(layer, rule, mask !== undefined));
    const [structure, quantized, scale, sums, ...kept] = begins;
    this.quantized = new Float32Array(buffer, quantized, size);
    this.scale = new Float32Array(buffer, scale, channels);
    this.#sums = new Float64Array(buffer, sums, channels);
    this.kept = kept.length === 0 ? undefined : new Float32Array(buffer, kept[0], size).fill(1);
    const most = rule.format === "binary" ? 0 : largestCode(rule.format);
    const [lines, length] = layer.transposed ? [outer, channels] : [channels, inner];
    this.#structure = write(kernel, "Quantizer", structure, {
      ...{ weight: weight.values.byteOffset, gradient: weight.gradient.byteOffset },
      ...{ quantized, scales: scale, sums },
      ...{ kept: kept.at(0) ?? 0, mask: mask === undefined ? 0 : (kept.at(0) ?? 0) },
      ...{ lines, length, across: Number(layer.transposed), most },
      limit: rule.format === "binary" ? 1 : rule.method === "dpp" ? Infinity : most,
    });
  }

  /** Bytes of memory that a quantizer needs for itself: a multiple of 64. */
  static bytes(layer: PrunableLayer, rule: Required<WeightRule>, isMasked = false): number {
    return sideBySide(0, pieces(layer, rule, isMasked)).end;
  }

  /**
   * Sets learned scales to where they begin.
   *
   * @param isKept whether the mask keeps the weight at an index.
   */
  begin(isKept: (index: number) => boolean): void {
    const { values } = this.place.weight;
    const scales = initialScales(values, this.rule.format, channelView(this.layer), isKept);
    this.#learned?.values.set(scales.map(Math.log));
  }

  /** Fills {@link scale} with the scales that go with the weight, and {@link quantized}. */
  forward(): void {
    const { kernel, mask } = this.place;
    if (mask !== undefined) this.kept?.set(mask.values);
    this.fit();
    kernel.quantize(this.#structure);
  }

  /** Fills {@link scale}. */
  fit(): void {
    const { scale, kept } = this;
    if (this.#learned !== undefined) {
      for (let i = 0; i < scale.length; i++) scale[i] = Math.exp(this.#learned.values[i]);
      return;
    }
    if (kept === undefined) throw new TypeError("scales are neither learned nor fitted");
    const { kernel } = this.place;
    if (this.rule.format === "binary") kernel.fitMean(this.#structure);
    else kernel.fitLargest(this.#structure);
  }

  /**
   * Replaces the weight's gradient, which is that of what the step saw, by dL/dw, and fills those of learned scales and of the mask. The weight is as
   * {@link forward} found it.
   */
  backward(): void {
    const { rule, scale, quantized } = this;
    const { kernel, mask } = this.place;
    if (rule.method === "dpp" && rule.format !== "binary" && mask === undefined) return;
    kernel.quantizeBackward(this.#structure);
    mask?.gradient.set(quantized);
    if (this.#learned === undefined) return;
    // d(log s) = ds / s
    for (let i = 0; i < scale.length; i++) this.#learned.gradient[i] = scale[i] * this.#sums[i];
  }

  /** With a mask, before a step that is not to be quantized yet: lets it see w M. */
  mask(): void {
    const { kernel, mask } = this.place;
    if (mask === undefined) return;
    this.kept?.set(mask.values);
    kernel.mask(this.#structure);
  }

  /** After such a step: replaces the weight's gradient, dL/d(w M), by dL/dw, and fills that of the mask. */
  maskBackward(): void {
    const { kernel, mask } = this.place;
    if (mask === undefined) return;
    kernel.maskBackward(this.#structure);
    mask.gradient.set(this.quantized);
  }
}

/** Bytes of the structure, what a step sees, scales and sums, and what is kept, with room for the kernels' last vectors. */
function pieces(layer: PrunableLayer, { method }: Required<WeightRule>, isMasked: boolean): number[] {
  const size = 4 * sizeOf(layer.dims) + 16;
  const { length: channels } = channelView(layer);
  const others = method === "dpp" || isMasked ? [size] : [];
  return [STRUCTURES.Quantizer.bytes, size, 4 * channels + 16, 8 * channels + 32, ...others];
}
