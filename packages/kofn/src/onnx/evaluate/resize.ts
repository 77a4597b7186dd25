/** Evaluation of Resize: one axis after the other. */

import { resizedAxes, resizeTaps, type Taps } from "../infer/resize.js";
import { sizeOf } from "../tensor.js";
import { type EvaluateRule, inputTensor, type Numbers, numbersOf, outputTensor } from "./support.js";

export const resizing = {
  Resize: (context) => {
    const { node, inputs, outputs } = context;
    const x = inputTensor(context, 0);
    const dims = [...x.dims];
    let values: Numbers = numbersOf(x);
    for (const resized of resizedAxes(node, dims.length, inputs.at(2), inputs.at(3)) ?? []) {
      const { axis } = resized;
      const taps = resizeTaps(node, resized, dims[axis]);
      values = sampled(values, dims, axis, taps);
      dims[axis] = taps.low.length;
    }
    return [outputTensor(outputs[0], values)];
  },
} satisfies Record<string, EvaluateRule>;

function sampled(
  values: Numbers,
  dims: readonly number[],
  axis: number,
  { low, high, weight }: Taps,
): Float64Array {
  const [outer, inner] = [sizeOf(dims.slice(0, axis)), sizeOf(dims.slice(axis + 1))];
  const result = new Float64Array(outer * low.length * inner);
  let to = 0;
  for (let i = 0; i < outer; i++) {
    for (let j = 0; j < low.length; j++) {
      const [a, b] = [low[j], high[j]].map((place) => (i * dims[axis] + place) * inner);
      for (let k = 0; k < inner; k++) {
        result[to++] = (1 - weight[j]) * values[a + k] + weight[j] * values[b + k];
      }
    }
  }
  return result;
}
