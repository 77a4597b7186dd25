/** Averages and sums over the images of tensors in the blocked layout. */

import { getInt, int, type Node } from "../../onnx/model.js";
import { sizeOf } from "../../onnx/tensor.js";
import type { Layouts } from "./layouts.js";

/** The mean of each channel of a blocked tensor, of shape [C]. */
export function channelMeans(layouts: Layouts, x: string, name?: string): string {
  const { b } = layouts;
  const [batch, channels] = b.shape(x);
  const ofImages = b.reshape(imageMeans(layouts, x), [batch, channels]);
  return b.op("ReduceMean", [ofImages, b.vector([0])], { keepdims: int(0) }, name);
}

/** The mean of each channel of each image: [N, C, 1, 1], which is the same in both layouts. */
function imageMeans(layouts: Layouts, x: string, name?: string): string {
  const [batch, channels] = layouts.b.shape(x);
  return layouts.op("GlobalAveragePool", [x], {}, [batch, channels, 1, 1], name);
}

export function blockedGlobalAveragePool(layouts: Layouts, node: Node): boolean {
  const [x] = node.inputs;
  const [out] = node.outputs;
  if (!layouts.isBlocked(x)) return false;
  layouts.b.release(out);
  imageMeans(layouts, layouts.blocked(x), out);
  return true;
}

/** ReduceSum over all axes but that of the channels. */
export function blockedReduceSum(layouts: Layouts, node: Node): boolean {
  const { b } = layouts;
  const [x, axes] = node.inputs;
  const [out] = node.outputs;
  const over = b.graph.initializers.get(axes)?.numbers();
  if (!layouts.isBlocked(x) || over?.join() !== "0,2,3") return false;
  const shape = layouts.shape(x);
  const means = channelMeans(layouts, layouts.blocked(x));
  const count = b.scalar(sizeOf(shape) / shape[1], means);
  const keeps = getInt(node, "keepdims", 1) !== 0;
  b.release(out);
  if (keeps) b.reshape(b.mul(means, count), [1, shape[1], 1, 1], out);
  else b.mul(means, count, out);
  return true;
}
