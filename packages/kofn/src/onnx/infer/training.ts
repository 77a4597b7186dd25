/** Shapes of the loss and of the k-of-n sampler. */

import {
  differ,
  fail,
  floatInput,
  formatShape,
  type InferContext,
  type InferRule,
  inputType,
  mergeDim,
  sameType,
  shapeOfRank,
  typedInput,
} from "./support.js";
import { getInt, type ValueType } from "../model.js";

function checkedLogits(context: InferContext): ValueType {
  const { dtype } = floatInput(context);
  const logits = shapeOfRank(context, 0, (rank) => rank === 2, "shape [batch, classes]");
  typedInput(context, 1, "int64");
  const labels = shapeOfRank(context, 1, (rank) => rank === 1, "shape [batch]");
  if (logits !== undefined && labels !== undefined && differ(logits[0], labels[0])) {
    fail(
      context.node,
      `logits ${formatShape(logits)} and labels ${formatShape(labels)} differ in batch size`,
    );
  }
  return { dtype, shape: logits };
}

/** The common type of the inputs [R, n]; after them comes tau. */
function sampled(context: InferContext, matrices: readonly number[]): ValueType {
  const { node } = context;
  const dtype = sameType(context, matrices);
  floatInput(context);
  const shapes = matrices.map((index) => shapeOfRank(context, index, (rank) => rank === 2, "shape [R, n]"));
  const shape = shapes.reduce((merged, next) => {
    if (merged === undefined || next === undefined) return merged ?? next;
    return merged.map((dim, axis) => {
      const both = mergeDim(dim, next[axis]);
      if (both === undefined) fail(node, `shapes differ: ${shapes.map(formatShape).join(" and ")}`);
      return both.dim;
    });
  });
  const tau = matrices.length;
  const scalar = inputType(context, tau).shape;
  if (scalar !== undefined && (scalar.length > 1 || differ(scalar[0] ?? 1, 1))) {
    fail(node, `input ${tau} must be a scalar, not of shape ${formatShape(scalar)}`);
  }
  floatInput(context, tau);
  const k = getInt(node, "k", 0);
  const n = shape?.[1];
  if (k < 1 || (typeof n === "number" && k > n)) {
    fail(node, `can't choose k = ${k} of n = ${n ?? "?"} units`);
  }
  return { dtype, shape };
}

export const training = {
  KofN: (context) => [sampled(context, [0, 1])],
  KofNGrad: (context) => [sampled(context, [0, 1, 2])],
  SoftmaxCrossEntropy: (context) => [{ dtype: checkedLogits(context).dtype, shape: [] }],
  SoftmaxCrossEntropyGrad: (context) => [checkedLogits(context)],
} as const satisfies Record<string, InferRule>;
