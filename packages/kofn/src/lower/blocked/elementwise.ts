/** Operators that treat all elements alike: they compute on blocked tensors as they are. */

import type { Node } from "../../onnx/model.js";
import type { OpName } from "../../onnx/ops.js";
import { sizeOf } from "../../onnx/tensor.js";
import { isPositive } from "../activations.js";
import type { Layouts } from "./layouts.js";

export const ELEMENTWISE: readonly OpName[] = [
  "Abs",
  "Add",
  "Clip",
  "Div",
  "Exp",
  "Identity",
  "Log",
  "Max",
  "Min",
  "Mul",
  "Neg",
  "Pow",
  "Reciprocal",
  "Relu",
  "ReluGrad",
  "Sigmoid",
  "Sign",
  "Sqrt",
  "Sub",
  "Sum",
  "Tanh",
];

/** An operator of {@link ELEMENTWISE} of which at least one input is blocked, and whose others fit it or are scalars. */
export function blockedElementwise(layouts: Layouts, node: Node): boolean {
  const { b } = layouts;
  const whole = node.inputs.find((name) => name !== "" && layouts.isBlocked(name));
  if (whole === undefined) return false;
  const dims = layouts.shape(whole);
  const isSame = (name: string): boolean =>
    layouts.fits(name) && layouts.shape(name).every((dim, i) => dim === dims[i]);
  const isScalar = (name: string): boolean => sizeOf(layouts.shape(name)) === 1;
  if (!node.inputs.every((name) => name === "" || isSame(name) || isScalar(name))) return false;
  const inputs = node.inputs.map((name) => (name === "" || isScalar(name) ? name : layouts.blocked(name)));
  const [out] = node.outputs;
  const name = `${out}/blocked`;
  if (node.op === "ReluGrad") {
    const [dY, y] = inputs;
    layouts.define(out, b.mul(dY, isPositive(b, y), name));
  } else if (node.op === "Sum" && inputs.length === 2) {
    layouts.define(out, b.add(inputs[0], inputs[1], name));
  } else {
    const made = b.unique(name);
    b.push({ ...node, name: made, inputs, outputs: [made] });
    layouts.define(out, made);
  }
  return true;
}
