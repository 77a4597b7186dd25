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

interface Pair {
  /** First element of an input channel, of the kernel that reads it, and of the output map that it adds to. */
  readonly x: number;
  readonly w: number;
  readonly y: number;
}

/** Every (image, output map, input channel) that a convolution connects. */
function* pairs({ batch, maps, channels, group }: Shape, { inputs, cells, outputs }: Taps): Generator<Pair> {
  for (let image = 0; image < batch; image++) {
    for (let map = 0; map < maps; map++) {
      const first = Math.floor(map / (maps / group)) * channels;
      for (let channel = 0; channel < channels; channel++) {
        yield {
          x: (image * channels * group + first + channel) * inputs,
          w: (map * channels + channel) * cells,
          y: (image * maps + map) * outputs,
        };
      }
    }
  }
}

/** Spreads dy back through the kernels: dx[tap] += dy * w. */
function convolveBack(dy: Tensor, w: Tensor, shape: Shape, taps: Taps): Float64Array {
  const gradient = numbersOf(dy);
  const weight = numbersOf(w);
  const dx = new Float64Array(shape.batch * shape.channels * shape.group * taps.inputs);
  for (const pair of pairs(shape, taps)) {
    let i = 0;
    for (let output = 0; output < taps.outputs; output++) {
      const value = gradient[pair.y + output];
      for (let cell = 0; cell < taps.cells; cell++) {
        const tap = taps.at[i++];
        if (tap >= 0) dx[pair.x + tap] += value * weight[pair.w + cell];
      }
    }
  }
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
  const input = numbersOf(x);
  const weight = numbersOf(w);
  const y = new Float64Array(shape.batch * shape.maps * taps.outputs);
  for (const pair of pairs(shape, taps)) {
    let i = 0;
    for (let output = 0; output < taps.outputs; output++) {
      let sum = 0;
      for (let cell = 0; cell < taps.cells; cell++) {
        const tap = taps.at[i++];
        if (tap >= 0) sum += input[pair.x + tap] * weight[pair.w + cell];
      }
      y[pair.y + output] += sum;
    }
  }
  addBias(y, inputs[2], shape.maps, taps.outputs);
  return outputTensor(outputs[0], y);
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
  const x = inputTensor(context, 1);
  const [maps, channels, ...kernel] = outputs[0].dims;
  const taps = tapsOf(windowOf(node, x.dims.slice(2), kernel), x.dims.slice(2));
  const shape = { batch: x.dims[0], maps, channels, group: getInt(node, "group", 1) };
  const gradient = numbersOf(inputTensor(context, 0));
  const input = numbersOf(x);
  const dw = new Float64Array(maps * channels * taps.cells);
  for (const pair of pairs(shape, taps)) {
    let i = 0;
    for (let output = 0; output < taps.outputs; output++) {
      const value = gradient[pair.y + output];
      for (let cell = 0; cell < taps.cells; cell++) {
        const tap = taps.at[i++];
        if (tap >= 0) dw[pair.w + cell] += value * input[pair.x + tap];
      }
    }
  }
  return outputTensor(outputs[0], dw);
}

export const convolution = {
  Conv: (context) => [conv(context)],
  ConvGradInput: (context) => [convGradInput(context)],
  ConvGradWeight: (context) => [convGradWeight(context)],
  ConvTranspose: (context) => [convTranspose(context)],
} as const satisfies Record<string, EvaluateRule>;
