/** Fake quantizers and their gradients as standard ONNX operators. */

import type { Builder } from "../onnx/builder.js";
import { getInt, type Node } from "../onnx/model.js";
import { sizeOf, tensorFrom } from "../onnx/tensor.js";

/** A quantizer's input and scale; `axes` are those over which the gradient of the scale is summed. */
interface Quantized {
  readonly x: string;
  readonly scale: string;
  /** The scale in a shape that broadcasts against x. */
  readonly wide: string;
  readonly axes: readonly number[];
}

function quantized(b: Builder, node: Node, x: string, scale: string): Quantized {
  const dims = b.shape(x);
  const every = dims.map((_, i) => i);
  if (!node.attributes.has("axis")) return { x, scale, wide: scale, axes: every };
  const axis = getInt(node, "axis", 0);
  const own = axis < 0 ? axis + dims.length : axis;
  const wide = b.reshape(
    scale,
    dims.map((dim, i) => (i === own ? dim : 1)),
  );
  return { x, scale, wide, axes: every.filter((i) => i !== own) };
}

/** The smallest and the largest code. */
const rangeOf = (node: Node): [number, number] => [getInt(node, "low", 0), getInt(node, "high", 0)];

/**
 * Y = scale clamp(round(X / scale), low, high). A range of 256 codes with one scale is what QuantizeLinear has: that and
 * DequantizeLinear are two passes in place of four.
 */
export function lowerFakeQuantize(b: Builder, node: Node, out: string): string {
  const { x, scale, wide } = quantized(b, node, node.inputs[0], node.inputs[1]);
  const [low, high] = rangeOf(node);
  if (high - low === 255 && low <= 0 && low >= -255 && !node.attributes.has("axis")) {
    const zero = b.initializer(`${out}/zero_point`, tensorFrom("uint8", [], [-low]));
    const codes = b.foreign(
      "",
      "QuantizeLinear",
      [x, scale, zero],
      {},
      {
        dtype: "uint8",
        shape: b.shape(x),
      },
    );
    return b.foreign("", "DequantizeLinear", [codes, scale, zero], {}, b.type(x), out);
  }
  const codes = b.op("Round", [b.div(x, wide)]);
  return b.mul(b.op("Clip", [codes, b.scalar(low, x), b.scalar(high, x)]), wide, out);
}

/** dX = dY where low <= X / scale <= high; dScale = (sum dY Y - sum dX X) / scale, Y being the quantized X. */
export function lowerFakeQuantizeGrad(b: Builder, node: Node, out: string): string[] {
  const { x, scale, wide, axes } = quantized(b, node, node.inputs[1], node.inputs[2]);
  const [dY] = node.inputs;
  const [low, high] = rangeOf(node);
  const bounds = [low, high].map((code) => b.mul(wide, b.scalar(code, wide)));
  const within = b.op("Min", [b.op("Max", [x, bounds[0]]), bounds[1]]);
  const zero = b.scalar(0, dY);
  const dX = b.op("Where", [b.op("Equal", [within, x]), dY, zero], {}, out);
  const y = lowerFakeQuantize(b, { ...node, inputs: [x, scale] }, `${out}/quantized`);
  const sum = (a: string, c: string): string => innerProduct(b, a, c, axes);
  const dScale = b.div(b.sub(sum(dY, y), sum(dX, x)), scale, node.outputs[1]);
  return [dX, dScale];
}

/** Y = -scale where X < 0, else scale. */
export function lowerFakeBinarize(b: Builder, node: Node, out: string): string {
  const { x, wide } = quantized(b, node, node.inputs[0], node.inputs[1]);
  return b.op("Where", [b.op("Less", [x, b.scalar(0, x)]), b.neg(wide), wide], {}, out);
}

/** dX = scale dY where |X| <= 1, else 0; dScale = sum dY sign(X), the sign of 0 being 1. */
export function lowerFakeBinarizeGrad(b: Builder, node: Node, out: string): string[] {
  const { x, wide, axes } = quantized(b, node, node.inputs[1], node.inputs[2]);
  const [dY] = node.inputs;
  const isWithin = b.op("LessOrEqual", [b.op("Abs", [x]), b.scalar(1, x)]);
  const dX = b.op("Where", [isWithin, b.mul(dY, wide), b.scalar(0, dY)], {}, out);
  const isNegative = b.op("Less", [x, b.scalar(0, x)]);
  const sign = b.op("Where", [isNegative, b.scalar(-1, x), b.scalar(1, x)]);
  const dScale = innerProduct(b, dY, sign, axes, node.outputs[1]);
  return [dX, dScale];
}

/** The sum of products over some axes. Over all of them it is a matrix product, which makes no tensor of products. */
function innerProduct(b: Builder, a: string, c: string, axes: readonly number[], name?: string): string {
  const dims = b.shape(a);
  if (axes.length < dims.length) return b.sum(b.mul(a, c), axes, false, name);
  const size = sizeOf(dims);
  return b.reshape(b.op("MatMul", [b.reshape(a, [1, size]), b.reshape(c, [size, 1])]), [], name);
}
