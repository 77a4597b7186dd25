/** Gradients of operators that move elements without changing them. */

import { InputError } from "../../errors.js";
import type { Builder } from "../../onnx/builder.js";
import { padSource, padsOf } from "../../onnx/infer/movement.js";
import { blockSize } from "../../onnx/infer/rearrange.js";
import { getInt, getInts, getString, int, string } from "../../onnx/model.js";
import { optionalInput, type RuleContext } from "../rule.js";

type Grads = (string | undefined)[];

export function identity({ dY }: RuleContext): Grads {
  return [dY];
}

// Reshape, Flatten, Squeeze, Unsqueeze: the same elements in another shape
export function reshape({ b, inputs: [x], dY, gradName }: RuleContext): Grads {
  return [b.reshape(dY, b.shape(x), gradName(0))];
}

// The walker sums over the repeated dimensions.
export function expand({ dY }: RuleContext): Grads {
  return [dY];
}

export function transpose({ b, node, inputs: [x], dY, gradName }: RuleContext): Grads {
  const rank = b.shape(x).length;
  const perm = getInts(node, "perm") ?? Array.from({ length: rank }, (_, i) => rank - 1 - i);
  const inverse = perm.map((_, axis) => perm.indexOf(axis));
  return [b.transpose(dY, inverse, gradName(0))];
}

export function cast({ b, inputs: [x], dY, gradName }: RuleContext): Grads {
  const from = b.dtype(x);
  if (!isFloat(from)) return [undefined];
  const code = from === "float64" ? 11 : from === "float32" ? 1 : 10;
  return [b.op("Cast", [dY], { to: int(code) }, gradName(0))];
}

export function concat({ b, node, inputs, dY, wants, gradName }: RuleContext): Grads {
  const rank = b.shape(dY).length;
  const axis = (getInt(node, "axis", 0) + rank) % rank;
  let start = 0;
  return inputs.map((input, i) => {
    const end = start + b.shape(input)[axis];
    const grad = wants(i)
      ? b.op("Slice", [dY, b.vector([start]), b.vector([end]), b.vector([axis])], {}, gradName(i))
      : undefined;
    start = end;
    return grad;
  });
}

export function split({ b, node, inputs: [x], outputs, dOutputs, gradName }: RuleContext): Grads {
  const parts = outputs.map(
    (output, i) => dOutputs[i] ?? b.fill(0, floatType(b.dtype(x)), b.shape(output), `${output}/zero`),
  );
  return [b.op("Concat", parts, { axis: int(getInt(node, "axis", 0)) }, gradName(0))];
}

// The gradient goes back to the elements that were read; the others have none.
export function slice({ b, node, inputs, dY, gradName }: RuleContext): Grads {
  const [x] = inputs;
  const dims = b.shape(x);
  const starts = constantNumbers(b, node.name, "Slice", inputs[1]);
  const [axesInput, stepsInput] = [optionalInput(inputs, 3), optionalInput(inputs, 4)];
  const axes =
    axesInput === undefined
      ? starts.map((_, i) => i)
      : constantNumbers(b, node.name, "Slice", axesInput).map((axis) => (axis + dims.length) % dims.length);
  const steps =
    stepsInput === undefined ? starts.map(() => 1) : constantNumbers(b, node.name, "Slice", stepsInput);
  const first = axes.map((axis, i) => firstIndex(starts[i], dims[axis], steps[i]));
  if (steps.every((step) => step === 1)) {
    const pads = new Array<number>(2 * dims.length).fill(0);
    const outDims = b.shape(dY);
    axes.forEach((axis, i) => {
      pads[axis] = first[i];
      pads[dims.length + axis] = dims[axis] - first[i] - outDims[axis];
    });
    return [b.op("Pad", [dY, b.vector(pads)], {}, gradName(0))];
  }
  let grad = dY;
  axes.forEach((axis, i) => {
    grad = spreadAlong(b, grad, axis, { first: first[i], step: steps[i], size: dims[axis] }, gradName(0));
  });
  return [grad];
}

/** Slices along an axis, put at first, first + step, ... of `size` slices; zeros elsewhere. */
function spreadAlong(
  b: Builder,
  value: string,
  axis: number,
  { first, step, size }: { readonly first: number; readonly step: number; readonly size: number },
  name: string,
): string {
  const dims = b.shape(value);
  const count = dims[axis];
  if (count === 0) return b.fill(0, floatType(b.dtype(value)), dims.with(axis, size), name);
  const gap = Math.abs(step);
  const along = (start: number, end: number, by: number): string =>
    b.op("Slice", [value, b.vector([start]), b.vector([end]), b.vector([axis]), b.vector([by])]);
  const forward = step > 0 ? value : along(-1, -(2 ** 31), -1);
  // Each slice with the zeros after it, [..., count, gap, ...]; joining them is faster than Pad.
  const spreadOut = (): string => {
    const single = dims.toSpliced(axis + 1, 0, 1);
    const zeros = b.fill(0, floatType(b.dtype(value)), single.with(axis + 1, gap - 1));
    const joined = b.op("Concat", [b.reshape(forward, single), zeros], { axis: int(axis + 1) });
    return b.reshape(joined, dims.with(axis, count * gap));
  };
  const spread = gap === 1 ? forward : spreadOut();
  const begin = step > 0 ? first : first - (count - 1) * gap;
  const pads = new Array<number>(2 * dims.length).fill(0).with(axis, begin);
  pads[dims.length + axis] = size - begin - count * gap;
  if (pads.every((pad) => pad === 0)) return spread;
  return b.op("Pad", [spread, b.vector(pads)], {}, name);
}

export function pad(context: RuleContext): Grads {
  const { b, node, inputs, dY, wants, gradName } = context;
  const [x] = inputs;
  const mode = getString(node, "mode", "constant");
  const dims = b.shape(x);
  const axesInput = optionalInput(inputs, 3);
  const { begin, end } = padsOf(
    node,
    dims.length,
    constantNumbers(b, node.name, "Pad", inputs[1]),
    axesInput === undefined ? undefined : constantNumbers(b, node.name, "Pad", axesInput),
  );
  if (mode !== "constant") return [padFromInput(context, mode, begin)];
  // Negative pads crop: the cropped elements have no gradient.
  const starts = begin.map((pad) => Math.max(pad, 0));
  const ends = dims.map(
    (dim, axis) => starts[axis] + dim + Math.min(begin[axis], 0) + Math.min(end[axis], 0),
  );
  const all = dims.map((_, axis) => axis);
  const inner = b.op("Slice", [dY, b.vector(starts), b.vector(ends), b.vector(all)], {}, gradName(0));
  // The value that fills the pads has the gradient of all that is not the inner part.
  const dValue = (): string => b.sub(b.sum(dY, all, false), b.sum(inner, all, false), gradName(2));
  const others = [undefined, wants(2) ? dValue() : undefined];
  if ([...begin, ...end].every((pad) => pad >= 0)) return [inner, ...others];
  const restore = [...begin, ...end].map((pad) => Math.max(-pad, 0));
  return [b.op("Pad", [inner, b.vector(restore)], {}, gradName(0)), ...others];
}

/** Pads that repeat elements of the input: each gradient is added where the element was taken from, axis by axis. */
function padFromInput(
  { b, inputs: [x], dY, gradName }: RuleContext,
  mode: string,
  begin: readonly number[],
): string {
  let grad = dY;
  for (const [axis, size] of b.shape(x).entries()) {
    const padded = b.shape(grad)[axis];
    const from = Array.from({ length: padded }, (_, i) => padSource(mode, i - begin[axis], size));
    if (padded !== size || from.some((source, i) => source !== i))
      grad = addAlong(b, grad, axis, from, size, gradName(0));
  }
  return grad;
}

/** Adds the slices of `value` along an axis at the given indices of zeros with `size` slices. */
function addAlong(
  b: Builder,
  value: string,
  axis: number,
  index: readonly number[],
  size: number,
  name: string,
): string {
  const dims = b.shape(value);
  const along = b.constant(
    "int64",
    dims.map((_, i) => (i === axis ? index.length : 1)),
    index,
  );
  const zeros = b.fill(0, floatType(b.dtype(value)), dims.with(axis, size));
  const attributes = { axis: int(axis), reduction: string("add") };
  return b.op("ScatterElements", [zeros, b.expand(along, dims), value], attributes, name);
}

// The gradients of all copies are added up: [r0 d0, r1 d1, ...] seen as [r0, d0, r1, d1, ...]
export function tile({ b, node, inputs: [x, repeats], dY, gradName }: RuleContext): Grads {
  const counts = constantNumbers(b, node.name, "Tile", repeats);
  const dims = b.shape(x);
  const copies = b.reshape(
    dY,
    dims.flatMap((dim, axis) => [counts[axis], dim]),
  );
  return [
    b.sum(
      copies,
      dims.map((_, axis) => 2 * axis),
      false,
      gradName(0),
    ),
  ];
}

// The same blocks, moved back
export function depthToSpace({ b, node, inputs: [x], dY, gradName }: RuleContext): Grads {
  const size = blockSize(node);
  if (getString(node, "mode", "DCR") === "DCR") {
    return [b.op("SpaceToDepth", [dY], { blocksize: int(size) }, gradName(0))];
  }
  const [batch, depth, height, width] = b.shape(x);
  const blocks = b.reshape(dY, [batch, depth / (size * size), height, size, width, size]);
  return [b.reshape(b.transpose(blocks, [0, 1, 3, 5, 2, 4]), b.shape(x), gradName(0))];
}

export function spaceToDepth({ b, node, dY, gradName }: RuleContext): Grads {
  return [b.op("DepthToSpace", [dY], { blocksize: int(blockSize(node)) }, gradName(0))];
}

function firstIndex(start: number, dim: number, step: number): number {
  const from = start < 0 ? start + dim : start;
  return step > 0 ? Math.min(Math.max(from, 0), dim) : Math.min(Math.max(from, -1), dim - 1);
}

function isFloat(dtype: string): boolean {
  return dtype === "float32" || dtype === "float64" || dtype === "float16";
}

export function floatType(dtype: string): "float32" | "float64" {
  return dtype === "float64" ? "float64" : "float32";
}

/** The values of an input that must be known when the gradient is written. */
export function constantNumbers(
  b: RuleContext["b"],
  node: string,
  op: string,
  input: string,
): readonly number[] {
  const value = b.graph.initializers.get(input);
  if (value === undefined) {
    throw new InputError(
      `node "${node}" (${op}): kofn can train through it only if "${input}" is a constant, but it is computed`,
    );
  }
  return value.numbers();
}
