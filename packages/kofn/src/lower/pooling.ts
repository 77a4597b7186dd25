/** The gradients of pooling as standard ONNX operators. */

import type { Builder } from "../onnx/builder.js";
import { getInt, getInts, int, ints, type Node } from "../onnx/model.js";
import { sizeOf } from "../onnx/tensor.js";
import { windowsOf } from "./windows.js";

/**
 * MaxPoolGrad (dY, X, Y) -> dX: each dY is added at the index of its window's first maximum.
 */
export function lowerMaxPoolGrad(b: Builder, node: Node, out: string): string {
  const [dY, x] = node.inputs;
  const dims = b.shape(x);
  const kernel = getInts(node, "kernel_shape", []);
  const windows = windowsOf(node, dims.slice(2), b.shape(dY).slice(2), kernel);
  const own = Object.fromEntries(node.attributes);
  const [, indices] = b.ops("MaxPool", [x], own, [`${x}/max`, `${x}/max_indices`]);
  const apart = kernel.every((k, i) => windows.strides[i] >= (k - 1) * windows.dilations[i] + 1);
  const count = sizeOf(b.shape(dY));
  const zeros = b.fill(0, b.dtype(dY) === "float64" ? "float64" : "float32", [sizeOf(dims)]);
  const attributes = apart
    ? { axis: int(0) }
    : { axis: int(0), reduction: { kind: "string", value: new TextEncoder().encode("add") } as const };
  const scattered = b.op(
    "ScatterElements",
    [zeros, b.reshape(indices, [count]), b.reshape(dY, [count])],
    attributes,
  );
  return b.reshape(scattered, dims, out);
}

/** AveragePoolGrad (dY) -> dX: each dY, divided by its window's size, is added to all elements of the window. */
export function lowerAveragePoolGrad(b: Builder, node: Node, out: string): string {
  const [dY] = node.inputs;
  const [, channels, ...input] = getInts(node, "input_shape", []);
  const output = b.shape(dY).slice(2);
  const kernel = getInts(node, "kernel_shape", []);
  const { strides, dilations, begins, ends } = windowsOf(node, input, output, kernel);
  const includePad = getInt(node, "count_include_pad", 0) === 1;
  // How many elements each window averages: separable, one factor per dimension.
  const counts = kernel.map((k, d) =>
    Array.from({ length: output[d] }, (_, o) => {
      let count = 0;
      for (let i = 0; i < k; i++) {
        const at = o * strides[d] - begins[d] + i * dilations[d];
        const [low, high] = includePad ? [-begins[d], input[d] + ends[d]] : [0, input[d]];
        if (at >= low && at < high) count++;
      }
      return count;
    }),
  );
  const windowSizes = counts.reduce<number[]>(
    (sizes, factor) => sizes.flatMap((size) => factor.map((count) => size * count)),
    [1],
  );
  const dtype = b.dtype(dY) === "float64" ? "float64" : "float32";
  const even = windowSizes.every((size) => size === windowSizes[0]);
  const shares = even
    ? b.mul(dY, b.scalar(1 / windowSizes[0], dY))
    : b.div(dY, b.constant(dtype, [1, 1, ...output], windowSizes));
  const filters = b.fill(1, dtype, [channels, 1, ...kernel]);
  const spread = b.op("ConvTranspose", [shares, filters], {
    kernel_shape: ints(kernel),
    strides: ints(strides),
    dilations: ints(dilations),
    group: int(channels),
  });
  // Cut off what fell on the pads; add the elements that no window reached.
  const reached = kernel.map((k, d) => (output[d] - 1) * strides[d] + (k - 1) * dilations[d] + 1);
  const after = input.map((size, d) => begins[d] + size - reached[d]);
  if (begins.every((pad) => pad === 0) && after.every((pad) => pad === 0)) {
    return b.op("Identity", [spread], {}, out);
  }
  return b.op("Pad", [spread, b.vector([0, 0, ...begins.map((pad) => -pad), 0, 0, ...after])], {}, out);
}
