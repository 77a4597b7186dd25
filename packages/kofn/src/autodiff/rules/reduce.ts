/** Gradients of reductions and of what is built on them. */

import { getInt } from "../../onnx/model.js";
import { sizeOf } from "../../onnx/tensor.js";
import { optionalInput, type RuleContext } from "../rule.js";
import { constantNumbers } from "./shape.js";

type Grads = (string | undefined)[];

/** The axes that a Reduce* node sums over, and its input's shape with those axes as 1. */
function reduced({ b, node, inputs }: RuleContext): { axes: number[]; kept: number[] } {
  const dims = b.shape(inputs[0]);
  const axesInput = optionalInput(inputs, 1);
  let axes: number[];
  if (axesInput === undefined) {
    axes = getInt(node, "noop_with_empty_axes", 0) === 1 ? [] : dims.map((_, i) => i);
  } else {
    const given = constantNumbers(b, node.name, node.op, axesInput);
    const all = given.length === 0 && getInt(node, "noop_with_empty_axes", 0) === 0;
    axes = all ? dims.map((_, i) => i) : given.map((axis) => (axis + dims.length) % dims.length);
  }
  return { axes, kept: dims.map((dim, i) => (axes.includes(i) ? 1 : dim)) };
}

// d(sum x) = sum dx
export function reduceSum(context: RuleContext): Grads {
  const { b, inputs, dY, gradName } = context;
  const { kept } = reduced(context);
  return [b.expand(b.reshape(dY, kept), b.shape(inputs[0]), gradName(0))];
}

// d(mean x) = sum dx / count
export function reduceMean(context: RuleContext): Grads {
  const { b, inputs, dY, gradName } = context;
  const { kept } = reduced(context);
  const dims = b.shape(inputs[0]);
  const share = b.mul(dY, b.scalar(sizeOf(kept) / sizeOf(dims), dY));
  return [b.expand(b.reshape(share, kept), dims, gradName(0))];
}

// The maximum's gradient is divided among the elements that equal it.
export function reduceMax(context: RuleContext): Grads {
  const { b, inputs, outputs, dY, gradName } = context;
  const { axes, kept } = reduced(context);
  if (axes.length === 0) return [dY];
  const isMax = b.op("Equal", [inputs[0], b.reshape(outputs[0], kept)]);
  const one = b.op("Where", [isMax, b.scalar(1, dY), b.scalar(0, dY)]);
  const share = b.div(b.reshape(dY, kept), b.sum(one, axes));
  return [b.mul(one, share, gradName(0))];
}

// y = mean over the spatial dimensions
export function globalAveragePool({ b, inputs: [x], dY, gradName }: RuleContext): Grads {
  const dims = b.shape(x);
  const share = b.mul(dY, b.scalar(1 / sizeOf(dims.slice(2)), dY));
  return [b.expand(share, dims, gradName(0))];
}

// The sum that reaches y_i holds x_j for j <= i, so dx_j sums dy_i over i >= j: the same sum in the other direction.
export function cumSum({ b, node, inputs: [, axis], dY, gradName }: RuleContext): Grads {
  const attributes = {
    exclusive: { kind: "int", value: BigInt(getInt(node, "exclusive", 0)) },
    reverse: { kind: "int", value: BigInt(1 - getInt(node, "reverse", 0)) },
  } as const;
  return [b.op("CumSum", [dY, axis], attributes, gradName(0))];
}

// y = softmax(x): dx = y (dy - sum(y dy))
export function softmax({ b, node, inputs: [x], outputs: [y], dY, gradName }: RuleContext): Grads {
  const axis = axisOf(getInt(node, "axis", -1), b.shape(x).length);
  const total = b.sum(b.mul(dY, y), [axis]);
  return [b.mul(y, b.sub(dY, total), gradName(0))];
}

// y = log softmax(x): dx = dy - e^y sum(dy)
export function logSoftmax({ b, node, inputs: [x], outputs: [y], dY, gradName }: RuleContext): Grads {
  const axis = axisOf(getInt(node, "axis", -1), b.shape(x).length);
  const total = b.sum(dY, [axis]);
  return [b.sub(dY, b.mul(b.op("Exp", [y]), total), gradName(0))];
}

// loss = mean -log softmax(logits)[label]: dlogits = (softmax(logits) - onehot(label)) / batch
export function softmaxCrossEntropy({ b, inputs: [logits, labels], dY, gradName }: RuleContext): Grads {
  const grad = b.op("SoftmaxCrossEntropyGrad", [logits, labels], {}, gradName(0));
  return [b.mul(grad, dY, gradName(0)), undefined];
}

export function axisOf(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis;
}
