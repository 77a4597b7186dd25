/** The gradients of a convolution as standard ONNX operators. */

import type { Builder } from "../onnx/builder.js";
import { getInts, int, ints, type Node } from "../onnx/model.js";
import { sizeOf } from "../onnx/tensor.js";
import { type Windows, windowsOf } from "./windows.js";

/** Measured: at equal size the correlation is twice as fast as ConvTranspose; from this ratio of sizes on it is slower. */
const PADDING_WORTH = 1.5;

/** ConvGradInput (dY, W) -> dX. */
export function lowerConvGradInput(b: Builder, node: Node, out: string): string {
  const [dY, w] = node.inputs;
  const input = getInts(node, "input_shape", []).slice(2);
  const output = b.shape(dY).slice(2);
  const windows = windowsOf(node, input, b.shape(w).slice(2));
  const { kernel, strides, dilations, begins, ends, group } = windows;
  const pads = kernel.map((k, i) => (k - 1) * dilations[i] - Math.max(begins[i], ends[i]));
  // The correlation multiplies once per element of dX, ConvTranspose once per element of dY (and then adds up).
  const padded = sizeOf(input) > PADDING_WORTH * sizeOf(output);
  if (group === 1 && !padded && strides.every((stride) => stride === 1) && pads.every((pad) => pad >= 0)) {
    return correlateWithFlipped(b, dY, w, windows, input, out);
  }
  const outputPadding = kernel.map(
    (k, i) => input[i] - ((output[i] - 1) * strides[i] - begins[i] - ends[i] + (k - 1) * dilations[i] + 1),
  );
  return b.op(
    "ConvTranspose",
    [dY, w],
    {
      kernel_shape: ints(kernel),
      strides: ints(strides),
      dilations: ints(dilations),
      pads: ints([...begins, ...ends]),
      output_padding: ints(outputPadding),
      group: int(group),
    },
    out,
  );
}

/** At stride 1, dX is the correlation of dY with the filters turned round and with their channels exchanged. */
function correlateWithFlipped(
  b: Builder,
  dY: string,
  w: string,
  { kernel, dilations, begins }: Windows,
  input: readonly number[],
  out: string,
): string {
  const output = b.shape(dY).slice(2);
  const axes = kernel.map((_, i) => i + 2);
  const turned = kernel.every((k) => k === 1)
    ? w
    : b.op("Slice", [
        w,
        b.vector(axes.map(() => -1)),
        b.vector(axes.map(() => -(2 ** 31))),
        b.vector(axes),
        b.vector(axes.map(() => -1)),
      ]);
  const exchanged = b.transpose(turned, [1, 0, ...axes]);
  const before = kernel.map((k, i) => (k - 1) * dilations[i] - begins[i]);
  const after = kernel.map((k, i) => input[i] - output[i] + (k - 1) * dilations[i] - before[i]);
  return b.op(
    "Conv",
    [dY, exchanged],
    { kernel_shape: ints(kernel), dilations: ints(dilations), pads: ints([...before, ...after]) },
    out,
  );
}

/**
 * ConvGradWeight (dY, X) -> dW, as a convolution over the images: batch and channels change places, dY is the filter,
 * strides become dilations and the other way round.
 */
export function lowerConvGradWeight(b: Builder, node: Node, out: string): string {
  const [dY, x] = node.inputs;
  const [batch, channels, ...input] = b.shape(x);
  const output = b.shape(dY).slice(2);
  const kernel = getInts(node, "kernel_shape", []);
  const { strides, dilations, begins, ends, group } = windowsOf(node, input, kernel);
  const spatial = kernel.map((_, i) => i + 2);
  const perGroup = channels / group;
  // [B, group, Cin/group, ...] -> [Cin/group, group * B, ...]
  const images =
    group === 1
      ? b.transpose(x, [1, 0, ...spatial])
      : b.reshape(
          b.transpose(b.reshape(x, [batch, group, perGroup, ...input]), [
            2,
            1,
            0,
            ...spatial.map((axis) => axis + 1),
          ]),
          [perGroup, group * batch, ...input],
        );
  const filters = b.transpose(dY, [1, 0, ...spatial]);
  const reached = kernel.map(
    (_, i) =>
      Math.floor((input[i] + begins[i] + ends[i] - (output[i] - 1) * strides[i] - 1) / dilations[i]) + 1,
  );
  let grad = b.op("Conv", [images, filters], {
    kernel_shape: ints(output),
    strides: ints(dilations),
    dilations: ints(strides),
    pads: ints([...begins, ...ends]),
    group: int(group),
  });
  if (reached.some((size, i) => size > kernel[i])) {
    grad = b.op("Slice", [grad, b.vector(kernel.map(() => 0)), b.vector(kernel), b.vector(spatial)]);
  }
  return b.transpose(grad, [1, 0, ...spatial], out);
}
