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
