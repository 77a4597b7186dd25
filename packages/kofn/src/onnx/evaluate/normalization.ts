/** Evaluation of the operators that normalise. */

import { normalizeAxis } from "../infer/support.js";
import { getFloat, getInt } from "../model.js";
import { sizeOf, type Tensor } from "../tensor.js";
import {
  axisView,
  broadcastTo,
  type EvaluateContext,
  type EvaluateRule,
  inputTensor,
  type Numbers,
  numbersOf,
  outputTensor,
} from "./support.js";

/** Rows of a tensor, each normalised to mean 0 and variance 1. */
interface Normalized {
  readonly values: Float64Array;
  readonly means: Float64Array;
  /** 1 / sqrt(variance + epsilon) of each row. */
  readonly inverses: Float64Array;
}

function normalizeRows(x: Numbers, length: number, epsilon: number): Normalized {
  const rows = length === 0 ? 0 : x.length / length;
  const values = new Float64Array(x.length);
  const means = new Float64Array(rows);
  const inverses = new Float64Array(rows);
  for (let row = 0; row < rows; row++) {
    const first = row * length;
    let sum = 0;
    for (let i = 0; i < length; i++) sum += x[first + i];
    const mean = sum / length;
    let squares = 0;
    for (let i = 0; i < length; i++) squares += (x[first + i] - mean) ** 2;
    const inverse = 1 / Math.sqrt(squares / length + epsilon);
    for (let i = 0; i < length; i++) values[first + i] = (x[first + i] - mean) * inverse;
    means[row] = mean;
    inverses[row] = inverse;
  }
  return { values, means, inverses };
}

function layerNormalization(context: EvaluateContext): Tensor[] {
  const { node, inputs, outputs } = context;
  const x = inputTensor(context, 0);
  const axis = normalizeAxis(node, getInt(node, "axis", -1), x.dims.length);
  const length = sizeOf(x.dims.slice(axis));
  const { values, means, inverses } = normalizeRows(numbersOf(x), length, getFloat(node, "epsilon", 1e-5));
  const scale = broadcastTo(inputTensor(context, 1), x.dims);
  const bias = inputs[2] && broadcastTo(inputs[2], x.dims);
  for (let i = 0; i < values.length; i++) values[i] = values[i] * Number(scale[i]) + Number(bias?.[i] ?? 0);
  return [values, means, inverses].slice(0, outputs.length).map((part, i) => outputTensor(outputs[i], part));
}

/** Normalises groups of channels of [N, C, ...], then scales and shifts each channel. */
function groupNormalization(context: EvaluateContext, groups: number): Tensor {
  const x = inputTensor(context, 0);
  const [, channels, ...spatial] = x.dims;
  const positions = sizeOf(spatial);
  const epsilon = getFloat(context.node, "epsilon", 1e-5);
  const { values } = normalizeRows(numbersOf(x), (channels / groups) * positions, epsilon);
  const scale = numbersOf(inputTensor(context, 1));
  const bias = numbersOf(inputTensor(context, 2));
  for (let i = 0; i < values.length; i++) {
    const channel = Math.floor(i / positions) % channels;
    values[i] = values[i] * scale[channel] + bias[channel];
  }
  return outputTensor(context.outputs[0], values);
}

/** y = x / (bias + alpha / size * sum of the squares of `size` neighbouring channels)^beta */
function lrn(context: EvaluateContext): Tensor {
  const { node } = context;
  const input = inputTensor(context, 0);
  const { outer, length, inner } = axisView(input.dims, 1);
  const size = getInt(node, "size", 0);
  const [alpha, beta, bias] = [
    getFloat(node, "alpha", 1e-4),
    getFloat(node, "beta", 0.75),
    getFloat(node, "bias", 1),
  ];
  const [before, after] = [Math.floor((size - 1) / 2), Math.ceil((size - 1) / 2)];
  const x = numbersOf(input);
  const y = new Float64Array(x.length);
  for (let o = 0; o < outer; o++) {
    for (let j = 0; j < inner; j++) {
      const first = o * length * inner + j;
      for (let c = 0; c < length; c++) {
        let squares = 0;
        for (let i = Math.max(0, c - before); i <= Math.min(length - 1, c + after); i++) {
          squares += x[first + i * inner] ** 2;
        }
        y[first + c * inner] = x[first + c * inner] / (bias + (alpha / size) * squares) ** beta;
      }
    }
  }
  return outputTensor(context.outputs[0], y);
}

function lpNormalization(context: EvaluateContext): Tensor {
  const { node } = context;
  const input = inputTensor(context, 0);
  const axis = normalizeAxis(node, getInt(node, "axis", -1), input.dims.length);
  const { outer, length, inner } = axisView(input.dims, axis);
  const p = getInt(node, "p", 2);
  const x = numbersOf(input);
  const y = new Float64Array(x.length);
  for (let o = 0; o < outer; o++) {
    for (let j = 0; j < inner; j++) {
      const first = o * length * inner + j;
      let sum = 0;
      for (let i = 0; i < length; i++) sum += Math.abs(x[first + i * inner]) ** p;
      const norm = sum ** (1 / p);
      for (let i = 0; i < length; i++) y[first + i * inner] = norm === 0 ? 0 : x[first + i * inner] / norm;
    }
  }
  return outputTensor(context.outputs[0], y);
}

export const normalization = {
  GroupNormalization: (context) => [groupNormalization(context, getInt(context.node, "num_groups", 0))],
  InstanceNormalization: (context) => [groupNormalization(context, inputTensor(context, 0).dims[1])],
  LRN: (context) => [lrn(context)],
  LayerNormalization: layerNormalization,
  LpNormalization: (context) => [lpNormalization(context)],
} as const satisfies Record<string, EvaluateRule>;
