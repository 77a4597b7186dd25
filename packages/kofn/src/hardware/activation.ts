/** Activation functions that steps take in: Relu, Clip and LeakyRelu, on floats and on codes. */

import { getFloat, type Graph, type Node } from "../onnx/model.js";
import { clamped, type Codes, quantized } from "./codes.js";
import type { Activation } from "./program.js";

/** The largest float32. */
export const FLOAT_MAX = 2 ** 128 - 2 ** 104;

/** The activation function that a node is; undefined if it is none, or one whose bounds are not stored. */
export function activationOf(graph: Graph, node: Node): Activation | undefined {
  if (node.op === "Relu") return { kind: "relu" };
  if (node.op === "LeakyRelu") return { kind: "leaky", slope: Math.fround(getFloat(node, "alpha", 0.01)) };
  if (node.op !== "Clip") return undefined;
  const [low, high] = [1, 2].map((i) => {
    const name = node.inputs.at(i) ?? "";
    if (name === "") return i === 1 ? -FLOAT_MAX : FLOAT_MAX;
    const bound = graph.initializers.get(name);
    return bound?.dtype === "float32" && bound.size === 1 ? bound.numbers()[0] : NaN;
  });
  return Number.isNaN(low) || Number.isNaN(high) ? undefined : { kind: "clip", low, high };
}

/** The function's value in float32. */
export function activated(value: number, activation: Activation): number {
  switch (activation.kind) {
    case "none":
      return value;
    case "relu":
      return value < 0 ? 0 : value;
    case "leaky":
      return value < 0 ? Math.fround(value * activation.slope) : value;
    case "clip":
      return clamped(value, activation.low, activation.high);
  }
}

/** The lowest and the highest code that a Relu or Clip leaves. */
export function codeRange(activation: Activation, codes: Codes): readonly [low: number, high: number] {
  const { low, high } = codes;
  if (activation.kind === "relu") return [quantized(0, codes), high];
  if (activation.kind === "clip")
    return [quantized(activation.low, codes), quantized(activation.high, codes)];
  return [low, high];
}

/** Whether all codes are in the range that a Relu or Clip leaves. */
export function clampsNothing(activation: Activation, codes: Codes): boolean {
  if (activation.kind === "leaky") return false;
  const [low, high] = codeRange(activation, codes);
  return low === codes.low && high === codes.high;
}
