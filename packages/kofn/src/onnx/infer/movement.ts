/** Shapes of the operators that select, join, repeat and rearrange elements. */

import { type Dim, getInt, getInts, getString, type Node } from "../model.js";
import {
  broadcastShapes,
  constantNumbers,
  differ,
  fail,
  formatShape,
  type InferContext,
  type InferRule,
  inputType,
  mergeDim,
  normalizeAxes,
  normalizeAxis,
  sameType,
  typedInput,
  unknownDims,
} from "./support.js";

/** ONNX writes "to the end" as the largest int32 or int64. */
const TO_THE_END = 2 ** 31 - 1;

/** First index and number of the elements that start:end:step selects of `size` elements (numpy's rule). */
export function sliceRange(
  size: number,
  start: number,
  end: number,
  step: number,
): { readonly first: number; readonly count: number } {
  const [low, high] = step > 0 ? [0, size] : [-1, size - 1];
  const clamp = (index: number) => Math.min(Math.max(index < 0 ? index + size : index, low), high);
  // A negative step starts at an element, never before the first.
  const first = step > 0 ? clamp(start) : Math.max(clamp(start), 0);
  return { first, count: size === 0 ? 0 : Math.max(0, Math.ceil((clamp(end) - first) / step)) };
}

/** One slice per axis that a Slice node names. */
export interface AxisSlice {
  readonly axis: number;
  readonly start: number;
  readonly end: number;
  readonly step: number;
}

/**
 * The slices that a Slice node takes.
 *
 * @param rank of the data
 * @param values of the inputs starts, ends, axes and steps; the last two may be undefined.
 */
export function slicesOf(
  node: Node,
  rank: number,
  [starts, ends, axes, steps]: readonly (readonly number[] | undefined)[],
): readonly AxisSlice[] {
  const count = starts?.length ?? 0;
  const named = normalizeAxes(node, axes ?? Array.from({ length: count }, (_, axis) => axis), rank);
  for (const [what, list] of Object.entries({ ends, axes, steps })) {
    if (list !== undefined && list.length !== count) {
      fail(node, `starts has ${count} values and ${what} has ${list.length}`);
    }
  }
  return named.map((axis, i) => {
    const step = steps?.[i] ?? 1;
    if (step === 0) fail(node, `the step of axis ${axis} is 0`);
    return { axis, start: starts?.[i] ?? 0, end: ends?.[i] ?? TO_THE_END, step };
  });
}

function sliceDim(dim: Dim, { start, end, step }: AxisSlice): Dim {
  if (typeof dim === "number") return sliceRange(dim, start, end, step).count;
  return start === 0 && end >= TO_THE_END && step === 1 ? dim : undefined;
}

/** Elements before and after each axis that a Pad node adds (or, if negative, removes). */
export function padsOf(
  node: Node,
  rank: number,
  pads: readonly number[],
  axes: readonly number[] | undefined,
): { readonly begin: readonly number[]; readonly end: readonly number[] } {
  const named = axes === undefined ? undefined : normalizeAxes(node, axes, rank);
  const count = named?.length ?? rank;
  if (pads.length !== 2 * count) {
    fail(node, `needs ${2 * count} pads for ${count} axes, found ${pads.length}`);
  }
  const begin = new Array<number>(rank).fill(0);
  const end = new Array<number>(rank).fill(0);
  for (let i = 0; i < count; i++) {
    const axis = named?.[i] ?? i;
    begin[axis] = pads[i];
    end[axis] = pads[count + i];
  }
  return { begin, end };
}

/** Where a coordinate of a padded axis, 0 at the first element, takes its element from; -1 is the constant. */
export function padSource(mode: string, coordinate: number, size: number): number {
  if (coordinate >= 0 && coordinate < size) return coordinate;
  if (mode === "edge") return coordinate < 0 ? 0 : size - 1;
  if (mode === "wrap") return ((coordinate % size) + size) % size;
  if (mode === "reflect") {
    if (size === 1) return 0;
    const period = 2 * (size - 1);
    const phase = ((coordinate % period) + period) % period;
    return phase < size ? phase : period - phase;
  }
  return -1;
}

/**
 * The sizes of a Split node's parts.
 *
 * @param sizes value of the input `split`, where the node has one.
 */
export function splitSizes(node: Node, dim: number, sizes: readonly number[] | undefined): readonly number[] {
  const count = node.outputs.length;
  if (sizes !== undefined) {
    const total = sizes.reduce((sum, size) => sum + size, 0);
    if (sizes.length !== count || total !== dim || sizes.some((size) => size < 0)) {
      fail(node, `can't split ${dim} into ${count} parts of sizes [${sizes.join(", ")}]`);
    }
    return sizes;
  }
  const size = Math.ceil(dim / count);
  const last = dim - size * (count - 1);
  if (last < 0) fail(node, `can't split ${dim} into ${count} parts`);
  return Array.from({ length: count }, (_, i) => (i < count - 1 ? size : last));
}

function checkSplit({ node, inputs }: InferContext): void {
  const parts = getInt(node, "num_outputs", 0);
  if ((inputs[1] === undefined) === (parts === 0)) {
    fail(node, `needs either an input "split" or an attribute "num_outputs"`);
  }
  if (parts !== 0 && parts !== node.outputs.length) {
    fail(node, `num_outputs is ${parts}, but it has ${node.outputs.length} outputs`);
  }
}

function indexInput(context: InferContext): readonly Dim[] | undefined {
  return typedInput(context, 1, "int64", "int32").shape;
}

/** Checks that indices lie within the data on every axis but one, where both are known. */
function checkWithin(
  { node }: InferContext,
  axis: number,
  data: readonly Dim[],
  indices: readonly Dim[],
): void {
  const outside = (dim: Dim, i: number) => {
    const limit = data[i];
    return i !== axis && typeof dim === "number" && typeof limit === "number" && dim > limit;
  };
  if (data.length !== indices.length || indices.some(outside)) {
    fail(node, `indices of shape ${formatShape(indices)} do not fit data of shape ${formatShape(data)}`);
  }
}

export const movement = {
  Concat: (context) => {
    const { node, inputs } = context;
    const dtype = sameType(
      context,
      inputs.map((_, index) => index),
    );
    const shapes = inputs.map((type) => type?.shape);
    let result: Dim[] | undefined;
    for (const shape of shapes) {
      if (shape === undefined) return [{ dtype, shape: undefined }];
      const axis = normalizeAxis(node, getInt(node, "axis", 0), shape.length);
      const joined: readonly Dim[] = result ?? shape.map((dim, i) => (i === axis ? 0 : dim));
      const misfit = shape.some((dim, i) => i !== axis && differ(dim, joined[i]));
      if (misfit || shape.length !== joined.length) {
        fail(node, `shapes do not fit along axis ${axis}: ${shapes.map(formatShape).join(" and ")}`);
      }
      result = shape.map((dim, i) => {
        const sofar = joined[i];
        if (i !== axis) return mergeDim(dim, sofar)?.dim;
        if (sofar === 0) return dim;
        return typeof dim === "number" && typeof sofar === "number" ? dim + sofar : undefined;
      });
    }
    return [{ dtype, shape: result }];
  },
  Expand: (context) => {
    const { dtype, shape } = inputType(context, 0);
    const target = constantNumbers(context, 1);
    if (target !== undefined) return [{ dtype, shape: broadcastShapes(context.node, [shape, target]) }];
    const rank = typedInput(context, 1, "int64").shape?.[0];
    if (shape === undefined || typeof rank !== "number") return [{ dtype, shape: undefined }];
    return [{ dtype, shape: unknownDims(Math.max(rank, shape.length)) }];
  },
  Gather: (context) => {
    const { dtype, shape } = inputType(context, 0);
    const indices = indexInput(context);
    if (shape === undefined || indices === undefined) return [{ dtype, shape: undefined }];
    const axis = normalizeAxis(context.node, getInt(context.node, "axis", 0), shape.length);
    return [{ dtype, shape: [...shape.slice(0, axis), ...indices, ...shape.slice(axis + 1)] }];
  },
  GatherElements: (context) => {
    const { dtype, shape } = inputType(context, 0);
    const indices = indexInput(context);
    if (shape !== undefined && indices !== undefined) {
      const axis = normalizeAxis(context.node, getInt(context.node, "axis", 0), shape.length);
      checkWithin(context, axis, shape, indices);
    }
    return [{ dtype, shape: indices }];
  },
  Pad: (context) => {
    const { node, inputs } = context;
    const { dtype, shape } = inputType(context, 0);
    const mode = getString(node, "mode", "constant");
    if (!["constant", "reflect", "edge", "wrap"].includes(mode)) fail(node, `unknown mode "${mode}"`);
    const pads = constantNumbers(context, 1);
    const axes = constantNumbers(context, 3);
    if (shape === undefined) return [{ dtype, shape }];
    if (pads === undefined || (inputs[3] !== undefined && axes === undefined)) {
      return [{ dtype, shape: unknownDims(shape.length) }];
    }
    const { begin, end } = padsOf(node, shape.length, pads, axes);
    const padded = shape.map((dim, axis) => {
      const added = begin[axis] + end[axis];
      if (typeof dim !== "number") return added === 0 ? dim : undefined;
      if (dim + added < 0) fail(node, `pads [${pads.join(", ")}] take more than ${formatShape(shape)} has`);
      return dim + added;
    });
    return [{ dtype, shape: padded }];
  },
  ScatterElements: (context) => {
    const { node } = context;
    const dtype = sameType(context, [0, 2]);
    const { shape } = inputType(context, 0);
    const indices = indexInput(context);
    const reduction = getString(node, "reduction", "none");
    if (!["none", "add", "mul", "max", "min"].includes(reduction)) {
      fail(node, `unknown reduction "${reduction}"`);
    }
    const updates = inputType(context, 2).shape;
    if (indices !== undefined && updates !== undefined) {
      if (indices.length !== updates.length || indices.some((dim, i) => differ(dim, updates[i]))) {
        fail(node, `indices ${formatShape(indices)} and updates ${formatShape(updates)} differ in shape`);
      }
    }
    if (shape !== undefined && indices !== undefined) {
      checkWithin(context, normalizeAxis(node, getInt(node, "axis", 0), shape.length), shape, indices);
    }
    return [{ dtype, shape }];
  },
  Slice: (context) => {
    const { node, inputs } = context;
    const { dtype, shape } = inputType(context, 0);
    if (shape === undefined) return [{ dtype, shape }];
    const values = [1, 2, 3, 4].map((index) => constantNumbers(context, index));
    const known = values.every((value, i) => value !== undefined || inputs[i + 1] === undefined);
    if (known) {
      const result = [...shape];
      for (const slice of slicesOf(node, shape.length, values)) {
        result[slice.axis] = sliceDim(result[slice.axis], slice);
      }
      return [{ dtype, shape: result }];
    }
    if (inputs[3] !== undefined && values[2] === undefined)
      return [{ dtype, shape: unknownDims(shape.length) }];
    const touched = values[2] === undefined ? undefined : normalizeAxes(node, values[2], shape.length);
    return [
      { dtype, shape: shape.map((dim, axis) => (touched?.includes(axis) === false ? dim : undefined)) },
    ];
  },
  Split: (context) => {
    const { node, inputs } = context;
    checkSplit(context);
    const { dtype, shape } = inputType(context, 0);
    if (shape === undefined) return node.outputs.map(() => ({ dtype, shape }));
    const axis = normalizeAxis(node, getInt(node, "axis", 0), shape.length);
    const dim = shape[axis];
    const given = constantNumbers(context, 1);
    let sizes: readonly Dim[] = unknownDims(node.outputs.length);
    if (typeof dim === "number") {
      if (given !== undefined || inputs[1] === undefined) sizes = splitSizes(node, dim, given);
    } else if (given !== undefined) {
      sizes = given;
    }
    return node.outputs.map((_, i) => ({ dtype, shape: shape.with(axis, sizes[i]) }));
  },
  Transpose: (context) => {
    const { dtype, shape } = inputType(context, 0);
    if (shape === undefined) return [{ dtype, shape }];
    return [{ dtype, shape: permutationOf(context.node, shape.length).map((axis) => shape[axis]) }];
  },
} as const satisfies Record<string, InferRule>;

/** The axes of a Transpose node's input in the order in which its output has them. */
export function permutationOf(node: Node, rank: number): readonly number[] {
  const order = getInts(node, "perm") ?? Array.from({ length: rank }, (_, i) => rank - 1 - i);
  if (
    order.length !== rank ||
    order.some((axis) => axis < 0 || axis >= rank) ||
    new Set(order).size !== rank
  ) {
    fail(node, `perm [${order.join(", ")}] is no order of ${rank} axes`);
  }
  return order;
}
