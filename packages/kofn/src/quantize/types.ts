/** What is to be quantized, as users say it, and what quantization made of a model. */

import type { ActivationFormat, WeightFormat } from "@kofn/format/run/words.js";

export const QUANTIZE_METHODS = ["lsq", "dpp"] as const;
/**
 * How weights are quantized in training: with learned step sizes (LSQ, arXiv 1902.08153), or as Dynamic Probabilistic Pruning
 * does (arXiv 2105.12686), with scales that follow from the weights.
 */
export type QuantizeMethod = (typeof QUANTIZE_METHODS)[number];

/** How the weights of a layer are quantized. */
export interface WeightRule {
  readonly format: WeightFormat;
  /** Default "lsq". */
  readonly method?: QuantizeMethod;
}

/** How the activations that a layer reads are quantized. */
export interface ActivationRule {
  readonly format: ActivationFormat;
}

/** One entry of a {@link QuantizeSpec}. */
export type QuantizeRule = WeightRule | ActivationRule | "none";

/**
 * Layer glob -> rule of its weights; `activations` -> rule of the activations that layers read, the first and the last layer
 * excepted; `activations.GLOB` -> that of the layers which the glob names. "none" leaves them as they are. Later entries win.
 */
export type QuantizeSpec = Readonly<Record<string, QuantizeRule>> | ReadonlyMap<string, QuantizeRule>;

/** A quantized weight: scale[channel] * code. */
export interface QuantizedWeight {
  readonly layer: string;
  /** Name of the initializer. */
  readonly weight: string;
  readonly format: WeightFormat;
  /** Axis of the output channels in the stored weight. */
  readonly axis: number;
  /** [channels] */
  readonly scale: Float32Array;
  /** In the stored layout of the weight; 0 where the mask keeps nothing. */
  readonly codes: Int8Array;
}

/** A quantized activation: scale * (code - zeroPoint), where a layer reads it. */
export interface QuantizedActivation {
  /** Name of the value in the graph. */
  readonly tensor: string;
  /** The first layer that reads it. */
  readonly layer: string;
  /**
   * Quantized as the result of `layer` instead, for whatever reads it: what integer kernels of convolutions demand where
   * no layer reads their result alone.
   */
  readonly result?: true;
  readonly format: ActivationFormat;
  readonly scale: number;
  /** A code, but for binary activations that may be negative: there it is 0.5, and the values are -scale / 2 and scale / 2. */
  readonly zeroPoint: number;
}

/** What is quantized in a model. Weights and activations that are not listed are float32. */
export interface Quantization {
  readonly weights: readonly QuantizedWeight[];
  readonly activations: readonly QuantizedActivation[];
}
