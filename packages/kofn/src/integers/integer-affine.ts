/** Brings a quantized weight and what follows it into the form of integer kernels: codes, scales, an int32 bias. */

import { getFloat, type Graph, type Node } from "../onnx/model.js";
import { sizeOf, type Tensor } from "../onnx/tensor.js";
import type { QuantizedWeight } from "../quantize/types.js";

/** y[c] = scale[c] * (codes[c] . x) + bias[c] */
export interface Affine {
  readonly codes: Int8Array;
  /** [channels] */
  readonly scale: Float32Array;
  /** [channels]; undefined for none. */
  readonly bias: Float64Array | undefined;
}

/** The largest magnitude of an int32 bias: half of what fits, so that sums with it do. */
const LARGEST_BIAS = 2 ** 30;

/**
 * A weight with its bias and the batch normalisation that follows. With g = gamma / sqrt(var + epsilon), normalising is
 * g (y - mean) + beta: g goes into the scale, its sign into the codes, the rest into the bias.
 *
 * @param dims of the weight.
 * @param bias name of the stored bias.
 */
export function affineOf(
  graph: Graph,
  weight: QuantizedWeight,
  dims: readonly number[],
  bias: string | undefined,
  norm: Node | undefined,
): Affine {
  const values = (name: string): Float32Array => (graph.initializers.get(name) as Tensor<"float32">).array();
  const stored = bias === undefined ? undefined : Float64Array.from(values(bias));
  if (norm === undefined) return { codes: weight.codes, scale: weight.scale, bias: stored };
  const [gamma, beta, mean, variance] = norm.inputs.slice(1).map(values);
  const epsilon = getFloat(norm, "epsilon", 1e-5);
  const gain = Float64Array.from(gamma, (value, c) => value / Math.sqrt(variance[c] + epsilon));
  const flips = gain.map((value) => (value < 0 ? -1 : 1));
  const channelOf = channels(dims, weight.axis);
  return {
    codes: weight.codes.map((code, i) => code * flips[channelOf(i)]),
    scale: weight.scale.map((scale, c) => scale * Math.abs(gain[c])),
    bias: gain.map((value, c) => ((stored?.[c] ?? 0) - mean[c]) * value + beta[c]),
  };
}

/** What integer kernels add and multiply by. */
export interface IntegerAffine {
  readonly codes: Int8Array;
  /** [channels], above 0. */
  readonly scale: Float32Array;
  /** In units of input scale * scale[c]. */
  readonly bias: Int32Array | undefined;
}

/**
 * The bias as int32. Where it would not fit, as the weights of a channel are next to nothing beside it, the channel gets
 * a larger scale, and codes rounded to it.
 *
 * @param inputScale of the activations that the weight is applied to.
 */
export function integerAffine(
  { codes, scale, bias }: Affine,
  inputScale: number,
  dims: readonly number[],
  axis: number,
): IntegerAffine {
  const usual = scale.reduce((largest, value) => Math.max(largest, value), 0);
  const fitting = scale.map((value, c) => {
    const least = Math.abs(bias?.[c] ?? 0) / (inputScale * LARGEST_BIAS);
    return Math.max(value, least) || usual || 1;
  });
  const isChanged = fitting.some((value, c) => value !== scale[c]);
  const channelOf = channels(dims, axis);
  return {
    codes: isChanged
      ? codes.map((code, i) => Math.round((code * scale[channelOf(i)]) / fitting[channelOf(i)]))
      : codes,
    scale: fitting,
    bias: bias && Int32Array.from(bias, (value, c) => Math.round(value / (inputScale * fitting[c]))),
  };
}

/** The channel of each index into a weight. */
export function channels(dims: readonly number[], axis: number): (index: number) => number {
  const inner = sizeOf(dims.slice(axis + 1));
  const length = dims[axis];
  return (index) => Math.floor(index / inner) % length;
}
