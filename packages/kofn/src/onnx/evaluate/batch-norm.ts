/** Evaluation of batch normalisation and its gradient, from the definition. */

import { getFloat } from "../model.js";
import type { Tensor } from "../tensor.js";
import {
  axisView,
  type EvaluateContext,
  type EvaluateRule,
  inputTensor,
  numbersOf,
  outputTensor,
} from "./support.js";

/** Calls `visit(channel, element)` for every element of a tensor [N, C, ...]. */
function forEachElement(dims: readonly number[], visit: (channel: number, element: number) => void): void {
  const { outer, length, inner } = axisView(dims, 1);
  for (let i = 0, element = 0; i < outer; i++) {
    for (let channel = 0; channel < length; channel++) {
      for (let j = 0; j < inner; j++) visit(channel, element++);
    }
  }
}

/** Y = scale (X - mean) / sqrt(var + epsilon) + bias, per channel. */
function normalised(
  { dims, size }: Tensor,
  x: ArrayLike<number>,
  [scale, bias, mean, variance]: readonly ArrayLike<number>[],
  epsilon: number,
): Float64Array {
  const y = new Float64Array(size);
  forEachElement(dims, (c, i) => {
    y[i] = (scale[c] * (x[i] - mean[c])) / Math.sqrt(variance[c] + epsilon) + bias[c];
  });
  return y;
}

/** The epsilon of the node: 1e-5 unless it says otherwise. */
const epsilonOf = ({ node }: EvaluateContext): number => getFloat(node, "epsilon", 1e-5);

function batchNormalization(context: EvaluateContext): Tensor {
  const x = inputTensor(context, 0);
  const parameters = [1, 2, 3, 4].map((index) => numbersOf(inputTensor(context, index)));
  return outputTensor(context.outputs[0], normalised(x, numbersOf(x), parameters, epsilonOf(context)));
}

/** (X, scale, bias) -> Y, and the mean and the (biased) variance of each channel of X. */
function batchNorm(context: EvaluateContext): Tensor[] {
  const x = inputTensor(context, 0);
  const values = numbersOf(x);
  const channels = x.dims[1];
  const count = x.size / channels;
  const mean = new Float64Array(channels);
  const variance = new Float64Array(channels);
  forEachElement(x.dims, (c, i) => {
    mean[c] += values[i] / count;
  });
  forEachElement(x.dims, (c, i) => {
    variance[c] += (values[i] - mean[c]) ** 2 / count;
  });
  const affine = [1, 2].map((index) => numbersOf(inputTensor(context, index)));
  const y = normalised(x, values, [...affine, mean, variance], epsilonOf(context));
  return context.outputs.map((type, i) => outputTensor(type, [y, mean, variance][i]));
}

/**
 * With h = (X - mean) / sqrt(var + epsilon) and m elements per channel: dBias = sum dY, dScale = sum dY h,
 * dX = scale / sqrt(var + epsilon) (dY - dBias / m - h dScale / m).
 */
function batchNormGrad(context: EvaluateContext): Tensor[] {
  const x = inputTensor(context, 1);
  const [dY, values, scale, mean, variance] = [0, 1, 2, 3, 4].map((i) => numbersOf(inputTensor(context, i)));
  const epsilon = epsilonOf(context);
  const channels = x.dims[1];
  const count = x.size / channels;
  const dScale = new Float64Array(channels);
  const dBias = new Float64Array(channels);
  const inverse = Float64Array.from({ length: channels }, (_, c) => 1 / Math.sqrt(variance[c] + epsilon));
  forEachElement(x.dims, (c, i) => {
    dBias[c] += dY[i];
    dScale[c] += dY[i] * (values[i] - mean[c]) * inverse[c];
  });
  const dX = new Float64Array(x.size);
  forEachElement(x.dims, (c, i) => {
    const h = (values[i] - mean[c]) * inverse[c];
    dX[i] = scale[c] * inverse[c] * (dY[i] - dBias[c] / count - (h * dScale[c]) / count);
  });
  return context.outputs.map((type, i) => outputTensor(type, [dX, dScale, dBias][i]));
}

export const batchNormalisation = {
  BatchNormalization: (context) => [batchNormalization(context)],
  BatchNorm: batchNorm,
  BatchNormGrad: batchNormGrad,
} as const satisfies Record<string, EvaluateRule>;
