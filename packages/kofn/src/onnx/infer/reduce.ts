/** Shapes of the operators that work along axes: reductions, arg-max, top-k, cumulative sums. */

import { type Dim, getInt, type Node } from "../model.js";
import {
  constantNumbers,
  fail,
  floatInput,
  formatShape,
  type InferContext,
  type InferRule,
  inputType,
  normalizeAxes,
  normalizeAxis,
  typedInput,
  unknownDims,
} from "./support.js";

/**
 * The axes that a Reduce node reduces, from the front.
 *
 * @param axes value of its input `axes`; undefined where it is left out.
 */
export function reducedAxes(
  node: Node,
  rank: number,
  axes: readonly number[] | undefined,
): readonly number[] {
  if (axes !== undefined && axes.length > 0) return normalizeAxes(node, axes, rank);
  if (getInt(node, "noop_with_empty_axes", 0) !== 0) return [];
  return Array.from({ length: rank }, (_, axis) => axis);
}

function dropAxes(shape: readonly Dim[], axes: readonly number[], keep: boolean): readonly Dim[] {
  if (keep) return shape.map((dim, axis) => (axes.includes(axis) ? 1 : dim));
  return shape.filter((_, axis) => !axes.includes(axis));
}

function reducedShape(context: InferContext): readonly Dim[] | undefined {
  const { node, inputs } = context;
  const { shape } = inputType(context, 0);
  if (shape === undefined) return undefined;
  const keep = getInt(node, "keepdims", 1) !== 0;
  const axes = constantNumbers(context, 1);
  if (axes === undefined && inputs[1] !== undefined) {
    const count = inputs[1].shape?.[0];
    if (keep) return unknownDims(shape.length);
    return typeof count === "number" && count > 0 ? unknownDims(shape.length - count) : undefined;
  }
  return dropAxes(shape, reducedAxes(node, shape.length, axes), keep);
}

const reduce: InferRule = (context) => {
  const { dtype } = inputType(context, 0);
  if (dtype === "bool" && !["ReduceMax", "ReduceMin"].includes(context.node.op))
    fail(context.node, "can't reduce bool tensors");
  return [{ dtype, shape: reducedShape(context) }];
};

const reduceFloat: InferRule = (context) => {
  floatInput(context);
  return reduce(context);
};

const argExtremum: InferRule = (context) => {
  const { node } = context;
  const { shape } = inputType(context, 0);
  if (shape === undefined) return [{ dtype: "int64", shape }];
  const axis = normalizeAxis(node, getInt(node, "axis", 0), shape.length);
  return [{ dtype: "int64", shape: dropAxes(shape, [axis], getInt(node, "keepdims", 1) !== 0) }];
};

export const reductions = {
  ArgMax: argExtremum,
  ArgMin: argExtremum,
  CumSum: (context) => {
    const type = inputType(context, 0);
    typedInput(context, 1, "int32", "int64");
    const axis = constantNumbers(context, 1)?.[0];
    if (axis !== undefined && type.shape !== undefined) normalizeAxis(context.node, axis, type.shape.length);
    return [type];
  },
  ReduceL1: reduce,
  ReduceL2: reduceFloat,
  ReduceLogSum: reduceFloat,
  ReduceLogSumExp: reduceFloat,
  ReduceMax: reduce,
  ReduceMean: reduce,
  ReduceMin: reduce,
  ReduceProd: reduce,
  ReduceSum: reduce,
  ReduceSumSquare: reduce,
  TopK: (context) => {
    const { node } = context;
    const { dtype, shape } = inputType(context, 0);
    typedInput(context, 1, "int64");
    if (shape === undefined) {
      return [
        { dtype, shape },
        { dtype: "int64", shape },
      ];
    }
    const axis = normalizeAxis(node, getInt(node, "axis", -1), shape.length);
    const k = constantNumbers(context, 1)?.[0];
    const size = shape[axis];
    if (k !== undefined && (k < 0 || (typeof size === "number" && k > size))) {
      fail(node, `can't take the top ${k} of axis ${axis} of ${formatShape(shape)}`);
    }
    const result = shape.with(axis, k);
    return [
      { dtype, shape: result },
      { dtype: "int64", shape: result },
    ];
  },
} as const satisfies Record<string, InferRule>;
