/** Evaluation of convolutions and their gradients, from the definition. */

import { transposedWindow, windowOf } from "../infer/window.js";
import { getInt } from "../model.js";
import type { Tensor } from "../tensor.js";
import { type EvaluateContext, type EvaluateRule, inputTensor, numbersOf, outputTensor } from "./support.js";
import { type Taps, tapsOf } from "./taps.js";

/** Sizes of a convolution: x [batch, group * channels, inputs], w [maps, channels, cells], y [batch, maps, outputs]. */
interface Shape {
  readonly batch: number;
  readonly maps: number;
  /** Input channels that one output map reads. */
  readonly channels: number;
  readonly group: number;
}

/** Visits every multiplication of a convolution, with the places of its factors and of the element that it adds to. */
function forEachProduct(
  { batch, maps, channels, group }: Shape,
  { inputs, cells, outputs, at }: Taps,
  visit: (x: number, w: number, y: number) => void,
): void {
  for (let image = 0; image < batch; image++) {
    for (let map = 0; map < maps; map++) {
      const first = Math.floor(map / (maps / group)) * channels;
      for (let channel = 0; channel < channels; channel++) {
        const x = (image * channels * group + first + channel) * inputs;
        const w = (map * channels + channel) * cells;
        let y = (image * maps + map) * outputs;
        for (let i = 0; i < at.length; y++) {
          for (let cell = 0; cell < cells; cell++, i++) if (at[i] >= 0) visit(x + at[i], w + cell, y);
        }
      }
    }
  }
}

/** Spreads dy back through the kernels: dx[tap] += dy * w. */
function convolveBack(dy: Tensor, w: Tensor, shape: Shape, taps: Taps): Float64Array {
  const [gradient, weight] = [numbersOf(dy), numbersOf(w)];
  const dx = new Float64Array(shape.batch * shape.channels * shape.group * taps.inputs);
  forEachProduct(shape, taps, (x, w, y) => {
    dx[x] += gradient[y] * weight[w];
  });
  return dx;
}

/** Adds a bias per map to [batch, maps, positions]. */
function addBias(values: Float64Array, bias: Tensor | undefined, maps: number, positions: number): void {
  if (bias === undefined) return;
  const added = numbersOf(bias);
  for (let i = 0; i < values.length; i++) values[i] += added[Math.floor(i / positions) % maps];
}

function conv(context: EvaluateContext): Tensor {
  const { node, inputs, outputs } = context;
  const x = inputTensor(context, 0);
  const w = inputTensor(context, 1);
  const taps = tapsOf(windowOf(node, x.dims.slice(2), w.dims.slice(2)), x.dims.slice(2));
  const shape = { batch: x.dims[0], maps: w.dims[0], channels: w.dims[1], group: getInt(node, "group", 1) };
  const [input, weight] = [numbersOf(x), numbersOf(w)];
  const result = new Float64Array(shape.batch * shape.maps * taps.outputs);
  forEachProduct(shape, taps, (x, w, y) => {
    result[y] += input[x] * weight[w];
  });
  addBias(result, inputs[2], shape.maps, taps.outputs);
  return outputTensor(outputs[0], result);
}

function convTranspose(context: EvaluateContext): Tensor {
  const { node, inputs, outputs } = context;
  const x = inputTensor(context, 0);
  const w = inputTensor(context, 1);
  const window = transposedWindow(node, x.dims.slice(2), w.dims.slice(2));
  const taps = tapsOf(window, window.inputs);
  const shape = { batch: x.dims[0], maps: w.dims[0], channels: w.dims[1], group: getInt(node, "group", 1) };
  const y = convolveBack(x, w, shape, taps);
  addBias(y, inputs[2], shape.channels * shape.group, taps.inputs);
  return outputTensor(outputs[0], y);
}

function convGradInput(context: EvaluateContext): Tensor {
  const { node, outputs } = context;
  const w = inputTensor(context, 1);
  const [batch, , ...spatial] = outputs[0].dims;
  const taps = tapsOf(windowOf(node, spatial, w.dims.slice(2)), spatial);
  const shape = { batch, maps: w.dims[0], channels: w.dims[1], group: getInt(node, "group", 1) };
  return outputTensor(outputs[0], convolveBack(inputTensor(context, 0), w, shape, taps));
}

/** dw[cell] += dy * x[tap] */
function convGradWeight(context: EvaluateContext): Tensor {
  const { node, outputs } = context;
  const image = inputTensor(context, 1);
  const [maps, channels, ...kernel] = outputs[0].dims;
  const taps = tapsOf(windowOf(node, image.dims.slice(2), kernel), image.dims.slice(2));
  const shape = { batch: image.dims[0], maps, channels, group: getInt(node, "group", 1) };
  const [gradient, input] = [numbersOf(inputTensor(context, 0)), numbersOf(image)];
  const dw = new Float64Array(maps * channels * taps.cells);
  forEachProduct(shape, taps, (x, w, y) => {
    dw[w] += gradient[y] * input[x];
  });
  return outputTensor(outputs[0], dw);
}

export const convolution = {
  Conv: (context) => [conv(context)],
  ConvGradInput: (context) => [convGradInput(context)],
  ConvGradWeight: (context) => [convGradWeight(context)],
  ConvTranspose: (context) => [convTranspose(context)],
} as const satisfies Record<string, EvaluateRule>;
