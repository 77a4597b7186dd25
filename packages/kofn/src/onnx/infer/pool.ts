/** Shapes of pools and their gradients. */

import { type Dim, getInt, type Node } from "../model.js";
import {
  fail,
  floatInput,
  formatShape,
  type InferContext,
  type InferRule,
  inputType,
  sameType,
  shapeOfRank,
} from "./support.js";
import { checkGradient, inputShape } from "./linear.js";
import { kernelShape, windowOutputs } from "./window.js";

function poolShape(node: Node, shape: readonly Dim[]): readonly Dim[] {
  const kernel = kernelShape(node);
  return [...shape.slice(0, 2), ...windowOutputs(node, shape.slice(2), kernel)];
}

function pooledInput(context: InferContext, index: number): readonly Dim[] | undefined {
  return shapeOfRank(context, index, (rank) => rank >= 3, "at least three dimensions");
}

const globalPool: InferRule = (context) => {
  const { dtype } = floatInput(context);
  const shape = pooledInput(context, 0);
  return [{ dtype, shape: shape?.map((dim, axis) => (axis < 2 ? dim : 1)) }];
};

export const pooling = {
  AveragePool: (context) => {
    const { dtype } = floatInput(context);
    const shape = pooledInput(context, 0);
    return [{ dtype, shape: shape && poolShape(context.node, shape) }];
  },
  AveragePoolGrad: (context) => {
    const { node } = context;
    const { dtype, shape: gradient } = floatInput(context);
    const shape = inputShape(node);
    if (shape.length < 3) fail(node, `input_shape ${formatShape(shape)} must have at least three dimensions`);
    checkGradient(node, gradient, poolShape(node, shape));
    return [{ dtype, shape }];
  },
  GlobalAveragePool: globalPool,
  GlobalLpPool: (context) => {
    const p = getInt(context.node, "p", 2);
    if (p < 1) fail(context.node, `attribute "p" must be at least 1, not ${p}`);
    return globalPool(context);
  },
  GlobalMaxPool: globalPool,
  MaxPool: (context) => {
    const { dtype } = inputType(context, 0);
    const input = pooledInput(context, 0);
    const shape = input && poolShape(context.node, input);
    return [
      { dtype, shape },
      { dtype: "int64", shape },
    ];
  },
  MaxPoolGrad: (context) => {
    const { node } = context;
    const dtype = sameType(context, [0, 1, 2]);
    const shape = pooledInput(context, 1);
    const gradient = inputType(context, 0).shape;
    checkGradient(node, gradient, inputType(context, 2).shape);
    if (shape !== undefined) checkGradient(node, gradient, poolShape(node, shape));
    return [{ dtype, shape }];
  },
} as const satisfies Record<string, InferRule>;
