/** Evaluation of the activation functions. */

import { SELU } from "../infer/activations.js";
import { getFloat, getString, type Node } from "../model.js";
import { real } from "./elementwise.js";
import { broadcastTo, type EvaluateRule, inputTensor, outputTensor } from "./support.js";

/** f(x), where f depends on the node's attributes. */
function unit(choose: (node: Node) => (x: number) => number): EvaluateRule {
  return (context) => real(choose(context.node))(context);
}

/**
 * The error function, to double precision: erf(x) = 2 / sqrt(pi) e^(-x^2) sum over n of 2^n x^(2n+1) / (1 * 3 * ... * (2n+1)),
 * whose terms have one sign (Abramowitz and Stegun, 7.1.6).
 */
export function erf(x: number): number {
  if (Number.isNaN(x)) return NaN;
  if (Math.abs(x) > 6) return Math.sign(x);
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

/** log(1 + e^x) without overflow. */
function softplus(x: number): number {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}

function hardSigmoid(x: number, alpha: number, beta: number): number {
  return Math.max(0, Math.min(1, alpha * x + beta));
}

function geluTanh(x: number): number {
  return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
}

export const activations = {
  Celu: unit((node) => {
    const alpha = getFloat(node, "alpha", 1);
    return (x) => (x > 0 ? x : alpha * Math.expm1(x / alpha));
  }),
  Elu: unit((node) => {
    const alpha = getFloat(node, "alpha", 1);
    return (x) => (x > 0 ? x : alpha * Math.expm1(x));
  }),
  Erf: real(erf),
  Gelu: unit((node) =>
    getString(node, "approximate", "none") === "tanh"
      ? geluTanh
      : (x) => 0.5 * x * (1 + erf(x * Math.SQRT1_2)),
  ),
  HardSigmoid: unit((node) => {
    const [alpha, beta] = [getFloat(node, "alpha", 0.2), getFloat(node, "beta", 0.5)];
    return (x) => hardSigmoid(x, alpha, beta);
  }),
  HardSwish: real((x) => x * hardSigmoid(x, 1 / 6, 0.5)),
  LeakyRelu: unit((node) => {
    const alpha = getFloat(node, "alpha", 0.01);
    return (x) => (x > 0 ? x : alpha * x);
  }),
  Mish: real((x) => x * Math.tanh(softplus(x))),
  PRelu: (context) => {
    const [type] = context.outputs;
    const x = broadcastTo(inputTensor(context, 0), type.dims);
    const slope = broadcastTo(inputTensor(context, 1), type.dims);
    const y = Float64Array.from({ length: x.length }, (_, i) => {
      const value = Number(x[i]);
      return value > 0 ? value : value * Number(slope[i]);
    });
    return [outputTensor(type, y)];
  },
  Selu: unit((node) => {
    const [alpha, gamma] = [getFloat(node, "alpha", SELU.alpha), getFloat(node, "gamma", SELU.gamma)];
    return (x) => gamma * (x > 0 ? x : alpha * Math.expm1(x));
  }),
  Shrink: unit((node) => {
    const [lambd, bias] = [getFloat(node, "lambd", 0.5), getFloat(node, "bias", 0)];
    return (x) => (x < -lambd ? x + bias : x > lambd ? x - bias : 0);
  }),
  Softplus: real(softplus),
  Softsign: real((x) => x / (1 + Math.abs(x))),
  ThresholdedRelu: unit((node) => {
    const alpha = getFloat(node, "alpha", 1);
    return (x) => (x > alpha ? x : 0);
  }),
} as const satisfies Record<string, EvaluateRule>;
