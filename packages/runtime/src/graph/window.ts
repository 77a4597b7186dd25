/** The geometry of convolutions and pools. */

import { listOf, numberOf, refuse, textOf } from "./node.js";
import type { Dims, Node } from "./types.js";

/** One spatial axis. */
export interface Axis {
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
  /** Padding before and behind. */
  readonly begin: number;
  readonly end: number;
  readonly input: number;
  readonly output: number;
}

export interface Window {
  readonly y: Axis;
  readonly x: Axis;
}

/**
 * @param dims of the input, [1, channels, height, width]
 * @param kernel its size; undefined to read it from the node
 */
export function windowOf(node: Node, dims: Dims, kernel = listOf(node, "kernel_shape")): Window {
  const list = (name: string, length: number, fallback: number, least: number): readonly number[] => {
    const values = listOf(node, name) ?? new Array<number>(length).fill(fallback);
    const isFit = values.length === length && values.every((value) => value >= least && value < 2 ** 16);
    return isFit
      ? values
      : refuse(node, `${name} [${values.join(", ")}] must be ${length} numbers from ${least}`);
  };
  if (dims.length !== 4 || kernel?.length !== 2) {
    return refuse(
      node,
      `only windows of images [1, channels, height, width] are supported, not of [${dims.join(", ")}]`,
    );
  }
  if (kernel.some((size) => size < 1)) return refuse(node, `a kernel of [${kernel.join(", ")}]`);
  const [strides, dilations, pads] = [
    list("strides", 2, 1, 1),
    list("dilations", 2, 1, 1),
    list("pads", 4, 0, 0),
  ];
  const auto = textOf(node, "auto_pad", "NOTSET");
  const isCeil = numberOf(node, "ceil_mode", 0) !== 0;
  const axis = (i: 0 | 1): Axis => {
    const [input, stride, dilation] = [dims[i + 2], strides[i], dilations[i]];
    const extent = (kernel[i] - 1) * dilation + 1;
    let [begin, end] = auto === "VALID" ? [0, 0] : [pads[i], pads[i + 2]];
    let output: number;
    if (auto.startsWith("SAME")) {
      output = Math.ceil(input / stride);
      const total = Math.max(0, (output - 1) * stride + extent - input);
      const [less, more] = [Math.floor(total / 2), Math.ceil(total / 2)];
      [begin, end] = auto === "SAME_UPPER" ? [less, more] : [more, less];
    } else {
      const steps = (input + begin + end - extent) / stride;
      output = (isCeil ? Math.ceil(steps) : Math.floor(steps)) + 1;
      // The last window begins in the input or in its first padding.
      if (isCeil && (output - 1) * stride >= input + begin) output--;
    }
    if (output < 1) return refuse(node, `its window is larger than the input [${dims.join(", ")}]`);
    return { kernel: kernel[i], stride, dilation, begin, end, input, output };
  };
  return { y: axis(0), x: axis(1) };
}
