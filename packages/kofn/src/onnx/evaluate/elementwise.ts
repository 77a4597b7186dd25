/** Evaluation of the operators that work element by element, with broadcasting. */

import { fail } from "../infer/support.js";
import { getInt } from "../model.js";
import {
  type Arithmetic,
  arithmeticOf,
  broadcastTo,
  type EvaluateContext,
  type EvaluateRule,
  inputTensor,
  isWide,
  numbersOf,
  outputTensor,
  type Scalar,
  scalarsOf,
  zeros,
} from "./support.js";

/** f(x), for the types whose elements are numbers. */
export function real(compute: (x: number) => number): EvaluateRule {
  return (context) => {
    const x = numbersOf(inputTensor(context, 0));
    const y = new Float64Array(x.length);
    for (let i = 0; i < x.length; i++) y[i] = compute(x[i]);
    return [outputTensor(context.outputs[0], y)];
  };
}

/** f(x), for all types. */
function unary(choose: (arithmetic: Arithmetic) => (x: Scalar) => Scalar): EvaluateRule {
  return (context) => {
    const input = inputTensor(context, 0);
    const compute = choose(arithmeticOf(input.dtype));
    const x = scalarsOf(input);
    const y = zeros(input.dtype, x.length);
    for (let i = 0; i < x.length; i++) y[i] = compute(x[i]);
    return [outputTensor(context.outputs[0], y)];
  };
}

/** Combines the inputs from left to right, each broadcast to the output. */
function combine(
  context: EvaluateContext,
  compute: (a: Scalar, b: Scalar) => Scalar,
): ReturnType<EvaluateRule> {
  const [type] = context.outputs;
  let left = broadcastTo(inputTensor(context, 0), type.dims);
  for (let index = 1; index < context.inputs.length; index++) {
    const right = broadcastTo(inputTensor(context, index), type.dims);
    const result = isWide(type.dtype) ? zeros(type.dtype, left.length) : new Float64Array(left.length);
    for (let i = 0; i < left.length; i++) result[i] = compute(left[i], right[i]);
    left = result;
  }
  return [outputTensor(type, left)];
}

function arithmetic(choose: (arithmetic: Arithmetic) => (a: Scalar, b: Scalar) => Scalar): EvaluateRule {
  return (context) => combine(context, choose(arithmeticOf(context.outputs[0].dtype)));
}

function predicate(holds: (a: Scalar, b: Scalar) => boolean): EvaluateRule {
  return (context) => combine(context, (a, b) => (holds(a, b) ? 1 : 0));
}

function scalarInput({ inputs }: EvaluateContext, index: number): Scalar | undefined {
  const value = inputs[index];
  return value && scalarsOf(value)[0];
}

/** 1 / (1 + e^-x) without overflow. */
export function sigmoid(x: number): number {
  if (x >= 0) return 1 / (1 + Math.exp(-x));
  const e = Math.exp(x);
  return e / (1 + e);
}

/** a - b * trunc(a / b) */
function remainder(a: Scalar, b: Scalar): Scalar {
  return typeof a === "bigint" ? a % (b as bigint) : a % (b as number);
}

function roundHalfToEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  return rest < 0.5 || (rest === 0.5 && floor % 2 === 0) ? floor : floor + 1;
}

function integerPower(context: EvaluateContext, base: Scalar, exponent: Scalar): bigint {
  if (exponent < 0) fail(context.node, `integers have no negative powers: ${base} to the power ${exponent}`);
  return typeof exponent === "bigint"
    ? (base as bigint) ** exponent
    : BigInt(Math.trunc(Number(base) ** exponent));
}

export const elementwise = {
  Abs: unary((n) => (x) => n.maximum(x, n.subtract(n.zero, x))),
  Add: arithmetic((n) => n.add),
  And: predicate((a, b) => a !== 0 && b !== 0),
  Cast: (context) => {
    const [{ dtype, dims }] = context.outputs;
    const input = inputTensor(context, 0);
    const x = scalarsOf(input);
    const integer = dtype !== "float32" && dtype !== "float64";
    if (dtype === "bool") {
      const zero = arithmeticOf(input.dtype).zero;
      return [
        outputTensor(
          { dtype, dims },
          Uint8Array.from({ length: x.length }, (_, i) => (x[i] === zero ? 0 : 1)),
        ),
      ];
    }
    if (integer) {
      for (const value of numbersOf(input)) {
        if (!Number.isFinite(value)) fail(context.node, `can't cast ${value} to ${dtype}`);
      }
    }
    return [outputTensor({ dtype, dims }, x)];
  },
  Ceil: real(Math.ceil),
  Clip: (context) => {
    const least = scalarInput(context, 1);
    const most = scalarInput(context, 2);
    return unary((n) => (x) => {
      const raised = least === undefined ? x : n.maximum(x, least);
      return most === undefined ? raised : n.minimum(raised, most);
    })(context);
  },
  Cos: real(Math.cos),
  Div: (context) => {
    const [{ dtype }] = context.outputs;
    const numbers = arithmeticOf(dtype);
    const float = dtype === "float32" || dtype === "float64";
    return combine(context, (a, b) => {
      if (!float && b === numbers.zero) fail(context.node, `integer division of ${a} by zero`);
      return numbers.divide(a, b);
    });
  },
  Dropout: (context) => {
    const input = inputTensor(context, 0);
    if (scalarInput(context, 2) === 1 && scalarInput(context, 1) !== 0) {
      fail(context.node, "training_mode is true: random dropout can't be evaluated; leave training_mode out");
    }
    return [input, outputTensor({ dtype: "bool", dims: input.dims }, new Uint8Array(input.size).fill(1))];
  },
  Equal: predicate((a, b) => a === b),
  Exp: real(Math.exp),
  Floor: real(Math.floor),
  Greater: predicate((a, b) => a > b),
  GreaterOrEqual: predicate((a, b) => a >= b),
  Identity: (context) => [inputTensor(context, 0)],
  IsInf: (context) => {
    const [negative, positive] = ["detect_negative", "detect_positive"].map((name) =>
      getInt(context.node, name, 1),
    );
    return real((x) => Number((x === Infinity && positive !== 0) || (x === -Infinity && negative !== 0)))(
      context,
    );
  },
  IsNaN: real((x) => Number(Number.isNaN(x))),
  Less: predicate((a, b) => a < b),
  LessOrEqual: predicate((a, b) => a <= b),
  Log: real(Math.log),
  Max: arithmetic((n) => n.maximum),
  Mean: (context) => {
    const count = context.inputs.length;
    const sums = numbersOf(combine(context, (a, b) => Number(a) + Number(b))[0]);
    return [
      outputTensor(
        context.outputs[0],
        Float64Array.from(sums, (sum) => sum / count),
      ),
    ];
  },
  Min: arithmetic((n) => n.minimum),
  Mod: (context) => {
    const floored = getInt(context.node, "fmod", 0) === 0;
    const { zero, add } = arithmeticOf(context.outputs[0].dtype);
    return combine(context, (a, b) => {
      if (floored && b === zero) fail(context.node, `${a} modulo zero`);
      const rest = remainder(a, b);
      return floored && rest !== zero && rest < zero !== b < zero ? add(rest, b) : rest;
    });
  },
  Mul: arithmetic((n) => n.multiply),
  Neg: unary((n) => (x) => (typeof x === "number" ? -x : n.subtract(n.zero, x))),
  Not: real((x) => (x === 0 ? 1 : 0)),
  Or: predicate((a, b) => a !== 0 || b !== 0),
  Pow: (context) => {
    const wide = isWide(context.outputs[0].dtype);
    return combine(context, (a, b) => (wide ? integerPower(context, a, b) : Number(a) ** Number(b)));
  },
  Reciprocal: real((x) => 1 / x),
  Relu: unary((n) => (x) => n.maximum(x, n.zero)),
  ReluGrad: (context) => {
    const gradient = scalarsOf(inputTensor(context, 0));
    const activation = scalarsOf(inputTensor(context, 1));
    const [type] = context.outputs;
    const result = zeros(type.dtype, gradient.length);
    for (let i = 0; i < gradient.length; i++) if (activation[i] > 0) result[i] = gradient[i];
    return [outputTensor(type, result)];
  },
  Round: real(roundHalfToEven),
  Sigmoid: real(sigmoid),
  Sign: unary((n) => (x) => (x > n.zero ? n.one : x < n.zero ? n.subtract(n.zero, n.one) : n.zero)),
  Sin: real(Math.sin),
  Sqrt: real(Math.sqrt),
  Sub: arithmetic((n) => n.subtract),
  Sum: arithmetic((n) => n.add),
  Tanh: real(Math.tanh),
  Where: (context) => {
    const [type] = context.outputs;
    const condition = broadcastTo(inputTensor(context, 0), type.dims);
    const yes = broadcastTo(inputTensor(context, 1), type.dims);
    const no = broadcastTo(inputTensor(context, 2), type.dims);
    const result = zeros(type.dtype, condition.length);
    for (let i = 0; i < condition.length; i++) result[i] = condition[i] === 0 ? no[i] : yes[i];
    return [outputTensor(type, result)];
  },
} as const satisfies Record<string, EvaluateRule>;
