/** Shapes of fake quantizers. */

import { getInt, type ValueType } from "../model.js";
import {
  differ,
  fail,
  floatInput,
  formatShape,
  type InferContext,
  type InferRule,
  normalizeAxis,
  sameType,
  shapeOfRank,
} from "./support.js";

/** Checks the tensor at `position` and the scale behind it, and returns their types. */
function quantized(context: InferContext, position: number): { x: ValueType; scale: ValueType } {
  const { node } = context;
  const x = floatInput(context, position);
  const scale = floatInput(context, position + 1);
  sameType(context, [position, position + 1]);
  const perChannel = node.attributes.has("axis");
  const shape = perChannel
    ? shapeOfRank(context, position + 1, (rank) => rank === 1, "shape [C], as there is an axis")
    : shapeOfRank(context, position + 1, (rank) => rank === 0, "no dimensions, as there is no axis");
  if (perChannel && x.shape !== undefined && shape !== undefined) {
    const axis = normalizeAxis(node, getInt(node, "axis", 0), x.shape.length);
    if (differ(x.shape[axis], shape[0])) {
      fail(node, `scales ${formatShape(shape)} do not fit axis ${axis} of ${formatShape(x.shape)}`);
    }
  }
  return { x, scale };
}

const values: InferRule = (context) => [quantized(context, 0).x];

const gradients: InferRule = (context) => {
  const { x, scale } = quantized(context, 1);
  const dY = floatInput(context);
  if (dY.shape?.length !== x.shape?.length || dY.shape?.some((dim, i) => differ(dim, x.shape?.[i]))) {
    fail(context.node, `shapes differ: ${formatShape(dY.shape)} and ${formatShape(x.shape)}`);
  }
  return [x, scale];
};

export const quantizers = {
  FakeQuantize: values,
  FakeQuantizeGrad: gradients,
  FakeBinarize: values,
  FakeBinarizeGrad: gradients,
} as const satisfies Record<string, InferRule>;
