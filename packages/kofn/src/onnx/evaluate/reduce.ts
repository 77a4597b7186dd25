/** Evaluation of the operators that work along axes: reductions, softmax, arg-max, top-k, cumulative sums. */

import { reducedAxes } from "../infer/reduce.js";
import { fail, normalizeAxis } from "../infer/support.js";
import { getInt } from "../model.js";
import { sizeOf, type Tensor } from "../tensor.js";
import {
  accumulator,
  type Arithmetic,
  arithmeticOf,
  axisView,
  type EvaluateContext,
  type EvaluateRule,
  indexMap,
  inputTensor,
  numbersOf,
  outputTensor,
  type Scalar,
  type Scalars,
  scalarsOf,
  steps,
  stridesOf,
  zeros,
} from "./support.js";

/** For each element of a Reduce node's input, the element of its output that takes it in. */
function reduceMap(context: EvaluateContext, input: Tensor): Int32Array {
  const axes = reducedAxes(context.node, input.dims.length, context.inputs[1]?.numbers());
  const strides = stridesOf(input.dims.map((dim, axis) => (axes.includes(axis) ? 1 : dim)));
  return indexMap(input.dims.map((dim, axis) => steps(dim, axes.includes(axis) ? 0 : strides[axis])));
}

/** Takes in the elements of a Reduce node's input, from left to right, beginning with `first`. */
function accumulate(
  context: EvaluateContext,
  first: (arithmetic: Arithmetic) => Scalar,
  choose: (arithmetic: Arithmetic) => (sofar: Scalar, x: Scalar) => Scalar,
): Scalars {
  const input = inputTensor(context, 0);
  const [{ dtype, dims }] = context.outputs;
  const arithmetic = arithmeticOf(dtype);
  const take = choose(arithmetic);
  const results = accumulator(dtype, sizeOf(dims));
  const begin = first(arithmetic);
  for (let i = 0; i < results.length; i++) results[i] = begin;
  const map = reduceMap(context, input);
  const values = scalarsOf(input);
  for (let i = 0; i < map.length; i++) results[map[i]] = take(results[map[i]], values[i]);
  return results;
}

/** The sum of f(x). */
function sumOf(context: EvaluateContext, f: (arithmetic: Arithmetic) => (x: Scalar) => Scalar): Scalars {
  return accumulate(
    context,
    ({ zero }) => zero,
    (arithmetic) => {
      const compute = f(arithmetic);
      return (sum, x) => arithmetic.add(sum, compute(x));
    },
  );
}

const itself = () => (x: Scalar) => x;

/** The extremum over the axes, as `choose` finds it between two values. */
function extremum(choose: (arithmetic: Arithmetic) => (a: Scalar, b: Scalar) => Scalar): EvaluateRule {
  return (context) => {
    const input = inputTensor(context, 0);
    const [type] = context.outputs;
    const better = choose(arithmeticOf(type.dtype));
    const size = sizeOf(type.dims);
    if (input.size === 0 && size > 0) fail(context.node, "an empty tensor has no extremum");
    const map = reduceMap(context, input);
    const values = scalarsOf(input);
    const result = zeros(type.dtype, size);
    const seen = new Uint8Array(size);
    for (let i = 0; i < map.length; i++) {
      const at = map[i];
      result[at] = seen[at] === 0 ? values[i] : better(result[at], values[i]);
      seen[at] = 1;
    }
    return [outputTensor(type, result)];
  };
}

/** f(sum of g(x)) over the axes, for floating-point types. */
function real(f: (sum: number) => number, g: (x: number) => number): EvaluateRule {
  return (context) => {
    const sums = sumOf(context, () => (x) => g(Number(x)));
    return [
      outputTensor(
        context.outputs[0],
        Float64Array.from({ length: sums.length }, (_, i) => f(Number(sums[i]))),
      ),
    ];
  };
}

function logSumExp(context: EvaluateContext): Tensor {
  const input = inputTensor(context, 0);
  const map = reduceMap(context, input);
  const [type] = context.outputs;
  const max = new Float64Array(sizeOf(type.dims)).fill(-Infinity);
  const x = numbersOf(input);
  for (let i = 0; i < map.length; i++) max[map[i]] = Math.max(max[map[i]], x[i]);
  const sums = new Float64Array(max.length);
  for (let i = 0; i < map.length; i++) sums[map[i]] += Math.exp(x[i] - max[map[i]]);
  return outputTensor(
    type,
    sums.map((sum, i) => Math.log(sum) + max[i]),
  );
}

function softmax(exponent: (shifted: number, logSum: number) => number): EvaluateRule {
  return (context) => {
    const input = inputTensor(context, 0);
    const axis = normalizeAxis(context.node, getInt(context.node, "axis", -1), input.dims.length);
    const { outer, length, inner } = axisView(input.dims, axis);
    const x = numbersOf(input);
    const y = new Float64Array(x.length);
    for (let o = 0; o < outer; o++) {
      for (let j = 0; j < inner; j++) {
        const first = o * length * inner + j;
        let max = -Infinity;
        for (let i = 0; i < length; i++) max = Math.max(max, x[first + i * inner]);
        let sum = 0;
        for (let i = 0; i < length; i++) sum += Math.exp(x[first + i * inner] - max);
        const logSum = Math.log(sum);
        for (let i = 0; i < length; i++) {
          const at = first + i * inner;
          y[at] = exponent(x[at] - max, logSum);
        }
      }
    }
    return [outputTensor(context.outputs[0], y)];
  };
}

/** Where the greatest element is (sign 1), or the least (sign -1). */
function argExtremum(context: EvaluateContext, sign: 1 | -1): Tensor {
  const { node, outputs } = context;
  const input = inputTensor(context, 0);
  const axis = normalizeAxis(node, getInt(node, "axis", 0), input.dims.length);
  const { outer, length, inner } = axisView(input.dims, axis);
  const last = getInt(node, "select_last_index", 0) !== 0;
  const x = scalarsOf(input);
  const result = new BigInt64Array(outer * inner);
  for (let o = 0; o < outer; o++) {
    for (let j = 0; j < inner; j++) {
      const first = o * length * inner + j;
      let best = 0;
      for (let i = 1; i < length; i++) {
        const [value, champion] = [x[first + i * inner], x[first + best * inner]];
        const better = sign === 1 ? value > champion : value < champion;
        if (better || (last && value === champion)) best = i;
      }
      result[o * inner + j] = BigInt(best);
    }
  }
  return outputTensor(outputs[0], result);
}

function topK(context: EvaluateContext): Tensor[] {
  const { node, outputs } = context;
  const input = inputTensor(context, 0);
  const axis = normalizeAxis(node, getInt(node, "axis", -1), input.dims.length);
  const { outer, length, inner } = axisView(input.dims, axis);
  const k = outputs[0].dims[axis];
  const sign = getInt(node, "largest", 1) === 0 ? -1 : 1;
  const x = scalarsOf(input);
  const values = zeros(input.dtype, outer * k * inner);
  const indices = new BigInt64Array(outer * k * inner);
  const order = new Uint32Array(length);
  for (let o = 0; o < outer; o++) {
    for (let j = 0; j < inner; j++) {
      const first = o * length * inner + j;
      for (let i = 0; i < length; i++) order[i] = i;
      order.sort((a, b) => {
        const [left, right] = [x[first + a * inner], x[first + b * inner]];
        return left === right ? a - b : left > right ? -sign : sign;
      });
      for (let i = 0; i < k; i++) {
        const at = (o * k + i) * inner + j;
        values[at] = x[first + order[i] * inner];
        indices[at] = BigInt(order[i]);
      }
    }
  }
  return [outputTensor(outputs[0], values), outputTensor(outputs[1], indices)];
}

function cumSum(context: EvaluateContext): Tensor {
  const { node, outputs } = context;
  const input = inputTensor(context, 0);
  const axis = normalizeAxis(node, inputTensor(context, 1).numbers()[0], input.dims.length);
  const { outer, length, inner } = axisView(input.dims, axis);
  const exclusive = getInt(node, "exclusive", 0) !== 0;
  const reverse = getInt(node, "reverse", 0) !== 0;
  const { add, zero }: Arithmetic = arithmeticOf(input.dtype);
  const x = scalarsOf(input);
  const result = accumulator(input.dtype, input.size);
  for (let o = 0; o < outer; o++) {
    for (let j = 0; j < inner; j++) {
      let sum: Scalar = zero;
      for (let step = 0; step < length; step++) {
        const at = (o * length + (reverse ? length - 1 - step : step)) * inner + j;
        const next = add(sum, x[at]);
        result[at] = exclusive ? sum : next;
        sum = next;
      }
    }
  }
  return outputTensor(outputs[0], result);
}

export const reductions = {
  ArgMax: (context) => [argExtremum(context, 1)],
  ArgMin: (context) => [argExtremum(context, -1)],
  CumSum: (context) => [cumSum(context)],
  LogSoftmax: softmax((shifted, logSum) => shifted - logSum),
  ReduceL1: (context) => [
    outputTensor(
      context.outputs[0],
      sumOf(context, (n) => (x) => n.maximum(x, n.subtract(n.zero, x))),
    ),
  ],
  ReduceL2: real(Math.sqrt, (x) => x * x),
  ReduceLogSum: real(Math.log, (x) => x),
  ReduceLogSumExp: (context) => [logSumExp(context)],
  ReduceMax: extremum((n) => n.maximum),
  ReduceMean: (context) => {
    const [type] = context.outputs;
    const { divide } = arithmeticOf(type.dtype);
    const sums = sumOf(context, itself);
    const count = inputTensor(context, 0).size / sums.length;
    const divisor = typeof sums[0] === "bigint" ? BigInt(count) : count;
    for (let i = 0; i < sums.length; i++) sums[i] = divide(sums[i], divisor);
    return [outputTensor(type, sums)];
  },
  ReduceMin: extremum((n) => n.minimum),
  ReduceProd: (context) => [
    outputTensor(
      context.outputs[0],
      accumulate(
        context,
        (n) => n.one,
        (n) => n.multiply,
      ),
    ),
  ],
  ReduceSum: (context) => [outputTensor(context.outputs[0], sumOf(context, itself))],
  ReduceSumSquare: (context) => [
    outputTensor(
      context.outputs[0],
      sumOf(context, (n) => (x) => n.multiply(x, x)),
    ),
  ],
  Softmax: softmax((shifted, logSum) => Math.exp(shifted - logSum)),
  TopK: topK,
} as const satisfies Record<string, EvaluateRule>;
