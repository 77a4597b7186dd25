/** Batch normalisation with the statistics of the batch, and its gradient, on tensors in the blocked layout. */

import { getFloat, int, ints, type Node } from "../../onnx/model.js";
import { sizeOf } from "../../onnx/tensor.js";
import type { Layouts } from "./layouts.js";
import { channelMeans } from "./reductions.js";

/** BatchNorm (X, scale, bias) -> Y, mean, var: X is centred once, for the variance, for Y and for the gradient. */
export function blockedBatchNorm(layouts: Layouts, node: Node): boolean {
  const { b } = layouts;
  const [x, scale, bias] = node.inputs;
  const [out, mean, variance] = node.outputs;
  if (!layouts.isBlocked(x)) return false;
  const name = (value: string): string => {
    b.release(value);
    return value;
  };
  channelMeans(layouts, layouts.blocked(x), name(mean));
  const centred = layouts.centred(x, mean);
  channelMeans(layouts, b.mul(centred, centred), name(variance));
  const slope = b.mul(scale, reciprocalDeviation(layouts, node, variance));
  layouts.define(out, affine(layouts, centred, slope, bias));
  return true;
}

/**
 * BatchNormGrad (dY, X, scale, mean, var) -> dX, dScale, dBias: with r = (var + epsilon)^(-1/2), m elements of a channel,
 * and p and q the means of dY (X - mean) and of dY: dScale = m p r, dBias = m q, and
 * dX = scale r dY - scale r^3 p (X - mean) - scale r q.
 */
export function blockedBatchNormGrad(layouts: Layouts, node: Node): boolean {
  const { b } = layouts;
  const [dY, x, scale, mean, variance] = node.inputs;
  const [out, dScale, dBias] = node.outputs;
  if (!layouts.fits(x) || !(layouts.isBlocked(dY) || layouts.isBlocked(x))) return false;
  const gradient = layouts.blocked(dY);
  const centred = layouts.centred(x, mean);
  const shape = layouts.shape(x);
  const q = channelMeans(layouts, gradient);
  const p = channelMeans(layouts, b.mul(gradient, centred));
  const r = reciprocalDeviation(layouts, node, variance);
  const count = b.scalar(sizeOf(shape) / shape[1], mean);
  b.release(dScale);
  b.mul(b.mul(p, r), count, dScale);
  b.release(dBias);
  b.mul(q, count, dBias);
  const slope = b.mul(scale, r);
  const minus = b.neg(slope);
  const ofCentred = b.mul(minus, b.mul(p, b.mul(r, r)));
  const zero = b.fill(0, "float32", [shape[1]], "zeros");
  const rest = affine(layouts, centred, ofCentred, b.mul(minus, q));
  layouts.define(out, affine(layouts, gradient, slope, zero, rest));
  return true;
}

function reciprocalDeviation({ b }: Layouts, node: Node, variance: string): string {
  const epsilon = b.scalar(getFloat(node, "epsilon", 1e-5), variance);
  return b.op("Reciprocal", [b.op("Sqrt", [b.add(variance, epsilon)])]);
}

/**
 * One value per channel times a blocked tensor, plus one value per channel, plus another tensor: a convolution of each
 * channel with a window of one element.
 */
function affine(layouts: Layouts, x: string, factor: string, term: string, addend?: string): string {
  const { b } = layouts;
  const shape = b.shape(x);
  const filters = b.reshape(factor, [shape[1], 1, 1, 1]);
  const inputs = [x, filters, term, ...(addend === undefined ? [] : [addend])];
  return layouts.op("Conv", inputs, { kernel_shape: ints([1, 1]), group: int(shape[1]) }, shape);
}
