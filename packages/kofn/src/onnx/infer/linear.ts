/** Shapes of products: Gemm, MatMul, and convolutions with their gradients. */

import { type Dim, getInt, getInts, type Node } from "../model.js";
import {
  broadcastShapes,
  differ,
  fail,
  formatShape,
  type InferContext,
  type InferRule,
  inputType,
  sameType,
  shapeOfRank,
  unknownDims,
} from "./support.js";
import { kernelShape, transposedWindow, windowOutputs } from "./window.js";

const isNumber = (dim: Dim): dim is number => typeof dim === "number";

function presentInputs({ inputs }: InferContext): number[] {
  return inputs.flatMap((type, index) => (type === undefined ? [] : [index]));
}

function gemm(context: InferContext): readonly Dim[] {
  const { node } = context;
  const matrix = (index: number, attribute: string) => {
    const shape = shapeOfRank(context, index, (rank) => rank === 2, "two dimensions") ?? unknownDims(2);
    const transposed = getInt(node, attribute, 0) !== 0;
    const text = formatShape(shape) + (transposed ? "^T" : "");
    return { rows: shape[transposed ? 1 : 0], columns: shape[transposed ? 0 : 1], text };
  };
  const a = matrix(0, "transA");
  const b = matrix(1, "transB");
  if (differ(a.columns, b.rows)) fail(node, `inner dimensions differ: ${a.text} x ${b.text}`);
  const result = [a.rows, b.columns];
  const bias = context.inputs[2]?.shape;
  if (bias !== undefined) {
    const offset = 2 - bias.length;
    if (offset < 0 || bias.some((dim, i) => dim !== 1 && differ(dim, result[i + offset]))) {
      fail(node, `the bias ${formatShape(bias)} does not broadcast to ${formatShape(result)}`);
    }
  }
  return result;
}

function matMul(context: InferContext): readonly Dim[] | undefined {
  const { node } = context;
  const atLeast1 = (rank: number) => rank > 0;
  const a = shapeOfRank(context, 0, atLeast1, "at least one dimension");
  const b = shapeOfRank(context, 1, atLeast1, "at least one dimension");
  if (a === undefined || b === undefined) return undefined;
  // numpy: a row vector on the left, a column vector on the right, and the axis of 1 is taken away again.
  const left = a.length === 1 ? [1, ...a] : a;
  const right = b.length === 1 ? [...b, 1] : b;
  if (differ(left.at(-1), right.at(-2))) {
    fail(node, `inner dimensions differ: ${formatShape(a)} x ${formatShape(b)}`);
  }
  const batch = broadcastShapes(node, [left.slice(0, -2), right.slice(0, -2)]) ?? [];
  const rows = a.length === 1 ? [] : [left.at(-2)];
  const columns = b.length === 1 ? [] : [right.at(-1)];
  return [...batch, ...rows, ...columns];
}

/** Checks that a weight [Cout, Cin / group, ...kernel] fits an input [N, Cin, ...spatial]. */
function checkChannels(node: Node, x: readonly Dim[], w: readonly Dim[]): void {
  const group = getInt(node, "group", 1);
  if (x.length !== w.length) {
    fail(node, `input ${formatShape(x)} and weight ${formatShape(w)} differ in rank`);
  }
  const expected = isNumber(w[1]) ? w[1] * group : undefined;
  if (differ(x[1], expected)) {
    const groups = group === 1 ? "" : ` in ${group} groups`;
    fail(
      node,
      `the weight ${formatShape(w)} takes ${expected} channels${groups}, the input ${formatShape(x)} differs`,
    );
  }
  if (isNumber(w[0]) && (group < 1 || w[0] % group !== 0)) {
    fail(node, `${w[0]} output channels do not divide into ${group} groups`);
  }
}

/** Shape of a convolution's output. */
function convShape(node: Node, x: readonly Dim[], w: readonly Dim[]): readonly Dim[] {
  checkChannels(node, x, w);
  const sizes = w.slice(2);
  const kernel = sizes.every(isNumber) ? sizes : getInts(node, "kernel_shape");
  const declared = getInts(node, "kernel_shape");
  if (
    declared !== undefined &&
    (declared.length !== sizes.length || sizes.some((s, i) => differ(s, declared[i])))
  ) {
    fail(node, `kernel_shape ${formatShape(declared)} does not fit the weight ${formatShape(w)}`);
  }
  const spatial = kernel === undefined ? unknownDims(sizes.length) : windowOutputs(node, x.slice(2), kernel);
  return [x[0], w[0], ...spatial];
}

function convRank(context: InferContext, index: number): readonly Dim[] | undefined {
  return shapeOfRank(context, index, (rank) => rank >= 3, "at least three dimensions");
}

/** The attribute input_shape: the whole shape of the input whose gradient is taken. */
export function inputShape(node: Node): readonly number[] {
  const shape = getInts(node, "input_shape");
  if (shape === undefined) fail(node, `attribute "input_shape" is missing`);
  return shape;
}

/** Checks that a gradient has the shape of the value whose gradient it is. */
export function checkGradient(
  node: Node,
  gradient: readonly Dim[] | undefined,
  of: readonly Dim[] | undefined,
) {
  if (gradient === undefined || of === undefined) return;
  if (gradient.length !== of.length || gradient.some((dim, axis) => differ(dim, of[axis]))) {
    fail(node, `the gradient ${formatShape(gradient)} does not have the output's shape ${formatShape(of)}`);
  }
}

export const linear = {
  Conv: (context) => {
    const { node } = context;
    const dtype = sameType(context, presentInputs(context));
    const x = convRank(context, 0);
    const w = convRank(context, 1);
    if (x === undefined || w === undefined)
      return [{ dtype, shape: x && [x[0], ...unknownDims(x.length - 1)] }];
    const bias = context.inputs[2]?.shape;
    if (bias !== undefined && (bias.length !== 1 || differ(bias[0], w[0]))) {
      fail(node, `the bias ${formatShape(bias)} does not fit the weight ${formatShape(w)}`);
    }
    return [{ dtype, shape: convShape(node, x, w) }];
  },
  ConvGradInput: (context) => {
    const { node } = context;
    const dtype = sameType(context, [0, 1]);
    const shape = inputShape(node);
    const w = convRank(context, 1);
    if (w !== undefined) checkGradient(node, inputType(context, 0).shape, convShape(node, shape, w));
    return [{ dtype, shape }];
  },
  ConvGradWeight: (context) => {
    const { node } = context;
    const dtype = sameType(context, [0, 1]);
    const kernel = kernelShape(node);
    const gradient = convRank(context, 0);
    const x = convRank(context, 1);
    const group = getInt(node, "group", 1);
    const channels = x?.[1];
    if (isNumber(channels) && channels % group !== 0) {
      fail(node, `${channels} input channels do not divide into ${group} groups`);
    }
    const shape = [gradient?.[1], isNumber(channels) ? channels / group : undefined, ...kernel];
    if (x !== undefined) checkGradient(node, gradient, convShape(node, x, shape));
    return [{ dtype, shape }];
  },
  ConvTranspose: (context) => {
    const { node } = context;
    const dtype = sameType(context, presentInputs(context));
    const x = convRank(context, 0);
    const w = convRank(context, 1);
    if (x === undefined || w === undefined) return [{ dtype, shape: undefined }];
    if (x.length !== w.length || differ(x[1], w[0])) {
      fail(node, `input ${formatShape(x)} does not fit the weight ${formatShape(w)}`);
    }
    const channels = isNumber(w[1]) ? w[1] * getInt(node, "group", 1) : undefined;
    const bias = context.inputs[2]?.shape;
    if (bias !== undefined && (bias.length !== 1 || differ(bias[0], channels))) {
      fail(node, `the bias ${formatShape(bias)} does not fit the weight ${formatShape(w)}`);
    }
    const [spatial, kernel] = [x.slice(2), w.slice(2)];
    const known = spatial.every(isNumber) && kernel.every(isNumber);
    const sizes = known ? transposedWindow(node, spatial, kernel).inputs : unknownDims(spatial.length);
    return [{ dtype, shape: [x[0], channels, ...sizes] }];
  },
  Gemm: (context) => [{ dtype: sameType(context, presentInputs(context)), shape: gemm(context) }],
  MatMul: (context) => [{ dtype: sameType(context, [0, 1]), shape: matMul(context) }],
} as const satisfies Record<string, InferRule>;
