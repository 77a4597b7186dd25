/** Cases of the activation functions. */

import { type Attribute, float, string } from "../../../src/onnx/model.js";
import type { OnnxOp } from "../../../src/onnx/ops.js";
import { tensorFrom } from "../../../src/onnx/tensor.js";
import { opCase, type OpCase, Values } from "./case.js";

/** Each operator with its attributes away from the defaults; the values of the cases lie away from all kinks. */
const UNITS: readonly (readonly [op: OnnxOp, attributes?: Readonly<Record<string, Attribute>>])[] = [
  ["Celu", { alpha: float(0.75) }],
  ["Elu", { alpha: float(1.5) }],
  ["Erf"],
  ["Gelu", { approximate: string("tanh") }],
  ["HardSigmoid", { alpha: float(0.5), beta: float(0.375) }],
  ["HardSwish"],
  ["LeakyRelu", { alpha: float(0.25) }],
  ["Mish"],
  ["Selu", { alpha: float(1.5), gamma: float(0.5) }],
  ["Shrink", { lambd: float(0.75), bias: float(0.25) }],
  ["Softplus"],
  ["Softsign"],
  ["ThresholdedRelu", { alpha: float(-0.125) }],
];

const SLOPES: readonly (readonly number[])[] = [[], [1], [4], [3, 1], [3, 4], [2, 3, 4], [1, 3, 1]];

export function* activationCases(): Generator<OpCase> {
  const values = new Values("activation");
  const differentiable = [0];
  const extremes = tensorFrom("float64", [8], [-80, -9, -3.5, -1e-3, 1e-3, 3.5, 9, 80]);
  for (const [op, attributes] of UNITS) {
    for (const dims of [[], [2, 3, 4]]) {
      yield opCase(op, `[${dims.join(", ")}]`, [values.one(...dims)], { differentiable });
    }
    yield opCase(op, "extremes", [extremes], { differentiable });
    if (attributes === undefined) continue;
    yield opCase(op, "attributes", [values.one(2, 7)], { attributes, differentiable });
    yield opCase(op, "attributes, extremes", [extremes], { attributes, differentiable });
  }
  for (const slope of SLOPES) {
    yield opCase("PRelu", `slope [${slope.join(", ")}]`, values.distinct([2, 3, 4], slope), {
      differentiable: [0, 1],
    });
  }
  const attributes = { lambd: float(-0.125), bias: float(0.25) };
  yield opCase("Shrink", "negative lambd", [values.one(2, 7)], { attributes, differentiable });
}
