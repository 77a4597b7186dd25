/** The geometry of a convolution or pooling node: window, strides, dilations and explicit pads per spatial dimension. */

import { getInt, getInts, getString, type Node } from "../onnx/model.js";

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
 * @param output spatial dimensions of the output
 * @param kernel spatial dimensions of the window
 */
export function windowsOf(
  node: Node,
  input: readonly number[],
  output: readonly number[],
  kernel: readonly number[],
): Windows {
  const rank = input.length;
  const ones = new Array<number>(rank).fill(1);
  const strides = getInts(node, "strides", ones);
  const dilations = getInts(node, "dilations", ones);
  const given = getInts(node, "pads", new Array<number>(2 * rank).fill(0));
  const autoPad = getString(node, "auto_pad", "NOTSET");
  let begins = given.slice(0, rank);
  let ends = given.slice(rank);
  if (autoPad === "SAME_UPPER" || autoPad === "SAME_LOWER") {
    const totals = kernel.map((k, i) =>
      Math.max((output[i] - 1) * strides[i] + (k - 1) * dilations[i] + 1 - input[i], 0),
    );
    begins = totals.map((total) => (autoPad === "SAME_UPPER" ? Math.floor(total / 2) : Math.ceil(total / 2)));
    ends = totals.map((total, i) => total - begins[i]);
  } else if (autoPad === "VALID") {
    begins = ones.map(() => 0);
    ends = begins;
  }
  return { kernel, strides, dilations, begins, ends, group: getInt(node, "group", 1) };
}
