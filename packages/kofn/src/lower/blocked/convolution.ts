/** Convolutions and their gradients on tensors in the blocked layout. */

import { getInts, int, ints, type Node } from "../../onnx/model.js";
import { sizeOf } from "../../onnx/tensor.js";
import { windowsOf } from "../windows.js";
import { arrange, arrangeFew, arrangeTurned, convolve } from "./filters.js";
import type { Layouts } from "./layouts.js";
import { phasedGradInput } from "./phases.js";

/** Conv (X, W, bias) -> Y. Fewer channels than a block are read from the plain layout, other numbers must fill blocks. */
export function blockedConv(layouts: Layouts, node: Node): boolean {
  const { b, block } = layouts;
  const [x, w, ...bias] = node.inputs;
  const [outputs, perGroup, ...kernel] = b.shape(w);
  const [batch, channels, ...input] = layouts.shape(x);
  const few = channels < block;
  if (kernel.length !== 2 || perGroup !== channels || outputs % block !== 0) return false;
  if (!few && !layouts.fits(x)) return false;
  const [out] = node.outputs;
  const output = layouts.inferred(node).slice(2);
  const windows = windowsOf(node, input, kernel);
  if (few) layouts.plain(x);
  const source = few ? x : layouts.blocked(x);
  const filters = few ? arrangeFew(layouts, w) : arrange(layouts, w);
  const y = convolve(
    layouts,
    [source, filters, ...bias],
    windows,
    [batch, outputs, ...output],
    `${out}/blocked`,
  );
  layouts.define(out, y);
  return true;
}

/**
 * ConvGradInput (dY, W) -> dX: the correlation of dY, with zeros between its elements where the convolution has strides,
 * with the filters turned round and with their channels exchanged; or, where that is possible, without those zeros.
 */
export function blockedConvGradInput(layouts: Layouts, node: Node): boolean {
  const { b, block } = layouts;
  const [dY, w] = node.inputs;
  const [outputs, channels, ...kernel] = b.shape(w);
  const shape = getInts(node, "input_shape", []);
  const input = shape.slice(2);
  const [batch, dYChannels, ...output] = layouts.shape(dY);
  if (kernel.length !== 2 || shape[1] !== channels || dYChannels !== outputs) return false;
  if (channels % block !== 0 || !layouts.fits(dY)) return false;
  const windows = windowsOf(node, input, kernel);
  const { strides, dilations, begins } = windows;
  const phased = phasedGradInput(layouts, dY, w, windows, input, `${node.outputs[0]}/blocked`);
  if (phased !== undefined) {
    layouts.define(node.outputs[0], phased);
    return true;
  }
  const spread = output.map((size, i) => size * strides[i]);
  const before = kernel.map((k, i) => (k - 1) * dilations[i] - begins[i]);
  const after = kernel.map((k, i) => input[i] - spread[i] + (k - 1) * dilations[i] - before[i]);
  if ([...before, ...after].some((pad) => pad < 0)) return false;
  const [out] = node.outputs;
  const filters = arrangeTurned(layouts, w, [-1, -1], [1, 1]);
  const ones = kernel.map(() => 1);
  const geometry = { kernel, strides: ones, dilations, begins: before, ends: after };
  const source = layouts.blocked(dY);
  const name = `${out}/blocked`;
  const isPointwise = kernel.every((k) => k === 1) && [...before, ...after].every((pad) => pad === 0);
  if (isPointwise) {
    const small = convolve(layouts, [source, filters], geometry, [batch, channels, ...output], name);
    layouts.define(out, insertZeros(layouts, small, strides));
  } else {
    const large = insertZeros(layouts, source, strides);
    layouts.define(out, convolve(layouts, [large, filters], geometry, [batch, channels, ...input], name));
  }
  return true;
}

/**
 * Channels of dY that fill up the last block are worth it while they are no more than this for each that there is. Measured,
 * batch 64, 5x5 windows, one thread: 50 maps as 64 take 3.0 ms, in the plain layout 4.4; 20 as 32 take 1.7 and 1.6 ms.
 */
const MOST_FILLED_UP = 0.5;

/**
 * ConvGradWeight (dY, X) -> dW as a convolution over the images: X with batch and channels exchanged, blocked over the
 * batch, is what is read, dY is the filter, and strides and dilations change places. Channels of dY that do not fill blocks
 * are filled up with zeros.
 */
export function blockedConvGradWeight(layouts: Layouts, node: Node): boolean {
  const { b, block } = layouts;
  const [dY, x] = node.inputs;
  const [batch, channels, ...input] = layouts.shape(x);
  const [, outputs, ...output] = layouts.shape(dY);
  const kernel = getInts(node, "kernel_shape", []);
  if (kernel.length !== 2 || batch % block !== 0 || layouts.dtype(dY) !== "float32") return false;
  const filled = Math.ceil(outputs / block) * block;
  if (filled - outputs > MOST_FILLED_UP * outputs) return false;
  const { strides, dilations, begins, group } = windowsOf(node, input, kernel);
  if (group !== 1) return false;
  const [out] = node.outputs;
  if (kernel.every((k) => k === 1)) {
    if (begins.some((size) => size > 0) || !layouts.fits(dY) || !layouts.fits(x)) return false;
    pointwiseGradWeight(layouts, dY, x, strides, out);
    return true;
  }
  // [N, C, H, W] -> [C, N, H, W], with pads of its own: the operator is slow where a window leaves its input.
  layouts.plain(x);
  const exchanged = b.transpose(x, [1, 0, 2, 3]);
  const images = layouts.op("ReorderInput", [exchanged], {}, [channels, batch, ...input]);
  const reach = kernel.map((k, i) => (output[i] - 1) * strides[i] + (k - 1) * dilations[i] + 1);
  const ends = reach.map((size, i) => Math.max(size - input[i] - begins[i], 0));
  const padded = pad(layouts, images, begins, ends);
  const blocks = [batch / block, block, filled / block, sizeOf(output), block];
  const filters = b.transpose(b.reshape(layouts.filledUp(dY), blocks), [2, 0, 3, 1, 4]);
  const reached = reach.map(
    (size, i) => kernel[i] + Math.floor((input[i] + begins[i] + ends[i] - size) / dilations[i]),
  );
  const zeros = kernel.map(() => 0);
  const grad = convolve(
    layouts,
    [padded, b.reshape(filters, [filled, batch, ...output])],
    { kernel: output, strides: dilations, dilations: strides, begins: zeros, ends: zeros },
    [channels, filled, ...reached],
  );
  let blocked = b.reshape(grad, [channels, filled / block, ...reached, block]);
  if (reached.some((size, i) => size > kernel[i])) {
    blocked = b.op("Slice", [blocked, b.vector(zeros), b.vector(kernel), b.vector([2, 3])]);
  }
  const unblocked = b.transpose(blocked, [1, 4, 0, 2, 3]);
  const whole = [filled, channels, ...kernel];
  b.release(out);
  if (filled === outputs) b.reshape(unblocked, whole, out);
  else
    b.op("Slice", [b.reshape(unblocked, whole), b.vector([0]), b.vector([outputs]), b.vector([0])], {}, out);
  return true;
}

/**
 * With windows of one element the convolution over the images would read a value of dY for every product; dW is the sum
 * over the images of the products of two matrices.
 */
function pointwiseGradWeight(
  layouts: Layouts,
  dY: string,
  x: string,
  strides: readonly number[],
  out: string,
): void {
  const { b } = layouts;
  const [batch, outputs, ...output] = layouts.shape(dY);
  const channels = layouts.shape(x)[1];
  let read = x;
  if (strides.some((stride) => stride > 1)) {
    const picked = layouts.op(
      "Conv",
      [layouts.blocked(x), b.fill(1, "float32", [channels, 1, 1, 1], "ones")],
      { kernel_shape: ints([1, 1]), group: int(channels), strides: ints(strides) },
      [batch, channels, ...output],
    );
    read = layouts.unblocked(picked);
  } else layouts.plain(x);
  layouts.plain(dY);
  const size = sizeOf(output);
  const pixels = b.transpose(b.reshape(read, [batch, channels, size]), [0, 2, 1]);
  const products = b.op("MatMul", [b.reshape(dY, [batch, outputs, size]), pixels]);
  b.release(out);
  b.reshape(b.sum(products, [0], false), [outputs, channels, 1, 1], out);
}

/** Zeros around a blocked tensor: a convolution of each channel with the one-element window 1, and pads. */
function pad(layouts: Layouts, x: string, begins: readonly number[], ends: readonly number[]): string {
  if ([...begins, ...ends].every((size) => size === 0)) return x;
  const { b } = layouts;
  const [count, channels, ...size] = b.shape(x);
  const ones = b.fill(1, "float32", [channels, 1, 1, 1], "ones");
  return layouts.op(
    "Conv",
    [x, ones],
    { kernel_shape: ints([1, 1]), group: int(channels), pads: ints([...begins, ...ends]) },
    [count, channels, ...size.map((dim, i) => dim + begins[i] + ends[i])],
  );
}

/** [N, C, H, W] -> [N, C, H * strides[0], W * strides[1]], with zeros after each row and column. */
function insertZeros(layouts: Layouts, x: string, strides: readonly number[]): string {
  const { b, block } = layouts;
  if (strides.every((stride) => stride === 1)) return x;
  const [batch, channels, height, width] = b.shape(x);
  const rows = b.reshape(x, [(batch * channels * height) / block, 1, width, block]);
  const pads = [0, 0, 0, 0, 0, strides[0] - 1, 0, block * (strides[1] - 1)];
  const padded = b.op("Pad", [rows, b.vector(pads)]);
  return b.reshape(padded, [batch, channels, height * strides[0], width * strides[1]]);
}
