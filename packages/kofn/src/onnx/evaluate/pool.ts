/** Evaluation of pools and their gradients, from the definition. */

import { fail } from "../infer/support.js";
import { kernelShape, windowOf } from "../infer/window.js";
import { getInt } from "../model.js";
import { sizeOf, type Tensor } from "../tensor.js";
import {
  type EvaluateContext,
  type EvaluateRule,
  inputTensor,
  numbersOf,
  outputTensor,
  type Scalars,
  scalarsOf,
  zeros,
} from "./support.js";
import { BEYOND, type Taps, tapsOf } from "./taps.js";

function poolTaps({ node }: EvaluateContext, dims: readonly number[]): Taps {
  const spatial = dims.slice(2);
  return tapsOf(windowOf(node, spatial, kernelShape(node)), spatial);
}

/** Position of the first maximum of each window, within its plane; -1 for a window that sees padding alone. */
function firstMaxima(x: Scalars, planes: number, { outputs, cells, inputs, at }: Taps): Int32Array {
  const best = new Int32Array(planes * outputs).fill(-1);
  for (let plane = 0; plane < planes; plane++) {
    for (let output = 0; output < outputs; output++) {
      let champion = -1;
      for (let cell = 0; cell < cells; cell++) {
        const tap = at[output * cells + cell];
        if (tap < 0) continue;
        if (champion < 0 || x[plane * inputs + tap] > x[plane * inputs + champion]) champion = tap;
      }
      best[plane * outputs + output] = champion;
    }
  }
  return best;
}

/** Where the element at a row-major position of a plane lies in column-major order. */
function columnMajor(position: number, dims: readonly number[]): number {
  let index = 0;
  for (const size of dims.toReversed()) {
    index = index * size + (position % size);
    position = Math.floor(position / size);
  }
  return index;
}

function maxPool(context: EvaluateContext): Tensor[] {
  const { node, outputs } = context;
  const isColumnMajor = getInt(node, "storage_order", 0) !== 0;
  const input = inputTensor(context, 0);
  const x = scalarsOf(input);
  const taps = poolTaps(context, input.dims);
  const best = firstMaxima(x, sizeOf(input.dims.slice(0, 2)), taps);
  const y = zeros(input.dtype, best.length);
  const indices = new BigInt64Array(best.length);
  for (let i = 0; i < best.length; i++) {
    if (best[i] < 0) fail(node, "a window lies in the padding alone");
    const plane = Math.floor(i / taps.outputs) * taps.inputs;
    y[i] = x[plane + best[i]];
    indices[i] = BigInt(plane + (isColumnMajor ? columnMajor(best[i], input.dims.slice(2)) : best[i]));
  }
  const values = outputTensor(outputs[0], y);
  return outputs.length === 1 ? [values] : [values, outputTensor(outputs[1], indices)];
}

function maxPoolGrad(context: EvaluateContext): Tensor {
  const dy = numbersOf(inputTensor(context, 0));
  const input = inputTensor(context, 1);
  const taps = poolTaps(context, input.dims);
  const best = firstMaxima(scalarsOf(input), sizeOf(input.dims.slice(0, 2)), taps);
  const dx = new Float64Array(input.size);
  for (let i = 0; i < best.length; i++) {
    if (best[i] >= 0) dx[Math.floor(i / taps.outputs) * taps.inputs + best[i]] += dy[i];
  }
  return outputTensor(context.outputs[0], dx);
}

/** By how much each window's sum is divided. */
function divisors({ node }: EvaluateContext, { outputs, cells, at }: Taps): Float64Array {
  const least = getInt(node, "count_include_pad", 0) === 0 ? 0 : BEYOND + 1;
  return Float64Array.from({ length: outputs }, (_, output) => {
    let count = 0;
    for (let cell = 0; cell < cells; cell++) if (at[output * cells + cell] >= least) count++;
    return count;
  });
}

function averagePool(context: EvaluateContext): Tensor {
  const input = inputTensor(context, 0);
  const x = numbersOf(input);
  const taps = poolTaps(context, input.dims);
  const divisor = divisors(context, taps);
  const y = new Float64Array(sizeOf(input.dims.slice(0, 2)) * taps.outputs);
  for (let i = 0; i < y.length; i++) {
    const output = i % taps.outputs;
    const plane = Math.floor(i / taps.outputs) * taps.inputs;
    let sum = 0;
    for (let cell = 0; cell < taps.cells; cell++) {
      const tap = taps.at[output * taps.cells + cell];
      if (tap >= 0) sum += x[plane + tap];
    }
    y[i] = sum / divisor[output];
  }
  return outputTensor(context.outputs[0], y);
}

function averagePoolGrad(context: EvaluateContext): Tensor {
  const [type] = context.outputs;
  const dy = numbersOf(inputTensor(context, 0));
  const taps = poolTaps(context, type.dims);
  const divisor = divisors(context, taps);
  const dx = new Float64Array(sizeOf(type.dims));
  for (let i = 0; i < dy.length; i++) {
    const output = i % taps.outputs;
    const plane = Math.floor(i / taps.outputs) * taps.inputs;
    for (let cell = 0; cell < taps.cells; cell++) {
      const tap = taps.at[output * taps.cells + cell];
      if (tap >= 0) dx[plane + tap] += dy[i] / divisor[output];
    }
  }
  return outputTensor(type, dx);
}

/** A number for each plane: what `take` accumulates over its elements, from `first` on. */
function globalPool(
  context: EvaluateContext,
  first: number,
  take: (sofar: number, x: number) => number,
  finish: (result: number, positions: number) => number,
): Tensor {
  const [type] = context.outputs;
  const input = inputTensor(context, 0);
  const positions = sizeOf(input.dims.slice(2));
  const x = numbersOf(input);
  const planes = new Float64Array(sizeOf(type.dims)).fill(first);
  for (let i = 0; i < x.length; i++) {
    const plane = Math.floor(i / positions);
    planes[plane] = take(planes[plane], x[i]);
  }
  return outputTensor(
    type,
    planes.map((value) => finish(value, positions)),
  );
}

export const pooling = {
  AveragePool: (context) => [averagePool(context)],
  AveragePoolGrad: (context) => [averagePoolGrad(context)],
  GlobalAveragePool: (context) => [
    globalPool(
      context,
      0,
      (sum, x) => sum + x,
      (sum, positions) => sum / positions,
    ),
  ],
  GlobalLpPool: (context) => {
    const p = getInt(context.node, "p", 2);
    return [
      globalPool(
        context,
        0,
        (sum, x) => sum + Math.abs(x) ** p,
        (sum) => sum ** (1 / p),
      ),
    ];
  },
  GlobalMaxPool: (context) => [globalPool(context, -Infinity, Math.max, (max) => max)],
  MaxPool: maxPool,
  MaxPoolGrad: (context) => [maxPoolGrad(context)],
} as const satisfies Record<string, EvaluateRule>;
