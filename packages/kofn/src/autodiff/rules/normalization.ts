/** Gradients of the operators that normalise. */

import type { Builder } from "../../onnx/builder.js";
import { float, getFloat, getInt, int, ints } from "../../onnx/model.js";
import { sizeOf } from "../../onnx/tensor.js";
import type { RuleContext } from "../rule.js";
import { axisOf, guardedDivide } from "./reduce.js";
import { floatType } from "./shape.js";

type Grads = (string | undefined)[];

/** x normalised over its axes from `axis` on, and 1 / sqrt(variance + epsilon), in one pass of onnxruntime. */
function normalized(
  b: Builder,
  x: string,
  axis: number,
  epsilon: number,
): readonly [unit: string, inverse: string] {
  const ones = b.fill(1, floatType(b.dtype(x)), b.shape(x).slice(axis));
  const outputs = [`${x}/normalized`, `${x}/mean`, `${x}/inverse`];
  const attributes = { axis: int(axis), epsilon: float(epsilon) };
  const [unit, , inverse] = b.ops("LayerNormalization", [x, ones], attributes, outputs);
  return [unit, inverse];
}

/** u = (x - mean(x)) r, r = 1 / sqrt(var(x) + epsilon): dx = r (du - mean(du) - u mean(u du)), means over `axes`. */
function throughNormalized(
  b: Builder,
  [unit, inverse]: readonly [string, string],
  dUnit: string,
  axes: readonly number[],
  name: string,
): string {
  const mean = (value: string): string => b.op("ReduceMean", [value, b.vector(axes)]);
  const along = b.mul(unit, mean(b.mul(unit, dUnit)));
  return b.mul(b.sub(b.sub(dUnit, mean(dUnit)), along), inverse, name);
}

// y = u scale + bias, u = (x - mean) inverse
export function layerNormalization(context: RuleContext): Grads {
  const { b, node, inputs, dOutputs, wants, gradName } = context;
  const [x, scale] = inputs;
  const [dY, dMean, dInverse] = dOutputs;
  const rank = b.shape(x).length;
  const axis = axisOf(getInt(node, "axis", -1), rank);
  const axes = Array.from({ length: rank - axis }, (_, i) => axis + i);
  const parts = normalized(b, x, axis, getFloat(node, "epsilon", 1e-5));
  const [unit, inverse] = parts;
  const share = b.scalar(1 / sizeOf(b.shape(x).slice(axis)), x);
  const terms: string[] = [];
  if (wants(0)) {
    if (dY !== undefined) terms.push(throughNormalized(b, parts, b.mul(dY, scale), axes, gradName(0)));
    if (dMean !== undefined) terms.push(b.mul(b.expand(dMean, b.shape(x)), share));
    // d inverse = -inverse^3 mean((x - mean) dx) = -inverse^2 mean(u dx)
    if (dInverse !== undefined) {
      terms.push(b.neg(b.mul(b.mul(b.mul(dInverse, share), b.mul(inverse, inverse)), unit)));
    }
  }
  const dX = terms.length > 1 ? b.op("Sum", terms, {}, gradName(0)) : terms.at(0);
  return [
    dX,
    dY !== undefined && wants(1) ? b.mul(dY, unit, gradName(1)) : undefined,
    dY !== undefined && wants(2) ? dY : undefined,
  ];
}

/** y = u scale + bias per channel, where u normalises groups of channels: rows of [N, groups, ...]. */
function groups({ b, node, inputs, dY, wants, gradName }: RuleContext, count: number): Grads {
  const [x, scale] = inputs;
  const dims = b.shape(x);
  const rows = [dims[0], count, sizeOf(dims.slice(1)) / count];
  const others = dims.map((_, i) => i).filter((i) => i !== 1);
  const perChannel = dims.slice(1).map((_, i) => (i === 0 ? dims[1] : 1));
  const parts = normalized(b, b.reshape(x, rows), 2, getFloat(node, "epsilon", 1e-5));
  const unit = (): string => b.reshape(parts[0], dims);
  const dX = (): string => {
    const dUnit = b.mul(dY, b.reshape(scale, perChannel));
    const through = throughNormalized(b, parts, b.reshape(dUnit, rows), [2], gradName(0));
    return b.reshape(through, dims, gradName(0));
  };
  return [
    wants(0) ? dX() : undefined,
    wants(1) ? b.sum(b.mul(dY, unit()), others, false, gradName(1)) : undefined,
    wants(2) ? b.sum(dY, others, false, gradName(2)) : undefined,
  ];
}

export function groupNormalization(context: RuleContext): Grads {
  return groups(context, getInt(context.node, "num_groups", 0));
}

export function instanceNormalization(context: RuleContext): Grads {
  return groups(context, context.b.shape(context.inputs[0])[1]);
}

// y = x s^-beta, s = bias + alpha mean over the window of x^2:
// dx = dy s^-beta - 2 alpha beta x mean over the mirrored window of (dy y / s)
export function lrn({ b, node, inputs: [x], outputs: [y], dY, gradName }: RuleContext): Grads {
  const size = getInt(node, "size", 0);
  const [alpha, beta] = [getFloat(node, "alpha", 1e-4), getFloat(node, "beta", 0.75)];
  const dims = b.shape(x);
  const planes = [dims[0], 1, dims[1], sizeOf(dims.slice(2))];
  const before = Math.floor((size - 1) / 2);
  const meanOfWindow = (value: string, begin: number): string => {
    const attributes = {
      kernel_shape: ints([size, 1]),
      pads: ints([begin, 0, size - 1 - begin, 0]),
      count_include_pad: int(1),
    };
    return b.reshape(b.op("AveragePool", [b.reshape(value, planes)], attributes), dims);
  };
  const weighted = b.mul(meanOfWindow(b.mul(x, x), before), b.scalar(alpha, x));
  const s = b.add(weighted, b.scalar(getFloat(node, "bias", 1), x));
  const direct = b.mul(dY, b.op("Pow", [s, b.scalar(-beta, x)]));
  const spread = meanOfWindow(b.div(b.mul(dY, y), s), size - 1 - before);
  return [b.sub(direct, b.mul(b.mul(x, b.scalar(2 * alpha * beta, x)), spread), gradName(0))];
}

// y = x / |x|: dx = (dy - grad|x| sum(y dy)) / |x|, where grad|x| is y for the 2-norm and sign(x) for the 1-norm
export function lpNormalization({ b, node, inputs: [x], outputs: [y], dY, gradName }: RuleContext): Grads {
  const axes = [axisOf(getInt(node, "axis", -1), b.shape(x).length)];
  const p = getInt(node, "p", 2);
  const norm = b.op(p === 1 ? "ReduceL1" : "ReduceL2", [x, b.vector(axes)]);
  const slope = p === 1 ? b.op("Sign", [x]) : y;
  const tangent = b.sub(dY, b.mul(slope, b.sum(b.mul(y, dY), axes)));
  return [b.mul(tangent, guardedDivide(b, b.scalar(1, x), norm), gradName(0))];
}
