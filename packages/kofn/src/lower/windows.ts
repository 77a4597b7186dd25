/** The geometry of a convolution or pooling node, as its lowering wants it: explicit pads per spatial dimension, and groups. */

import { windowOf } from "../onnx/infer/window.js";
import { getInt, type Node } from "../onnx/model.js";

export interface Windows {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Pads before each spatial dimension. */
  readonly begins: readonly number[];
  /** Pads after each spatial dimension. */
  readonly ends: readonly number[];
  readonly group: number;
}

/**
 * @param input spatial dimensions of the input
 * @param kernel spatial dimensions of the window
 */
export function windowsOf(node: Node, input: readonly number[], kernel: readonly number[]): Windows {
  const { strides, dilations, padsBegin, padsEnd } = windowOf(node, input, kernel);
  return { kernel, strides, dilations, begins: padsBegin, ends: padsEnd, group: getInt(node, "group", 1) };
}

/** Whether the windows lie side by side and cover the input, so that each of its elements is in one window. */
export function tile(
  { kernel, strides, dilations, begins }: Windows,
  input: readonly number[],
  output: readonly number[],
): boolean {
  return kernel.every(
    (k, i) =>
      strides[i] === k && begins[i] === 0 && (k === 1 || dilations[i] === 1) && output[i] * k === input[i],
  );
}
