/** Gradients of reductions and of what is built on them. */

import { getInt, int } from "../../onnx/model.js";
import type { Builder } from "../../onnx/builder.js";
import { DATA_TYPES } from "../../onnx/dtype.js";
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

/** numerator / denominator, and 0 where the denominator is 0. */
export function guardedDivide(b: Builder, numerator: string, denominator: string, name?: string): string {
  const zero = b.scalar(0, denominator);
  const isZero = b.op("Equal", [denominator, zero]);
  return b.op("Where", [isZero, zero, b.div(numerator, denominator)], {}, name);
}

/** The gradient of an extremum is divided among the elements that equal it. */
function shareAmongEqual(
  { b, inputs: [x], dY, gradName }: RuleContext,
  extremum: string,
  axes: readonly number[],
): Grads {
  const isExtremum = b.op("Equal", [x, extremum]);
  const one = b.op("Cast", [isExtremum], { to: int(DATA_TYPES[b.dtype(dY)].code) });
  const share = b.div(b.reshape(dY, b.shape(extremum)), b.sum(one, axes));
  return [b.mul(one, share, gradName(0))];
}

// ReduceMax, ReduceMin
export function reduceExtremum(context: RuleContext): Grads {
  const { b, outputs, dY } = context;
  const { axes, kept } = reduced(context);
  return axes.length === 0 ? [dY] : shareAmongEqual(context, b.reshape(outputs[0], kept), axes);
}

export function globalMaxPool(context: RuleContext): Grads {
  const { b, inputs, outputs } = context;
  const axes = b.shape(inputs[0]).flatMap((_, axis) => (axis < 2 ? [] : [axis]));
  return shareAmongEqual(context, outputs[0], axes);
}

// d sum|x| = sum sign(x) dx
export function reduceL1(context: RuleContext): Grads {
  const { b, inputs, dY, gradName } = context;
  const { kept } = reduced(context);
  return [b.mul(b.reshape(dY, kept), b.op("Sign", [inputs[0]]), gradName(0))];
}

// d sqrt(sum x^2) = sum x dx / sqrt(sum x^2); 0 at 0
export function reduceL2(context: RuleContext): Grads {
  const { b, inputs, outputs, dY, gradName } = context;
  const { kept } = reduced(context);
  return [b.mul(inputs[0], b.reshape(guardedDivide(b, dY, outputs[0]), kept), gradName(0))];
}

// d sum x^2 = sum 2x dx
export function reduceSumSquare(context: RuleContext): Grads {
  const { b, inputs, dY, gradName } = context;
  const { kept } = reduced(context);
  return [b.mul(inputs[0], b.reshape(b.mul(dY, b.scalar(2, dY)), kept), gradName(0))];
}

// d log(sum x) = sum dx / sum x, and sum x = e^y
export function reduceLogSum(context: RuleContext): Grads {
  const { b, inputs, outputs, dY, gradName } = context;
  const { kept } = reduced(context);
  const share = b.div(dY, b.op("Exp", [outputs[0]]));
  return [b.expand(b.reshape(share, kept), b.shape(inputs[0]), gradName(0))];
}

// d log(sum e^x) = sum e^(x - y) dx
export function reduceLogSumExp(context: RuleContext): Grads {
  const { b, inputs, outputs, dY, gradName } = context;
  const { kept } = reduced(context);
  const shares = b.op("Exp", [b.sub(inputs[0], b.reshape(outputs[0], kept))]);
  return [b.mul(shares, b.reshape(dY, kept), gradName(0))];
}

// d prod x = sum over i of (product of the others) dx_i. With ones for the zeros, that product is the whole one divided
// by x_i; it counts where no other element is zero.
export function reduceProd(context: RuleContext): Grads {
  const { b, inputs, dY, gradName } = context;
  const [x] = inputs;
  const { axes, kept } = reduced(context);
  if (axes.length === 0) return [dY];
  const [zero, one] = [b.scalar(0, x), b.scalar(1, x)];
  const isZero = b.op("Equal", [x, zero]);
  const filled = b.op("Where", [isZero, one, x]);
  const ownZeros = b.op("Where", [isZero, one, zero]);
  const otherZeros = b.sub(b.sum(ownZeros, axes), ownZeros);
  const product = b.op("ReduceProd", [filled, b.vector(axes)]);
  const others = b.div(b.mul(product, b.reshape(dY, kept)), filled);
  return [b.op("Where", [b.op("Equal", [otherZeros, zero]), others, zero], {}, gradName(0))];
}

// y = (sum |x|^p)^(1/p) over the spatial dimensions: dy = sum sign(x) (|x| / y)^(p-1) dx; 0 at 0
export function globalLpPool({ b, node, inputs: [x], outputs: [y], dY, gradName }: RuleContext): Grads {
  const p = getInt(node, "p", 2);
  const ratio = guardedDivide(b, b.op("Abs", [x]), y);
  const powered = b.op("Pow", [ratio, b.scalar(p - 1, x)]);
  return [b.mul(b.mul(b.op("Sign", [x]), powered), dY, gradName(0))];
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
