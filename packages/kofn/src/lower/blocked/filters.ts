/** onnxruntime's convolution of blocked tensors, and filters as it takes them. */

import { ints } from "../../onnx/model.js";
import type { Layouts } from "./layouts.js";

/** A convolution's window without its group: what the blocked operators are given. */
export interface Geometry {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly begins: readonly number[];
  readonly ends: readonly number[];
}

export function convolve(
  layouts: Layouts,
  inputs: readonly string[],
  { kernel, strides, dilations, begins, ends }: Geometry,
  shape: readonly number[],
  name?: string,
): string {
  const attributes = {
    kernel_shape: ints(kernel),
    strides: ints(strides),
    dilations: ints(dilations),
    pads: ints([...begins, ...ends]),
  };
  return layouts.op("Conv", inputs, attributes, shape, name);
}

/** Filters [O, C, Kh, Kw] in memory as [O / block, C / block, Kh, Kw, block of C, block of O]. */
export function arrange({ b, block }: Layouts, w: string): string {
  const [outputs, channels, ...kernel] = b.shape(w);
  const blocks = [outputs / block, block, channels / block, block, ...kernel];
  return b.reshape(b.transpose(b.reshape(w, blocks), [0, 2, 4, 5, 3, 1]), [outputs, channels, ...kernel]);
}

/**
 * Filters with O and C exchanged, turned round, of every `steps`-th row and column up to `last`: in memory
 * [C / block, O / block, Kh, Kw, block of O, block of C].
 */
export function arrangeTurned(
  { b, block }: Layouts,
  w: string,
  last: readonly number[],
  steps: readonly number[],
): string {
  const start = b.vector([-(2 ** 31), -(2 ** 31)]);
  const back = b.vector(steps.map((step) => -step));
  const isWhole = b
    .shape(w)
    .slice(2)
    .every((k) => k === 1);
  const turned = isWhole ? w : b.op("Slice", [w, b.vector(last), start, b.vector([2, 3]), back]);
  const [outputs, channels, ...kernel] = b.shape(turned);
  const blocks = [outputs / block, block, channels / block, block, ...kernel];
  return b.reshape(b.transpose(b.reshape(turned, blocks), [2, 0, 4, 5, 1, 3]), [
    channels,
    outputs,
    ...kernel,
  ]);
}

/** Filters of fewer channels than a block: in memory [O / block, C, Kh, Kw, block of O]. */
export function arrangeFew({ b, block }: Layouts, w: string): string {
  const [outputs, ...rest] = b.shape(w);
  const arranged = b.transpose(b.reshape(w, [outputs / block, block, ...rest]), [0, 2, 3, 4, 1]);
  return b.reshape(arranged, [outputs, ...rest]);
}
