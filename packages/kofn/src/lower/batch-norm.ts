/** Batch normalisation with the statistics of the batch, and its gradient, as standard ONNX operators. */

import type { Builder } from "../onnx/builder.js";
import { float, getFloat, int, type Node } from "../onnx/model.js";
import { sizeOf } from "../onnx/tensor.js";

/** All axes but that of the channels, and the shape in which a value per channel broadcasts against [N, C, ...]. */
function channelAxes(b: Builder, x: string): { axes: number[]; channels: number; wide: number[] } {
  const dims = b.shape(x);
  return {
    axes: dims.map((_, i) => i).filter((i) => i !== 1),
    channels: dims[1],
    wide: dims.slice(1).map((dim, i) => (i === 0 ? dim : 1)),
  };
}

/** BatchNorm: the inference form of BatchNormalization, which normalises in one pass, fed with the batch's statistics. */
export function lowerBatchNorm(b: Builder, node: Node, out: string): string[] {
  const [x, scale, bias] = node.inputs;
  const [, meanName, varianceName] = node.outputs;
  const { axes, wide } = channelAxes(b, x);
  const average = (value: string, name: string): string =>
    b.op("ReduceMean", [value, b.vector(axes)], { keepdims: int(0) }, name);
  const mean = average(x, meanName);
  const centred = b.sub(x, b.reshape(mean, wide));
  const variance = average(b.mul(centred, centred), varianceName);
  const epsilon = float(getFloat(node, "epsilon", 1e-5));
  const y = b.op("BatchNormalization", [x, scale, bias, mean, variance], { epsilon }, out);
  return [y, mean, variance];
}

/**
 * BatchNormGrad: with r = (var + epsilon)^(-1/2) and p = sum dY (X - mean) over the m elements of a channel, dScale = p r,
 * dBias = sum dY, and dX is affine in dY and X: scale r dY - scale r^3 p / m (X - mean) - scale r dBias / m.
 */
export function lowerBatchNormGrad(b: Builder, node: Node, out: string): string[] {
  const [dY, x, scale, mean, variance] = node.inputs;
  const [, scaleName, biasName] = node.outputs;
  const { axes, channels, wide } = channelAxes(b, x);
  const count = sizeOf(b.shape(x)) / channels;
  const epsilon = b.scalar(getFloat(node, "epsilon", 1e-5), variance);
  const r = b.op("Reciprocal", [b.op("Sqrt", [b.add(variance, epsilon)])]);
  const spread = (value: string): string => b.reshape(value, wide);
  const centred = b.sub(x, spread(mean));
  const dBias = b.sum(dY, axes, false, biasName);
  const dScale = b.mul(b.sum(b.mul(dY, centred), axes, false), r, scaleName);
  const slope = b.mul(scale, r);
  const share = b.mul(slope, b.scalar(-1 / count, slope));
  const ofX = b.mul(b.mul(share, r), dScale);
  const constant = b.mul(share, dBias);
  const ofCentred = b.add(b.mul(centred, spread(ofX)), spread(constant));
  const dX = b.add(b.mul(dY, spread(slope)), ofCentred, out);
  return [dX, dScale, dBias];
}
