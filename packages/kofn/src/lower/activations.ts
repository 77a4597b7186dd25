/** Activation functions that onnxruntime computes slowly, as operators that it computes fast. */

import { mishGate } from "../autodiff/rules/activations.js";
import type { Builder } from "../onnx/builder.js";
import { float, type Node } from "../onnx/model.js";

/** Times this every positive float32 but the subnormal ones is at least 1. */
const STEEP = 3e38;

/** Mish (x) -> x tanh(log(1 + e^x)). */
export function lowerMish(b: Builder, { inputs: [x] }: Node, out: string): string {
  return b.mul(x, mishGate(b, x), out);
}

/** Softplus (x) -> log(1 + e^x) = max(x, 0) - log(sigmoid(|x|)). */
export function lowerSoftplus(b: Builder, { inputs: [x] }: Node, out: string): string {
  const rest = b.op("Log", [b.op("Sigmoid", [b.op("Abs", [x])])]);
  return b.sub(b.op("Relu", [x]), rest, out);
}

/** ReluGrad (dY, Y) -> dX: dY where Y, which is not negative, is positive. */
export function lowerReluGrad(b: Builder, { inputs: [dY, y] }: Node, out: string): string {
  return b.mul(dY, isPositive(b, y), out);
}

/** 1 where a value that is not negative is positive, else 0. Sign says so too, but runs on one thread; HardSigmoid on all. */
export function isPositive(b: Builder, y: string): string {
  if (b.dtype(y) !== "float32") return b.op("Sign", [y]);
  return b.op("HardSigmoid", [y], { alpha: float(STEEP), beta: float(0) });
}
