/** Shapes of batch normalisation. */

import { type Dim, getInt } from "../model.js";
import {
  differ,
  fail,
  floatInput,
  formatShape,
  type InferContext,
  type InferRule,
  mergeDim,
  shapeOfRank,
} from "./support.js";

/** Checks the inputs [N, C, ...] at `images` and [C] at `channels`, and returns C. */
function channelsOf(context: InferContext, images: readonly number[], channels: readonly number[]): Dim {
  const { node } = context;
  let count: Dim;
  const merge = (index: number, dim: Dim, shape: readonly Dim[] | undefined): void => {
    const both = mergeDim(count, dim);
    if (both === undefined) {
      fail(
        node,
        `input ${index} has shape ${formatShape(shape)}, but the others have ${count ?? "?"} channels`,
      );
    }
    count = both.dim;
  };
  for (const index of images) {
    floatInput(context, index);
    const shape = shapeOfRank(context, index, (rank) => rank >= 2, "shape [N, C, ...]");
    if (shape !== undefined) merge(index, shape[1], shape);
  }
  for (const index of channels) {
    floatInput(context, index);
    const shape = shapeOfRank(context, index, (rank) => rank === 1, "shape [C]");
    if (shape !== undefined) merge(index, shape[0], shape);
  }
  return count;
}

export const batchNorm = {
  BatchNormalization: (context) => {
    if (getInt(context.node, "training_mode", 0) !== 0) {
      fail(
        context.node,
        "it is in training mode, which inference engines do not have; export the model in evaluation mode",
      );
    }
    channelsOf(context, [0], [1, 2, 3, 4]);
    return [floatInput(context)];
  },
  BatchNorm: (context) => {
    const channels = channelsOf(context, [0], [1, 2]);
    const type = floatInput(context);
    const statistics = { dtype: type.dtype, shape: [channels] };
    return [type, statistics, statistics];
  },
  BatchNormGrad: (context) => {
    const channels = channelsOf(context, [0, 1], [2, 3, 4]);
    const [dY, x] = [floatInput(context), floatInput(context, 1)];
    if (dY.shape?.length !== x.shape?.length || dY.shape?.some((dim, i) => differ(dim, x.shape?.[i]))) {
      fail(context.node, `shapes differ: ${formatShape(dY.shape)} and ${formatShape(x.shape)}`);
    }
    const parameter = { dtype: x.dtype, shape: [channels] };
    return [x, parameter, parameter];
  },
} as const satisfies Record<string, InferRule>;
