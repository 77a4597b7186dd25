/** Windows of convolutions and pools over images, from the attributes of nodes. */

import { describeNode, fail, normalizeAxis } from "../onnx/infer/support.js";
import { kernelShape, windowOf } from "../onnx/infer/window.js";
import { getInt, getInts, type Graph, type Node } from "../onnx/model.js";
import type { Pool, Window } from "./program.js";

/** The window of a matrix product. */
export function pointWindow(channels: number): Window {
  const ones = { height: 1, width: 1, outHeight: 1, outWidth: 1, kernelHeight: 1, kernelWidth: 1 };
  return { channels, ...ones, strideY: 1, strideX: 1, padY: 0, padX: 0, dilationY: 1, dilationX: 1 };
}

/**
 * @param dims of the input, without the batch.
 * @throws InputError unless it is an image.
 */
export function imageWindow(node: Node, dims: readonly number[], kernel: readonly number[]): Window {
  if (dims.length !== 3) {
    fail(
      node,
      `its input has the shape [${dims.join(", ")}], where C and memory images take [channels, height, width]`,
    );
  }
  const [channels, height, width] = dims;
  const { outputs, strides, padsBegin, dilations } = windowOf(node, [height, width], kernel);
  return {
    channels,
    height,
    width,
    outHeight: outputs[0],
    outWidth: outputs[1],
    kernelHeight: kernel[0],
    kernelWidth: kernel[1],
    strideY: strides[0],
    strideX: strides[1],
    padY: padsBegin[0],
    padX: padsBegin[1],
    dilationY: dilations[0],
    dilationX: dilations[1],
  };
}

/**
 * What a pooling node does; undefined if it is none.
 *
 * @throws InputError if it has a form that C and memory images do not have.
 */
export function poolWindow(
  graph: Graph,
  node: Node,
  dims: readonly number[],
): Pick<Pool, "kind" | "window" | "countsPadding"> | undefined {
  const pool = poolOf(graph, node, dims);
  if (pool !== undefined && !seesImage(pool.window)) fail(node, "a window lies in the padding alone");
  return pool;
}

/** Whether every window covers a part of the image. */
function seesImage(window: Window): boolean {
  const covers = (
    steps: number,
    stride: number,
    pad: number,
    cells: number,
    dilation: number,
    size: number,
  ): boolean =>
    Array.from({ length: steps }, (_, step) => step * stride - pad).every((start) =>
      Array.from({ length: cells }, (_, cell) => start + cell * dilation).some((at) => at >= 0 && at < size),
    );
  const { height, width, outHeight, outWidth, kernelHeight, kernelWidth } = window;
  return (
    covers(outHeight, window.strideY, window.padY, kernelHeight, window.dilationY, height) &&
    covers(outWidth, window.strideX, window.padX, kernelWidth, window.dilationX, width)
  );
}

function poolOf(
  graph: Graph,
  node: Node,
  dims: readonly number[],
): Pick<Pool, "kind" | "window" | "countsPadding"> | undefined {
  const whole = (): Window => ({
    ...pointWindow(dims[0]),
    height: dims[1],
    width: dims[2],
    kernelHeight: dims[1],
    kernelWidth: dims[2],
  });
  switch (node.op) {
    case "MaxPool": {
      if (node.outputs.length > 1)
        fail(node, "its indices are asked for, which C and memory images do not have");
      return { kind: "max", window: imageWindow(node, dims, kernelShape(node)), countsPadding: false };
    }
    case "AveragePool": {
      const countsPadding = getInt(node, "count_include_pad", 0) !== 0;
      if (countsPadding && getInt(node, "ceil_mode", 0) !== 0) {
        fail(node, "ceil_mode goes with count_include_pad, which C and memory images do not have together");
      }
      return { kind: "average", window: imageWindow(node, dims, kernelShape(node)), countsPadding };
    }
    case "GlobalMaxPool":
    case "GlobalAveragePool":
      if (dims.length !== 3)
        fail(node, `its input has the shape [${dims.join(", ")}], where an image is expected`);
      return {
        kind: node.op === "GlobalMaxPool" ? "max" : "average",
        window: whole(),
        countsPadding: false,
      };
    case "ReduceMean":
      return isOverImage(graph, node, dims)
        ? { kind: "average", window: whole(), countsPadding: false }
        : undefined;
    default:
      return undefined;
  }
}

/** Whether a ReduceMean goes over height and width. */
function isOverImage(graph: Graph, node: Node, dims: readonly number[]): boolean {
  const axes = graph.initializers.get(node.inputs.at(1) ?? "")?.numbers() ?? getInts(node, "axes") ?? [];
  const rank = dims.length + 1;
  const sorted = axes.map((axis) => normalizeAxis(node, axis, rank)).sort((a, b) => a - b);
  if (rank === 4 && sorted.join() === "2,3") return true;
  return fail(
    node,
    `it reduces axes ${sorted.join(", ")} of ${describeNode(node)}'s input, where C and memory images take means over height and width (axes 2 and 3)`,
  );
}
