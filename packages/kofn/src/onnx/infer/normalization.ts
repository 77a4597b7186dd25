/** Shapes of the operators that normalise: by layer, by image, by groups of channels, by neighbours, by a norm. */

import { type Dim, getInt } from "../model.js";
import {
  broadcastShapes,
  differ,
  fail,
  floatInput,
  formatShape,
  type InferContext,
  type InferRule,
  inputType,
  normalizeAxis,
  sameType,
  shapeOfRank,
} from "./support.js";

/** Checks that scale and bias (inputs 1 and 2) have a number for each channel of an input [N, C, ...]. */
function perChannel(context: InferContext): readonly Dim[] | undefined {
  const shape = shapeOfRank(context, 0, (rank) => rank >= 2, "at least two dimensions");
  for (const index of [1, 2]) {
    const given = shapeOfRank(context, index, (rank) => rank === 1, "one dimension");
    if (shape !== undefined && given !== undefined && differ(given[0], shape[1])) {
      fail(
        context.node,
        `input ${index} has shape ${formatShape(given)}, but the input ${formatShape(shape)} has ${shape[1]} channels`,
      );
    }
  }
  return shape;
}

export const normalization = {
  GroupNormalization: (context) => {
    const { node } = context;
    const { dtype } = floatInput(context);
    sameType(context, [0, 1, 2]);
    const shape = perChannel(context);
    const groups = getInt(node, "num_groups", 0);
    const channels = shape?.[1];
    if (groups < 1 || (typeof channels === "number" && channels % groups !== 0)) {
      fail(node, `num_groups is ${groups}, which does not divide the ${channels ?? "?"} channels`);
    }
    return [{ dtype, shape }];
  },
  InstanceNormalization: (context) => {
    const { dtype } = floatInput(context);
    sameType(context, [0, 1, 2]);
    return [{ dtype, shape: perChannel(context) }];
  },
  LRN: (context) => {
    const { dtype } = floatInput(context);
    const size = getInt(context.node, "size", 0);
    if (size < 1) fail(context.node, `attribute "size" must be at least 1, not ${size}`);
    return [{ dtype, shape: shapeOfRank(context, 0, (rank) => rank >= 3, "at least three dimensions") }];
  },
  LayerNormalization: (context) => {
    const { node, inputs } = context;
    const { dtype, shape } = floatInput(context);
    if (getInt(node, "stash_type", 1) !== 1) fail(node, `attribute "stash_type" must be 1 (float32)`);
    sameType(
      context,
      inputs.flatMap((type, index) => (type === undefined ? [] : [index])),
    );
    const statistics = dtype === "float64" ? "float64" : "float32";
    if (shape === undefined) {
      return [
        { dtype, shape },
        { dtype: statistics, shape },
        { dtype: statistics, shape },
      ];
    }
    const axis = normalizeAxis(node, getInt(node, "axis", -1), shape.length);
    for (const index of [1, 2]) {
      if (inputs[index] === undefined) continue;
      const joined = broadcastShapes(node, [shape, inputType(context, index).shape]);
      if (joined !== undefined && joined.length > shape.length) {
        fail(node, `input ${index} has more dimensions than the input ${formatShape(shape)}`);
      }
    }
    const reduced = shape.map((dim, i) => (i < axis ? dim : 1));
    return [
      { dtype, shape },
      { dtype: statistics, shape: reduced },
      { dtype: statistics, shape: reduced },
    ];
  },
  LpNormalization: (context) => {
    const { node } = context;
    const type = floatInput(context);
    if (type.shape !== undefined) normalizeAxis(node, getInt(node, "axis", -1), type.shape.length);
    const p = getInt(node, "p", 2);
    if (p !== 1 && p !== 2) fail(node, `attribute "p" must be 1 or 2, not ${p}`);
    return [type];
  },
} as const satisfies Record<string, InferRule>;
