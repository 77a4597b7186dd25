/** A weight's dimensions in one order, however it is stored. */

import { sizeOf } from "../onnx/tensor.js";
import type { PrunableLayer } from "./types.js";

/** A weight's dimensions as [Cout, Cin / group, K], K being the product of the kernel's dimensions (1 for a matrix). */
export function canonicalDims(layer: PrunableLayer): [outputs: number, inputs: number, kernel: number] {
  const [first, second, ...kernel] = layer.dims;
  return layer.transposed ? [second, first, 1] : [first, second, sizeOf(kernel)];
}
