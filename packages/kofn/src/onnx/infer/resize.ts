/** How Resize samples its input: which axes, to which sizes, and the elements and weights behind each output element. */

import { type Dim, getFloat, getInt, getInts, getString, type Node } from "../model.js";
import type { Tensor } from "../tensor.js";
import { fail, floatInput, type InferRule, normalizeAxes, unknownDims } from "./support.js";

/** An axis that is resized. */
export interface ResizedAxis {
  readonly axis: number;
  /** The factor that says where elements lie; undefined if it is that of the sizes. */
  readonly scale: number | undefined;
  /** The new size where it is given; else it is the old one times the factor, rounded down. */
  readonly size: number | undefined;
}

/**
 * The axes that a Resize names, or all.
 *
 * @returns undefined if neither scales nor sizes are known.
 * @throws InputError naming the node, if it has both or neither, or not as many as axes.
 */
export function resizedAxes(
  node: Node,
  rank: number,
  scales: Tensor | undefined,
  sizes: Tensor | undefined,
): ResizedAxis[] | undefined {
  const every = Array.from({ length: rank }, (_, axis) => axis);
  const axes = normalizeAxes(node, getInts(node, "axes", every), rank);
  // An empty tensor stands for one that is left out.
  const given = [scales, sizes].filter((value) => value !== undefined && value.size > 0);
  if (given.length > 1) fail(node, "it has both scales and sizes");
  if (given.length === 0) {
    if (hasInput(node, 2) || hasInput(node, 3)) return undefined;
    return fail(node, "it has neither scales nor sizes");
  }
  const numbers = given[0]?.numbers() ?? [];
  if (numbers.length !== axes.length || !numbers.every((value) => value > 0)) {
    fail(
      node,
      `expected a scale or size above 0 for each of ${axes.length} axes, found [${numbers.join(", ")}]`,
    );
  }
  const isScale = given[0] === scales;
  return axes.map((axis, i) => ({
    axis,
    scale: isScale ? numbers[i] : undefined,
    size: isScale ? undefined : numbers[i],
  }));
}

function hasInput({ inputs }: Node, index: number): boolean {
  return (inputs.at(index) ?? "") !== "";
}

/** The size of a resized axis. */
export function resizedSize({ scale = 1, size }: ResizedAxis, before: number): number {
  return size ?? Math.floor(before * scale);
}

/** What an output element along an axis is made of: `weight` of `high`, the rest of `low`. */
export interface Taps {
  readonly low: Int32Array;
  readonly high: Int32Array;
  readonly weight: Float64Array;
}

/** Where the elements of a resized axis come from. */
export function resizeTaps(node: Node, resized: ResizedAxis, before: number): Taps {
  const after = resizedSize(resized, before);
  const scale = resized.scale ?? after / before;
  const isNearest = getString(node, "mode", "nearest") === "nearest";
  const taps = { low: new Int32Array(after), high: new Int32Array(after), weight: new Float64Array(after) };
  const position = positionOf(node, before, after, scale);
  const within = (x: number): number => Math.min(Math.max(x, 0), before - 1);
  const nearest = NEAREST[getString(node, "nearest_mode", "round_prefer_floor")];
  for (let i = 0; i < after; i++) {
    if (isNearest) {
      taps.low[i] = taps.high[i] = within(nearest(position(i)));
      continue;
    }
    const x = within(position(i));
    taps.low[i] = Math.floor(x);
    taps.high[i] = within(taps.low[i] + 1);
    taps.weight[i] = x - taps.low[i];
  }
  return taps;
}

const NEAREST: Readonly<Record<string, (x: number) => number>> = {
  round_prefer_floor: (x) => Math.ceil(x - 0.5),
  round_prefer_ceil: (x) => Math.floor(x + 0.5),
  floor: Math.floor,
  ceil: Math.ceil,
};

type Position = (index: number) => number;

const POSITIONS: Readonly<Record<string, (before: number, after: number, scale: number) => Position>> = {
  half_pixel: (_, __, scale) => (i) => (i + 0.5) / scale - 0.5,
  half_pixel_symmetric: (before, after, scale) => {
    const offset = (before / 2) * (1 - after / (scale * before));
    return (i) => offset + (i + 0.5) / scale - 0.5;
  },
  pytorch_half_pixel: (_, after, scale) => (i) => (after > 1 ? (i + 0.5) / scale - 0.5 : 0),
  align_corners: (before, after) => (i) => (after > 1 ? (i * (before - 1)) / (after - 1) : 0),
  asymmetric: (_, __, scale) => (i) => i / scale,
};

/** Where an output element lies in the input. */
function positionOf(node: Node, before: number, after: number, scale: number): Position {
  return POSITIONS[getString(node, "coordinate_transformation_mode", "half_pixel")](before, after, scale);
}

/** @throws InputError naming the node and what of it kofn does not compute. */
function checkResize(node: Node): void {
  const oneOf = (attribute: string, fallback: string, known: readonly string[]): void => {
    const value = getString(node, attribute, fallback);
    if (!known.includes(value)) fail(node, `${attribute} "${value}" is not among ${known.join(", ")}`);
  };
  oneOf("mode", "nearest", ["nearest", "linear"]);
  oneOf("nearest_mode", "round_prefer_floor", Object.keys(NEAREST));
  oneOf("coordinate_transformation_mode", "half_pixel", Object.keys(POSITIONS));
  oneOf("keep_aspect_ratio_policy", "stretch", ["stretch"]);
  for (const attribute of ["antialias", "exclude_outside"]) {
    if (getInt(node, attribute, 0) !== 0) fail(node, `${attribute} is not supported`);
  }
  if (getFloat(node, "extrapolation_value", 0) !== 0) fail(node, "extrapolation_value is not supported");
}

export const resizing = {
  Resize: (context) => {
    const { node, constants } = context;
    checkResize(node);
    const { dtype, shape } = floatInput(context);
    if (shape === undefined) return [{ dtype, shape }];
    const axes = resizedAxes(node, shape.length, constants.at(2), constants.at(3));
    if (axes === undefined) return [{ dtype, shape: unknownDims(shape.length) }];
    const dims: Dim[] = [...shape];
    for (const resized of axes) {
      const before = shape[resized.axis];
      if (typeof before === "number") dims[resized.axis] = resizedSize(resized, before);
      else if (resized.scale !== 1) dims[resized.axis] = resized.size;
    }
    return [{ dtype, shape: dims }];
  },
} satisfies Record<string, InferRule>;
