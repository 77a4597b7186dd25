/** Shapes of the operators that give a tensor another shape, and of those that make one. */

import { type Dim, getInt, type Node } from "../model.js";
import { sizeOf, type Tensor, tensorFrom } from "../tensor.js";
import {
  constantNumbers,
  fail,
  formatShape,
  type InferContext,
  type InferRule,
  inputType,
  normalizeAxes,
  normalizeAxis,
  sameType,
  typedInput,
  unknownDims,
} from "./support.js";

const isNumber = (dim: Dim): dim is number => typeof dim === "number";

/** The product of some dimensions; a lone name among ones stays itself. */
function productDim(dims: readonly Dim[]): Dim {
  const open = dims.filter((dim) => !isNumber(dim));
  const size = sizeOf(dims.filter(isNumber));
  if (open.length === 0 || size === 0) return size;
  return open.length === 1 && size === 1 ? open[0] : undefined;
}

/** Removes from each list what the other has as well: names can be cancelled without being known. */
function cancel(from: readonly Dim[], to: readonly Dim[]): { left: readonly Dim[]; right: readonly Dim[] } {
  const left = [...from];
  const right: Dim[] = [];
  for (const dim of to) {
    const at = typeof dim === "string" ? left.indexOf(dim) : -1;
    if (at >= 0) left.splice(at, 1);
    else right.push(dim);
  }
  return { left, right };
}

/** What remains for the dimension written as -1. */
function remainder(
  node: Node,
  shape: readonly Dim[],
  target: readonly number[],
  others: readonly Dim[],
): Dim {
  const { left, right } = cancel(shape, others);
  const open = left.filter((dim) => !isNumber(dim));
  if (right.some((dim) => !isNumber(dim))) return undefined;
  const size = sizeOf(left.filter(isNumber));
  const divisor = sizeOf(right.filter(isNumber));
  if (open.length === 0) {
    const quotient = divisor === 0 ? 0 : size / divisor;
    if (!Number.isInteger(quotient)) misfit(node, shape, target);
    return quotient;
  }
  return open.length === 1 && size === divisor ? open[0] : undefined;
}

function misfit(node: Node, shape: readonly Dim[], target: readonly number[]): never {
  fail(node, `can't reshape ${formatShape(shape)} to ${formatShape(target)}`);
}

/** The shape that Reshape gives: 0 keeps the input's dimension, -1 takes what remains. */
function reshape(node: Node, shape: readonly Dim[] | undefined, target: readonly number[]): Dim[] {
  const keepZero = getInt(node, "allowzero", 0) !== 0;
  if (target.some((dim) => dim < -1) || target.filter((dim) => dim === -1).length > 1) {
    fail(node, `the shape ${formatShape(target)} must have dimensions >= 0, and at most one -1`);
  }
  const result: Dim[] = target.map((dim, i) => {
    if (dim === -1 || (dim === 0 && shape === undefined && !keepZero)) return undefined;
    if (dim !== 0 || keepZero || shape === undefined) return dim;
    if (i >= shape.length) misfit(node, shape, target);
    return shape[i];
  });
  if (shape === undefined) return result;
  const open = target.indexOf(-1);
  if (open >= 0) return result.with(open, remainder(node, shape, target, result.toSpliced(open, 1)));
  const { left, right } = cancel(shape, result);
  if ([...left, ...right].every(isNumber) && productDim(left) !== productDim(right))
    misfit(node, shape, target);
  return result;
}

/**
 * The value of a Constant node.
 *
 * @throws InputError for strings and sparse tensors, and if the node has no value.
 */
export function constantOf(node: Node): Tensor {
  for (const [name, attribute] of node.attributes) {
    if (name === "value" && attribute.kind === "tensor") return attribute.value;
    if (name === "value_int" && attribute.kind === "int") return tensorFrom("int64", [], [attribute.value]);
    if (name === "value_float" && attribute.kind === "float")
      return tensorFrom("float32", [], [attribute.value]);
    if (name === "value_ints" && attribute.kind === "ints") {
      return tensorFrom("int64", [attribute.value.length], attribute.value);
    }
    if (name === "value_floats" && attribute.kind === "floats") {
      return tensorFrom("float32", [attribute.value.length], attribute.value);
    }
  }
  const found = [...node.attributes.keys()].join(", ") || "none";
  fail(node, `needs a tensor, int(s) or float(s) as its value; attributes found: ${found}`);
}

/** The one-element tensor with which ConstantOfShape fills. */
export function fillOf(node: Node): Tensor {
  const attribute = node.attributes.get("value");
  if (attribute === undefined) return tensorFrom("float32", [1], [0]);
  if (attribute.kind === "tensor" && attribute.value.size === 1) return attribute.value;
  fail(node, `attribute "value" must be a tensor of one element`);
}

/** First and last (exclusive) axis that a Shape node reports. */
export function shapeRange(node: Node, rank: number): readonly [start: number, end: number] {
  const clamp = (axis: number) => Math.min(Math.max(axis < 0 ? axis + rank : axis, 0), rank);
  const start = clamp(getInt(node, "start", 0));
  return [start, Math.max(start, clamp(getInt(node, "end", rank)))];
}

/** First axis of a Flatten node's second dimension: 0 to rank. */
export function flattenAxis(node: Node, rank: number): number {
  const axis = getInt(node, "axis", 1);
  return axis === rank ? rank : normalizeAxis(node, axis, rank);
}

function squeezed(context: InferContext, shape: readonly Dim[]): readonly Dim[] | undefined {
  const { node, inputs } = context;
  if (inputs[1] === undefined) return shape.every(isNumber) ? shape.filter((dim) => dim !== 1) : undefined;
  const given = constantNumbers(context, 1);
  if (given === undefined) {
    const count = inputs[1].shape?.[0];
    return isNumber(count) ? unknownDims(shape.length - count) : undefined;
  }
  const axes = normalizeAxes(node, given, shape.length);
  for (const axis of axes) {
    if (isNumber(shape[axis]) && shape[axis] !== 1) {
      fail(node, `can't squeeze axis ${axis} of ${formatShape(shape)}: it is not 1`);
    }
  }
  return shape.filter((_, axis) => !axes.includes(axis));
}

/** Number of values of start, start + delta, ... before limit. */
export function rangeLength(start: number, limit: number, delta: number): number {
  return Math.max(0, Math.ceil((limit - start) / delta));
}

export const reshaping = {
  Constant: ({ node }) => {
    const { dtype, dims } = constantOf(node);
    return [{ dtype, shape: dims }];
  },
  ConstantOfShape: (context) => {
    const { dtype } = fillOf(context.node);
    const rank = typedInput(context, 0, "int64").shape?.[0];
    const shape = constantNumbers(context, 0) ?? (isNumber(rank) ? unknownDims(rank) : undefined);
    return [{ dtype, shape }];
  },
  Flatten: ({ node, ...rest }) => {
    const { dtype, shape } = inputType({ node, ...rest }, 0);
    if (shape === undefined) return [{ dtype, shape: unknownDims(2) }];
    const axis = flattenAxis(node, shape.length);
    return [{ dtype, shape: [productDim(shape.slice(0, axis)), productDim(shape.slice(axis))] }];
  },
  Range: (context) => {
    const dtype = sameType(context, [0, 1, 2]);
    const values = [0, 1, 2].map((index) => constantNumbers(context, index)?.[0]);
    const [start, limit, delta] = values;
    if (delta === 0) fail(context.node, "its step (input 2) is 0");
    if (start === undefined || limit === undefined || delta === undefined) {
      return [{ dtype, shape: unknownDims(1) }];
    }
    return [{ dtype, shape: [rangeLength(start, limit, delta)] }];
  },
  Reshape: (context) => {
    const { dtype, shape } = inputType(context, 0);
    const target = constantNumbers(context, 1);
    if (target !== undefined) return [{ dtype, shape: reshape(context.node, shape, target) }];
    const rank = typedInput(context, 1, "int64").shape?.[0];
    return [{ dtype, shape: isNumber(rank) ? unknownDims(rank) : undefined }];
  },
  Shape: (context) => {
    const { shape } = inputType(context, 0);
    if (shape === undefined) return [{ dtype: "int64", shape: unknownDims(1) }];
    const [start, end] = shapeRange(context.node, shape.length);
    return [{ dtype: "int64", shape: [end - start] }];
  },
  Squeeze: (context) => {
    const { dtype, shape } = inputType(context, 0);
    return [{ dtype, shape: shape === undefined ? undefined : squeezed(context, shape) }];
  },
  Unsqueeze: (context) => {
    const { node } = context;
    const { dtype, shape } = inputType(context, 0);
    const given = constantNumbers(context, 1);
    const count = given?.length ?? typedInput(context, 1, "int64").shape?.[0];
    if (shape === undefined || !isNumber(count)) return [{ dtype, shape: undefined }];
    const rank = shape.length + count;
    if (given === undefined) return [{ dtype, shape: unknownDims(rank) }];
    const axes = new Set(normalizeAxes(node, given, rank));
    const kept = shape.values();
    return [
      { dtype, shape: Array.from({ length: rank }, (_, axis) => (axes.has(axis) ? 1 : kept.next().value)) },
    ];
  },
} as const satisfies Record<string, InferRule>;
