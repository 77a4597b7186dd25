/**
 * How each operator passes channels on, couples them, mixes them, or keeps them from being removed.
 *
 * An operator that is not in the table freezes the channels that reach it.
 */

import { padsOf, sliceRange, slicesOf } from "../../onnx/infer/movement.js";
import { normalizeAxes, normalizeAxis } from "../../onnx/infer/support.js";
import { getInt, getInts, type Node } from "../../onnx/model.js";
import { axisMoves, type Layout } from "./channels.js";
import type { Tracer } from "./trace.js";

/** Sets the layouts of a node's outputs from those of its inputs. */
export type ChannelRule = (tracer: Tracer, node: Node) => void;

const isAxis =
  (...axes: readonly number[]) =>
  (axis: number): boolean =>
    axes.includes(axis);

/** y = f(x) for each element; further inputs are scalars. */
const elementwise: ChannelRule = (tracer, node) => {
  for (const output of node.outputs) tracer.set(output, tracer.layout(node.inputs[0]));
};

/** Elementwise over several inputs that broadcast: the channels that meet are coupled. */
const broadcasting: ChannelRule = (tracer, node) => {
  const [output] = node.outputs;
  const inputs = node.inputs.filter((input) => input !== "");
  const layout = tracer.dims(output).map((size, axis, { length }) => {
    const operands = inputs.flatMap((input) => {
      const dims = tracer.dims(input);
      const at = axis - length + dims.length;
      return at < 0 ? [] : [{ input, at, isSpread: dims[at] !== size, labels: tracer.layout(input)[at] }];
    });
    let meeting: Int32Array | undefined;
    for (const { input, labels, isSpread } of operands) {
      if (labels === undefined) continue;
      if (isSpread) tracer.freeze(node, labels, "spreads one of them over others");
      else if (meeting === undefined) meeting = labels;
      else if (tracer.parameter(input) === undefined) tracer.join(meeting, labels);
    }
    if (meeting === undefined) return undefined;
    for (const { input, at, isSpread, labels } of operands) {
      if (isSpread) continue;
      if (tracer.parameter(input) !== undefined) {
        tracer.label(input, at, meeting);
        if (node.op === "Add" || node.op === "Sub" || node.op === "Sum") {
          tracer.carry(node, input, at, "offset");
        }
      } else if (labels === undefined) {
        tracer.freeze(node, meeting, `combines them with "${input}", whose channels can't be followed`);
      }
    }
    return meeting;
  });
  tracer.set(output, layout);
};

const channelsFirst = (tracer: Tracer, node: Node, labels: Int32Array): Layout =>
  tracer.dims(node.outputs[0]).map((_, axis) => (axis === 1 ? labels : undefined));

/** Whether weight and bias are stored tensors; if not, the channels that the node reads can't be removed. */
function isStored(tracer: Tracer, node: Node): boolean {
  const stored = node.inputs.slice(1).every((input) => input === "" || tracer.parameter(input) !== undefined);
  if (!stored) tracer.refuse(node, "has a weight or bias that is computed");
  return stored;
}

/** Labels of `outer` blocks of `inner` channels, of which those at the same place in each block are one. */
function blocks(tracer: Tracer, labels: Int32Array, outer: number): Int32Array {
  const inner = labels.length / outer;
  for (let i = inner; i < labels.length; i++) tracer.sets.join(labels[i], labels[i % inner]);
  return labels.subarray(0, inner);
}

/**
 * A convolution ends its input's channels and makes new ones. In groups it stays even only if all groups lose the same
 * channels; a depthwise one passes channels on.
 */
const convolution: ChannelRule = (tracer, node) => {
  const [input, weight, bias] = node.inputs;
  tracer.refuse({ ...node, inputs: [input] }, "slides over them", isAxis(1));
  const inputs = tracer.channels(input, 1, node);
  if (!isStored(tracer, node)) return;
  const [count, perGroup] = tracer.dims(weight);
  const groups = getInt(node, "group", 1);
  if (groups > 1 && perGroup === 1) {
    const each = count / groups;
    const outputs = Int32Array.from({ length: count }, (_, i) => inputs[Math.floor(i / each)]);
    tracer.make(node, outputs, { weight, axis: 0, bias });
    return;
  }
  tracer.mix(node, weight, 1, 1, blocks(tracer, inputs, groups));
  const outputs = tracer.sets.fresh(count);
  blocks(tracer, outputs, groups);
  tracer.make(node, outputs, { weight, axis: 0, bias });
};

const transposedConvolution: ChannelRule = (tracer, node) => {
  const [input, weight, bias] = node.inputs;
  if (getInt(node, "group", 1) !== 1) {
    tracer.refuse(node, "is a transposed convolution in groups");
    return;
  }
  tracer.refuse({ ...node, inputs: [input] }, "slides over them", isAxis(1));
  const inputs = tracer.channels(input, 1, node);
  if (!isStored(tracer, node)) return;
  tracer.mix(node, weight, 0, 1, inputs);
  tracer.make(node, tracer.sets.fresh(tracer.dims(weight)[1]), { weight, axis: 1, bias });
};

const gemm: ChannelRule = (tracer, node) => {
  const [input, weight, bias] = node.inputs;
  if (getInt(node, "transA", 0) !== 0 || !isStored(tracer, node)) {
    tracer.refuse(node, "multiplies a matrix that is transposed or computed");
    return;
  }
  tracer.refuse({ ...node, inputs: [input] }, "has them as rows", isAxis(1));
  const outputAxis = getInt(node, "transB", 0) === 0 ? 1 : 0;
  tracer.mix(node, weight, 1 - outputAxis, 1, tracer.channels(input, 1, node));
  tracer.make(node, tracer.sets.fresh(tracer.dims(weight)[outputAxis]), { weight, axis: outputAxis, bias });
};

const matmul: ChannelRule = (tracer, node) => {
  const [input, weight] = node.inputs;
  const isLayer = tracer.parameter(weight) !== undefined && tracer.dims(weight).length === 2;
  if (!isLayer || tracer.parameter(input) !== undefined) {
    tracer.refuse(node, "multiplies two computed tensors, or a stored one from the left");
    return;
  }
  const rank = tracer.dims(input).length;
  tracer.mix(node, weight, 0, rank - 1, tracer.channels(input, rank - 1, node));
  const outputs = tracer.sets.fresh(tracer.dims(weight)[1]);
  tracer.label(weight, 1, outputs);
  tracer.carry(node, weight, 1, "weight");
  tracer.set(node.outputs[0], tracer.layout(input).with(-1, outputs));
};

const normalisation: ChannelRule = (tracer, node) => {
  const [input, ...parameters] = node.inputs;
  if (getInt(node, "training_mode", 0) !== 0 || !isStored(tracer, node)) {
    tracer.refuse(node, "is in training mode or has computed parameters");
    return;
  }
  const labels = tracer.channels(input, 1, node);
  for (const parameter of parameters) tracer.label(parameter, 0, labels);
  tracer.carry(node, parameters[0], 0, "scale");
  tracer.carry(node, parameters[1], 0, "offset");
  tracer.set(node.outputs[0], channelsFirst(tracer, node, labels));
};

const pooling: ChannelRule = (tracer, node) => {
  tracer.refuse(node, "slides over them", isAxis(0, 1));
  if ((node.outputs.at(1) ?? "") !== "") tracer.refuse(node, "gives indices that depend on all of them");
  tracer.set(node.outputs[0], tracer.layout(node.inputs[0]));
};

const concat: ChannelRule = (tracer, node) => {
  const [output] = node.outputs;
  const layouts = node.inputs.map((input) => tracer.layout(input));
  const dims = tracer.dims(output);
  const joined = normalizeAxis(node, getInt(node, "axis", 0), dims.length);
  const layout = dims.map((_, axis) => {
    const meeting = layouts.find((one) => one[axis] !== undefined)?.[axis];
    if (meeting === undefined) return undefined;
    const parts = node.inputs.map((input, i) => {
      const labels = layouts[i][axis];
      if (labels !== undefined || axis === joined) return labels ?? tracer.channels(input, axis, node);
      if (tracer.parameter(input) !== undefined) tracer.label(input, axis, meeting);
      else tracer.freeze(node, meeting, `joins them with "${input}", whose channels can't be followed`);
      return meeting;
    });
    if (axis === joined) return Int32Array.from(parts.flatMap((labels) => [...labels]));
    for (const labels of parts) tracer.join(meeting, labels);
    return meeting;
  });
  tracer.set(output, layout);
};

const split: ChannelRule = (tracer, node) => {
  const layout = tracer.layout(node.inputs[0]);
  const axis = normalizeAxis(node, getInt(node, "axis", 0), layout.length);
  let start = 0;
  for (const output of node.outputs) {
    const end = start + tracer.dims(output)[axis];
    tracer.set(output, layout.with(axis, layout[axis]?.subarray(start, end)));
    start = end;
  }
};

const slice: ChannelRule = (tracer, node) => {
  const [input] = node.inputs;
  const dims = tracer.dims(input);
  const values = [1, 2, 3, 4].map((i) => tracer.numbers(node, i));
  if (values[0] === undefined || values[1] === undefined) {
    tracer.refuse(node, "cuts at places that are computed");
    return;
  }
  const layout = [...tracer.layout(input)];
  for (const { axis, start, end, step } of slicesOf(node, dims.length, values)) {
    const labels = layout[axis];
    if (labels === undefined) continue;
    const { first, count } = sliceRange(dims[axis], start, end, step);
    if (step === 1) layout[axis] = labels.subarray(first, first + count);
    else tracer.freeze(node, labels, "takes them in steps");
  }
  tracer.set(node.outputs[0], layout);
};

const resize: ChannelRule = (tracer, node) => {
  const layout = tracer.layout(node.inputs[0]);
  const axes = normalizeAxes(node, getInts(node, "axes") ?? [...layout.keys()], layout.length);
  tracer.refuse({ ...node, inputs: node.inputs.slice(0, 1) }, "resizes them", (axis) => !axes.includes(axis));
  tracer.set(node.outputs[0], layout);
};

const pad: ChannelRule = (tracer, node) => {
  const [input] = node.inputs;
  const pads = tracer.numbers(node, 1);
  const layout = tracer.layout(input);
  if (pads === undefined) {
    tracer.refuse(node, "pads by numbers that are computed");
    return;
  }
  const { begin, end } = padsOf(node, layout.length, pads, tracer.numbers(node, 3));
  tracer.refuse({ ...node, inputs: [input] }, "pads them", (axis) => begin[axis] === 0 && end[axis] === 0);
  tracer.set(node.outputs[0], layout);
};

/** Flatten, Reshape, Squeeze, Unsqueeze: axes may be merged (each channel then owns several indices), not split. */
const reshaping: ChannelRule = (tracer, node) => {
  const [input] = node.inputs;
  const [output] = node.outputs;
  const from = tracer.layout(input);
  const to: (Int32Array | undefined)[] = tracer.dims(output).map(() => undefined);
  const moves = axisMoves(tracer.dims(input), tracer.dims(output)).filter(
    (move) => from[move.from] !== undefined,
  );
  const clash = (move: { from: number; to: number }): boolean =>
    moves.some((other) => other.from !== move.from && other.to === move.to);
  const followed = moves.filter((move) => !clash(move));
  for (const move of followed) {
    const labels = from[move.from];
    if (labels !== undefined) to[move.to] = move.indices.map((index) => labels[index]);
  }
  tracer.refuse({ ...node, inputs: [input] }, "splits them up or mixes them with others", (axis) =>
    followed.some((move) => move.from === axis),
  );
  tracer.set(output, to);
};

const transpose: ChannelRule = (tracer, node) => {
  const layout = tracer.layout(node.inputs[0]);
  const perm = getInts(node, "perm") ?? layout.map((_, axis) => layout.length - 1 - axis);
  tracer.set(
    node.outputs[0],
    perm.map((axis) => layout[axis]),
  );
};

const reduction: ChannelRule = (tracer, node) => {
  const [input] = node.inputs;
  const layout = tracer.layout(input);
  const given = tracer.numbers(node, 1);
  const isAll = given === undefined || given.length === 0;
  const every = layout.map((_, axis) => axis);
  const axes = isAll ? every : normalizeAxes(node, given, layout.length);
  if (isAll && getInt(node, "noop_with_empty_axes", 0) !== 0) {
    tracer.set(node.outputs[0], layout);
    return;
  }
  tracer.refuse({ ...node, inputs: [input] }, "reduces over them", (axis) => !axes.includes(axis));
  const left = layout.map((labels, axis) => (axes.includes(axis) ? undefined : labels));
  const isKept = getInt(node, "keepdims", 1) !== 0;
  tracer.set(node.outputs[0], isKept ? left : left.filter((_, axis) => !axes.includes(axis)));
};

/** Softmax and its kin: along one axis, or from one axis on, every element depends on all others. */
const normalising =
  (fallback: number, isFrom: boolean): ChannelRule =>
  (tracer, node) => {
    const layout = tracer.layout(node.inputs[0]);
    const axis = normalizeAxis(node, getInt(node, "axis", fallback), layout.length);
    tracer.refuse(node, "normalises over them", (one) => (isFrom ? one < axis : one !== axis));
    tracer.set(node.outputs[0], layout);
  };

const gather: ChannelRule = (tracer, node) => {
  const [data, indices] = node.inputs;
  const layout = tracer.layout(data);
  const axis = normalizeAxis(node, getInt(node, "axis", 0), layout.length);
  tracer.refuse(node, "picks some of them by index", (one) => one !== axis);
  const picked: undefined[] = tracer.dims(indices).map(() => undefined);
  tracer.set(node.outputs[0], layout.toSpliced(axis, 1, ...picked));
};

export const CHANNEL_RULES: Readonly<Record<string, ChannelRule>> = {
  ...Object.fromEntries(
    (
      "Abs Cast Celu Ceil Clip Dropout Elu Erf Exp Floor Gelu HardSigmoid HardSwish Identity LeakyRelu Log Mish Neg " +
      "Not Reciprocal Relu Round Selu Shrink Sigmoid Sign Softplus Softsign Sqrt Tanh ThresholdedRelu"
    )
      .split(" ")
      .map((op) => [op, elementwise]),
  ),
  ...Object.fromEntries(
    "Add And Div Equal Greater GreaterOrEqual Less LessOrEqual Max Min Mul Or PRelu Pow Sub Sum Where"
      .split(" ")
      .map((op) => [op, broadcasting]),
  ),
  ...Object.fromEntries(
    "AveragePool GlobalAveragePool GlobalMaxPool LpPool GlobalLpPool MaxPool"
      .split(" ")
      .map((op) => [op, pooling]),
  ),
  ...Object.fromEntries(
    "ReduceL1 ReduceL2 ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare"
      .split(" ")
      .map((op) => [op, reduction]),
  ),
  ...Object.fromEntries("Flatten Reshape Squeeze Unsqueeze".split(" ").map((op) => [op, reshaping])),
  BatchNormalization: normalisation,
  Concat: concat,
  Conv: convolution,
  ConvTranspose: transposedConvolution,
  Gather: gather,
  Gemm: gemm,
  LayerNormalization: normalising(-1, true),
  LogSoftmax: normalising(-1, false),
  MatMul: matmul,
  Pad: pad,
  Resize: resize,
  Slice: slice,
  Softmax: normalising(-1, false),
  Split: split,
  Transpose: transpose,
};
