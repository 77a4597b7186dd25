/** Gradients of activation functions, each in few passes over memory: every elementwise operator is one. */

import { SELU } from "../../onnx/infer/activations.js";
import type { Builder } from "../../onnx/builder.js";
import { float, getFloat, getString } from "../../onnx/model.js";
import type { RuleContext } from "../rule.js";

type Grads = (string | undefined)[];

/** dX: one value where x > threshold, the other elsewhere. */
function split({ b, inputs: [x], gradName }: RuleContext, threshold: number, above: string, below: string) {
  const isAbove = b.op("Greater", [x, b.scalar(threshold, x)]);
  return b.op("Where", [isAbove, above, below], {}, gradName(0));
}

/** scale * value + offset, without the operations that change nothing. */
function affine({ b }: RuleContext, value: string, scale: number, offset: number): string {
  const scaled = scale === 1 ? value : b.mul(value, b.scalar(scale, value));
  return offset === 0 ? scaled : b.add(scaled, b.scalar(offset, value));
}

// y = x > 0 ? x : alpha x
export function leakyRelu(context: RuleContext): Grads {
  const { dY, node } = context;
  return [split(context, 0, dY, affine(context, dY, getFloat(node, "alpha", 0.01), 0))];
}

// y = x > 0 ? x : slope x
export function pRelu(context: RuleContext): Grads {
  const { b, inputs, dY, wants, gradName } = context;
  const [x, slope] = inputs;
  return [
    wants(0) ? split(context, 0, dY, b.mul(dY, slope)) : undefined,
    wants(1) ? b.mul(dY, b.op("Min", [x, b.scalar(0, x)]), gradName(1)) : undefined,
  ];
}

// y = x > alpha ? x : 0
export function thresholdedRelu(context: RuleContext): Grads {
  const { b, dY, node } = context;
  return [split(context, getFloat(node, "alpha", 1), dY, b.scalar(0, dY))];
}

// y = x + bias for x < -lambd, x - bias for x > lambd, else 0: dy = [|x| > lambd] dx
export function shrink(context: RuleContext): Grads {
  const { b, node, inputs, dY, gradName } = context;
  const [x] = inputs;
  const isKept = b.op("Greater", [b.op("Abs", [x]), b.scalar(getFloat(node, "lambd", 0.5), x)]);
  return [b.op("Where", [isKept, dY, b.scalar(0, dY)], {}, gradName(0))];
}

/** y = x > 0 ? gamma x : f(x), where f'(x) = scale y + offset. */
function exponentialUnit(context: RuleContext, gamma: number, scale: number, offset: number): Grads {
  const { b, outputs, dY } = context;
  const below = b.mul(dY, affine(context, outputs[0], scale, offset));
  return [split(context, 0, affine(context, dY, gamma, 0), below)];
}

// f = alpha (e^x - 1), f' = f + alpha
export function elu(context: RuleContext): Grads {
  return exponentialUnit(context, 1, 1, getFloat(context.node, "alpha", 1));
}

// f = gamma alpha (e^x - 1), f' = f + gamma alpha
export function selu(context: RuleContext): Grads {
  const { alpha, gamma } = SELU;
  const slope = getFloat(context.node, "gamma", gamma);
  return exponentialUnit(context, slope, 1, slope * getFloat(context.node, "alpha", alpha));
}

// f = alpha (e^(x / alpha) - 1), f' = f / alpha + 1
export function celu(context: RuleContext): Grads {
  return exponentialUnit(context, 1, 1 / getFloat(context.node, "alpha", 1), 1);
}

/** Whether a value that is clipped to 0 .. 1 lies between them. */
function isBetween({ b }: RuleContext, clipped: string): string {
  const above = b.op("Greater", [clipped, b.scalar(0, clipped)]);
  return b.op("And", [above, b.op("Less", [clipped, b.scalar(1, clipped)])]);
}

// y = clip(alpha x + beta, 0, 1)
export function hardSigmoid(context: RuleContext): Grads {
  const { b, node, outputs, dY, gradName } = context;
  const inside = affine(context, dY, getFloat(node, "alpha", 0.2), 0);
  return [b.op("Where", [isBetween(context, outputs[0]), inside, b.scalar(0, dY)], {}, gradName(0))];
}

// y = x h(x), h = clip(x / 6 + 1/2, 0, 1): dy = (h + x h') dx
export function hardSwish(context: RuleContext): Grads {
  const { b, inputs, dY, gradName } = context;
  const [x] = inputs;
  const h = b.op("HardSigmoid", [x], { alpha: float(1 / 6), beta: float(0.5) });
  const xSlope = b.op("Where", [isBetween(context, h), affine(context, x, 1 / 6, 0), b.scalar(0, x)]);
  return [b.mul(dY, b.add(h, xSlope), gradName(0))];
}

// d log(1 + e^x) = sigmoid(x) dx
export function softplus({ b, inputs: [x], dY, gradName }: RuleContext): Grads {
  return [b.mul(dY, b.op("Sigmoid", [x]), gradName(0))];
}

// y = x / (1 + |x|): dy = dx / (1 + |x|)^2, and 1 / (1 + |x|) = 1 - |y|
export function softsign({ b, outputs: [y], dY, gradName }: RuleContext): Grads {
  const rest = b.sub(b.scalar(1, y), b.op("Abs", [y]));
  return [b.mul(dY, b.mul(rest, rest), gradName(0))];
}

/** From here on tanh(log(1 + e^x)) is 1 to float64 precision, and e^2x is far from overflow in float32. */
const SATURATED = 20;

/**
 * tanh(log(1 + e^x)) = p / (p + 2), p = e^x (e^x + 2): exact for small e^x, and six passes where onnxruntime's Softplus alone
 * takes as long as fifteen.
 */
export function mishGate(b: Builder, x: string): string {
  const two = b.scalar(2, x);
  const e = b.op("Exp", [b.op("Min", [x, b.scalar(SATURATED, x)])]);
  const p = b.mul(e, b.add(e, two));
  return b.div(p, b.add(p, two));
}

// y = x t, t = tanh(log(1 + e^x)): dy = (t + x sigmoid(x) (1 - t^2)) dx
export function mish({ b, inputs: [x], dY, gradName }: RuleContext): Grads {
  const t = mishGate(b, x);
  const rest = b.sub(b.scalar(1, x), b.mul(t, t));
  const slope = b.mul(b.mul(x, b.op("Sigmoid", [x])), rest);
  return [b.mul(dY, b.add(t, slope), gradName(0))];
}

// d erf(x) = 2 / sqrt(pi) e^(-x^2) dx
export function erf({ b, inputs: [x], dY, gradName }: RuleContext): Grads {
  const bell = b.op("Exp", [b.neg(b.mul(x, x))]);
  return [b.mul(b.mul(dY, b.scalar(2 / Math.sqrt(Math.PI), dY)), bell, gradName(0))];
}

export function gelu(context: RuleContext): Grads {
  const { b, node, dY, gradName } = context;
  const slope = getString(node, "approximate", "none") === "tanh" ? geluTanhSlope : geluSlope;
  return [b.mul(dY, slope(context), gradName(0))];
}

// y = x (1 + erf(z)) / 2, z = x / sqrt(2): y' = (1 + erf(z) + z 2 / sqrt(pi) e^(-z^2)) / 2
function geluSlope({ b, inputs: [x] }: RuleContext): string {
  const z = b.mul(x, b.scalar(Math.SQRT1_2, x));
  const bell = b.op("Exp", [b.neg(b.mul(z, z))]);
  const lean = b.mul(b.mul(z, bell), b.scalar(2 / Math.sqrt(Math.PI), x));
  return b.mul(b.op("Sum", [b.op("Erf", [z]), lean, b.scalar(1, x)]), b.scalar(0.5, x));
}

// y = x s, s = sigmoid(x (c + d x^2)): y' = s + y (1 - s) (c + 3 d x^2)
function geluTanhSlope(context: RuleContext): string {
  const { b, inputs, outputs } = context;
  const [x] = inputs;
  const c = 2 * Math.sqrt(2 / Math.PI);
  const d = 0.044715 * c;
  const squared = b.mul(x, x);
  const s = b.op("Sigmoid", [b.mul(x, affine(context, squared, d, c))]);
  const rest = b.mul(outputs[0], b.sub(b.scalar(1, x), s));
  return b.add(s, b.mul(rest, affine(context, squared, 3 * d, c)));
}
