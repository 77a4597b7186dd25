/** Shapes of the operators that move blocks between depth and space, repeat tensors, and read or write by index tuples. */

import { dataTypeOfCode } from "../dtype.js";
import { type Dim, getInt, getString, type Node } from "../model.js";
import {
  constantNumbers,
  fail,
  formatShape,
  type InferContext,
  type InferRule,
  inputType,
  normalizeAxis,
  shapeOfRank,
  typedInput,
  unknownDims,
} from "./support.js";

/** The attribute blocksize of DepthToSpace and SpaceToDepth. */
export function blockSize(node: Node): number {
  const size = getInt(node, "blocksize", 0);
  if (size < 1) fail(node, `attribute "blocksize" must be at least 1, not ${size}`);
  return size;
}

/** dim / divisor, which must be whole. */
function quotient(node: Node, shape: readonly Dim[], axis: number, divisor: number): Dim {
  const dim = shape[axis];
  if (typeof dim !== "number") return undefined;
  if (dim % divisor !== 0) {
    fail(node, `axis ${axis} of ${formatShape(shape)} does not divide into ${divisor} parts`);
  }
  return dim / divisor;
}

const times = (dim: Dim, factor: number): Dim => (typeof dim === "number" ? dim * factor : undefined);

function image(context: InferContext): readonly Dim[] | undefined {
  return shapeOfRank(context, 0, (rank) => rank === 4, "shape [N, C, H, W]");
}

/** How OneHot arranges its output: the axis of the classes, among those of the indices. */
export function oneHotAxis(node: Node, rank: number): number {
  return normalizeAxis(node, getInt(node, "axis", -1), rank + 1);
}

export const rearranging = {
  DepthToSpace: (context) => {
    const { node } = context;
    const { dtype } = inputType(context, 0);
    const size = blockSize(node);
    const mode = getString(node, "mode", "DCR");
    if (!["DCR", "CRD"].includes(mode)) fail(node, `unknown mode "${mode}"; the modes are DCR and CRD`);
    const shape = image(context);
    if (shape === undefined) return [{ dtype, shape: unknownDims(4) }];
    const channels = quotient(node, shape, 1, size * size);
    return [{ dtype, shape: [shape[0], channels, times(shape[2], size), times(shape[3], size)] }];
  },
  EyeLike: (context) => {
    const { node } = context;
    const input = inputType(context, 0);
    const code = getInt(node, "dtype", 0);
    const dtype = code === 0 ? input.dtype : dataTypeOfCode(code);
    if (dtype === undefined) fail(node, `attribute "dtype" is ${code}, which is no known element type`);
    return [
      { dtype, shape: shapeOfRank(context, 0, (rank) => rank === 2, "two dimensions") ?? unknownDims(2) },
    ];
  },
  GatherND: (context) => {
    const { node } = context;
    const { dtype, shape } = inputType(context, 0);
    const indices = typedInput(context, 1, "int64").shape;
    const length = indices?.at(-1);
    if (shape === undefined || indices === undefined || typeof length !== "number") {
      return [{ dtype, shape: undefined }];
    }
    const batch = getInt(node, "batch_dims", 0);
    if (batch < 0 || batch >= Math.min(shape.length, indices.length) || length > shape.length - batch) {
      fail(
        node,
        `indices ${formatShape(indices)} with batch_dims ${batch} do not fit data of shape ${formatShape(shape)}`,
      );
    }
    return [{ dtype, shape: [...indices.slice(0, -1), ...shape.slice(batch + length)] }];
  },
  OneHot: (context) => {
    const { node } = context;
    const { dtype } = inputType(context, 2);
    const { shape } = inputType(context, 0);
    if (shape === undefined) return [{ dtype, shape }];
    const depth = constantNumbers(context, 1)?.[0];
    return [{ dtype, shape: shape.toSpliced(oneHotAxis(node, shape.length), 0, depth) }];
  },
  SpaceToDepth: (context) => {
    const { node } = context;
    const { dtype } = inputType(context, 0);
    const size = blockSize(node);
    const shape = image(context);
    if (shape === undefined) return [{ dtype, shape: unknownDims(4) }];
    const [height, width] = [2, 3].map((axis) => quotient(node, shape, axis, size));
    return [{ dtype, shape: [shape[0], times(shape[1], size * size), height, width] }];
  },
  Tile: (context) => {
    const { node } = context;
    const { dtype, shape } = inputType(context, 0);
    typedInput(context, 1, "int64");
    if (shape === undefined) return [{ dtype, shape }];
    const repeats = constantNumbers(context, 1);
    if (repeats === undefined) return [{ dtype, shape: unknownDims(shape.length) }];
    if (repeats.length !== shape.length || repeats.some((count) => count < 0)) {
      fail(node, `repeats [${repeats.join(", ")}] must be ${shape.length} counts for ${formatShape(shape)}`);
    }
    return [
      { dtype, shape: shape.map((dim, axis) => (repeats[axis] === 1 ? dim : times(dim, repeats[axis]))) },
    ];
  },
} as const satisfies Record<string, InferRule>;
