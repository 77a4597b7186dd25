/** Gradients of batch normalisation: with given statistics, and with those of the batch. */

import { float, getFloat } from "../../onnx/model.js";
import { sizeOf } from "../../onnx/tensor.js";
import type { RuleContext } from "../rule.js";

type Grads = (string | undefined)[];

/** All axes but that of the channels. */
const others = (dims: readonly number[]): number[] => dims.map((_, i) => i).filter((i) => i !== 1);
/** The shape in which a value per channel broadcasts against [N, C, ...]. */
const perChannel = (dims: readonly number[]): number[] => dims.slice(1).map((dim, i) => (i === 0 ? dim : 1));

// Y = scale (X - mean) r + bias with r = (var + epsilon)^(-1/2): dX = dY scale r, dScale = sum dY (X - mean) r,
// dBias = sum dY, dMean = -scale r sum dY, dVar = -scale r^2 dScale / 2
export function batchNormalization({ b, node, inputs, dY, wants, gradName }: RuleContext): Grads {
  const [x, scale, , mean, variance] = inputs;
  const dims = b.shape(x);
  const epsilon = b.scalar(getFloat(node, "epsilon", 1e-5), variance);
  const r = b.op("Reciprocal", [b.op("Sqrt", [b.add(variance, epsilon)])]);
  const slope = b.mul(scale, r);
  const sum = (value: string, name?: string): string => b.sum(value, others(dims), false, name);
  const dX = () => b.mul(dY, b.reshape(slope, perChannel(dims)), gradName(0));
  const dScale = () => {
    const centred = b.sub(x, b.reshape(mean, perChannel(dims)));
    return b.mul(sum(b.mul(dY, centred)), r, gradName(1));
  };
  const dMean = () => b.neg(b.mul(slope, sum(dY)), gradName(3));
  const dVariance = () => b.mul(b.mul(b.mul(slope, r), dScale()), b.scalar(-0.5, r), gradName(4));
  return [dX, dScale, () => sum(dY, gradName(2)), dMean, dVariance].map((gradient, i) =>
    wants(i) ? gradient() : undefined,
  );
}

// Y as above with the statistics of X itself, one operator; and through the statistics, m elements per channel:
// dX += dMean / m + dVar 2 (X - mean) / m
export function batchNorm({ b, node, inputs, outputs, dOutputs, gradName }: RuleContext): Grads {
  const [x, scale] = inputs;
  const [, mean, variance] = outputs;
  const [dY, dMean, dVariance] = dOutputs;
  const dims = b.shape(x);
  const count = sizeOf(dims) / dims[1];
  const spread = (value: string): string => b.reshape(value, perChannel(dims));
  const parts: string[] = [];
  let affine: Grads = [];
  if (dY !== undefined) {
    const [dX, ...rest] = b.ops(
      "BatchNormGrad",
      [dY, x, scale, mean, variance],
      { epsilon: float(getFloat(node, "epsilon", 1e-5)) },
      [0, 1, 2].map(gradName),
    );
    parts.push(dX);
    affine = rest;
  }
  if (dMean !== undefined) {
    parts.push(b.expand(spread(b.mul(dMean, b.scalar(1 / count, dMean))), dims, gradName(0)));
  }
  if (dVariance !== undefined) {
    const slope = spread(b.mul(dVariance, b.scalar(2 / count, dVariance)));
    parts.push(b.mul(b.sub(x, spread(mean)), slope, gradName(0)));
  }
  return [parts.length === 1 ? parts[0] : b.op("Sum", parts, {}, gradName(0)), ...affine];
}
