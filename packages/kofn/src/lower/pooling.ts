/** The gradients of pooling as standard ONNX operators. */

import type { Builder } from "../onnx/builder.js";
import { DATA_TYPES } from "../onnx/dtype.js";
import { getInt, getInts, int, ints, type Node, string } from "../onnx/model.js";
import { sizeOf } from "../onnx/tensor.js";
import { tile, windowsOf } from "./windows.js";

/**
 * MaxPoolGrad (dY, X, Y) -> dX.
 *
 * Windows that tile an image X: X is compared with Y, spread over its windows, and equal maxima share dY. This is three times
 * as fast as asking MaxPool for indices, which onnxruntime's fast kernel does not give. Other windows: each dY is
 * added at the index of its window's first maximum.
 */
export function lowerMaxPoolGrad(b: Builder, node: Node, out: string): string {
  const [dY, x] = node.inputs;
  const input = b.shape(x).slice(2);
  const output = b.shape(dY).slice(2);
  const kernel = getInts(node, "kernel_shape", []);
  const tiled = kernel.length === 2 && tile(windowsOf(node, input, kernel), input, output);
  return tiled ? shareAmongMaxima(b, node, kernel, out) : scatterToFirst(b, node, out);
}

function shareAmongMaxima(b: Builder, node: Node, kernel: readonly number[], out: string): string {
  const [dY, x, y] = node.inputs;
  const isMax = b.op("Equal", [x, spread(b, y, kernel)]);
  const maxima = b.op("Cast", [isMax], { to: int(DATA_TYPES[b.dtype(x)].code) }, `${x}/is_max`);
  const each = b.div(dY, sumWindows(b, maxima, kernel));
  return b.mul(maxima, spread(b, each, kernel), out);
}

/** Repeats each element over its window: [N, C, oh, ow] -> [N, C, oh * kh, ow * kw]. */
function spread(b: Builder, value: string, [kh, kw]: readonly number[]): string {
  const [batch, channels, height, width] = b.shape(value);
  const rows = b.reshape(value, [batch * channels * height, width]);
  const product = b.op("MatMul", [rows, windowMatrix(b, value, width, kh, kw, false)]);
  return b.reshape(product, [batch, channels, height * kh, width * kw], `${value}/spread`);
}

/** The sum of each window: [N, C, oh * kh, ow * kw] -> [N, C, oh, ow]. */
function sumWindows(b: Builder, value: string, [kh, kw]: readonly number[]): string {
  const [batch, channels, height, width] = b.shape(value);
  const rows = b.reshape(value, [(batch * channels * height) / kh, kh * width]);
  const product = b.op("MatMul", [rows, windowMatrix(b, value, width / kw, kh, kw, true)]);
  return b.reshape(product, [batch, channels, height / kh, width / kw]);
}

/**
 * Which of a row of windows each element of their kh rows belongs to, as zeros and ones: [ow, kh * ow * kw], or its
 * transpose. A product with it is the fastest way to spread and to sum: other operators go element by element here.
 */
function windowMatrix(
  b: Builder,
  like: string,
  windows: number,
  kh: number,
  kw: number,
  transposed: boolean,
): string {
  const elements = kh * windows * kw;
  const windowOf = (element: number): number => Math.floor((element % (windows * kw)) / kw);
  const ones = Array.from({ length: windows * elements }, (_, i) => {
    const [row, column] = transposed
      ? [i % windows, Math.floor(i / windows)]
      : [Math.floor(i / elements), i % elements];
    return windowOf(column) === row ? 1 : 0;
  });
  const dims = transposed ? [elements, windows] : [windows, elements];
  return b.constant(b.dtype(like) === "float64" ? "float64" : "float32", dims, ones);
}

function scatterToFirst(b: Builder, node: Node, out: string): string {
  const [dY, x] = node.inputs;
  const dims = b.shape(x);
  // The indices must count as memory does, whatever order the node's own are in.
  const own = Object.fromEntries([...node.attributes].filter(([name]) => name !== "storage_order"));
  const [, indices] = b.ops("MaxPool", [x], own, [`${x}/max`, `${x}/max_indices`]);
  const count = sizeOf(b.shape(dY));
  const zeros = b.fill(0, b.dtype(dY) === "float64" ? "float64" : "float32", [sizeOf(dims)]);
  const scattered = b.op("ScatterElements", [zeros, b.reshape(indices, [count]), b.reshape(dY, [count])], {
    axis: int(0),
    reduction: string("add"),
  });
  return b.reshape(scattered, dims, out);
}

/** AveragePoolGrad (dY) -> dX: each dY, divided by its window's size, is added to all elements of the window. */
export function lowerAveragePoolGrad(b: Builder, node: Node, out: string): string {
  const [dY] = node.inputs;
  const [, channels, ...input] = getInts(node, "input_shape", []);
  const output = b.shape(dY).slice(2);
  const kernel = getInts(node, "kernel_shape", []);
  const { strides, dilations, begins, ends } = windowsOf(node, input, kernel);
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
