/** Activation functions that onnxruntime computes slowly, as operators that it computes fast. */

import { mishGate } from "../autodiff/rules/activations.js";
import type { Builder } from "../onnx/builder.js";
import type { Node } from "../onnx/model.js";

/** Mish (x) -> x tanh(log(1 + e^x)). */
export function lowerMish(b: Builder, { inputs: [x] }: Node, out: string): string {
  return b.mul(x, mishGate(b, x), out);
}

/** Softplus (x) -> log(1 + e^x) = max(x, 0) - log(sigmoid(|x|)). */
export function lowerSoftplus(b: Builder, { inputs: [x] }: Node, out: string): string {
  const rest = b.op("Log", [b.op("Sigmoid", [b.op("Abs", [x])])]);
  return b.sub(b.op("Relu", [x]), rest, out);
}
