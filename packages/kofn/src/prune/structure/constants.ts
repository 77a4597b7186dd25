/**
 * Which channels have one value everywhere, whatever the input: those of a convolution without weights left, say.
 *
 * They can be removed where they are 0 when other layers read them, or where their share can be moved into a bias.
 */

import { evaluateNode } from "../../onnx/evaluate/node.js";
import { describeNode } from "../../onnx/infer/support.js";
import { padsOf, sliceRange, slicesOf } from "../../onnx/infer/movement.js";
import { normalizeAxis } from "../../onnx/infer/support.js";
import { getFloat, getInt, type Node } from "../../onnx/model.js";
import { isKnown } from "../../onnx/ops.js";
import { type Tensor, tensor } from "../../onnx/tensor.js";
import { axisMoves } from "./channels.js";
import type { Mixer, Trace } from "./trace.js";
import { inputIndex, tapSum, weightTable } from "./weights.js";

/** The value of each channel along the axis that carries them, NaN where it varies. By the name of the tensor. */
export type Constants = ReadonlyMap<string, Float64Array>;

/** What constants become where activations are quantized, by the name of the tensor. */
export interface Roundings {
  /** For all that reads the tensor. */
  readonly made: ReadonlyMap<string, (value: number) => number>;
  /** For the layers that read it. */
  readonly read: ReadonlyMap<string, (value: number) => number>;
}

/** What a rule sees. */
interface Context {
  readonly trace: Trace;
  readonly node: Node;
  /** The constants of an input; undefined if none of its channels is constant. */
  readonly of: (input: number) => Float64Array | undefined;
  /** The constants of the first input as a layer reads them. */
  readonly read: Float64Array | undefined;
  /** The value of a stored vector along the channels of the node's output. */
  readonly parameter: (input: number) => Float32Array | undefined;
  /** Whether a channel's mask is 0 on all that carries it, by the channel's label. */
  readonly isMasked: ((label: number) => boolean) | undefined;
  /** Labels of the output's channels. */
  readonly labels: Int32Array;
}

type ConstantRule = (context: Context) => Float64Array | undefined;

/** The axis that carries a tensor's channels, if there is exactly one. */
export function channelAxis(trace: Trace, value: string): number | undefined {
  const layout = trace.layouts.get(trace.parameter(value)?.name ?? value) ?? [];
  const axes = layout.flatMap((labels, axis) => (labels === undefined ? [] : [axis]));
  return axes.length === 1 ? axes[0] : undefined;
}

/**
 * The constants of all tensors that carry channels.
 *
 * @param isMasked in place of the weights' values: which channels have a mask of 0 on all that carries them. All other
 * channels then count as varying.
 * @param roundings of quantized activations. Default: none are.
 */
export function channelConstants(
  trace: Trace,
  isMasked?: (label: number) => boolean,
  roundings?: Roundings,
): Constants {
  const constants = new Map<string, Float64Array>();
  for (const node of trace.graph.nodes) {
    for (const output of node.outputs) {
      const axis = output === "" ? undefined : channelAxis(trace, output);
      const labels = axis === undefined ? undefined : trace.layouts.get(output)?.[axis];
      if (labels === undefined) continue;
      const [input = ""] = node.inputs;
      const context: Context = {
        trace,
        node: { ...node, outputs: [output, ...node.outputs.filter((other) => other !== output)] },
        of: (at) => constants.get(node.inputs.at(at) ?? ""),
        read: readConstants(constants, input, roundings),
        parameter: (at) => {
          const stored = trace.parameter(node.inputs.at(at) ?? "")?.tensor;
          return stored?.dtype === "float32" ? (stored as Tensor<"float32">).array() : undefined;
        },
        isMasked,
        labels,
      };
      const values = Object.hasOwn(RULES, node.op) ? RULES[node.op](context) : undefined;
      if (values?.some((value) => !Number.isNaN(value)) !== true) continue;
      const round = roundings?.made.get(output);
      constants.set(output, round === undefined ? values : values.map(round));
    }
  }
  return constants;
}

/** The constants of a tensor as the layers that read it see them. */
export function readConstants(
  constants: Constants,
  name: string,
  roundings: Roundings | undefined,
): Float64Array | undefined {
  const [values, round] = [constants.get(name), roundings?.read.get(name)];
  return round === undefined ? values : values?.map(round);
}

/** Whether the share of a constant channel can be added to the bias of the node that reads it. */
export function takesConstants(trace: Trace, { node }: Mixer): boolean {
  if (node.op !== "Conv" && node.op !== "Gemm") return false;
  const table = weightTable(trace, node);
  if (table?.isEven !== true || (node.op === "Gemm" && getFloat(node, "beta", 1) !== 1)) return false;
  const name = node.inputs.at(2) ?? "";
  const bias = trace.parameter(name)?.tensor;
  return name === "" || (bias?.dtype === "float32" && bias.size === table.outputs);
}

/** Freezes the channels that would not be 0 to the layers that read them, were they masked. */
export function refuseVisible(trace: Trace): void {
  const isMasked = (label: number): boolean => trace.sets.reason(label) === undefined;
  const constants = channelConstants(trace, isMasked);
  for (const mixer of trace.mixers) {
    const [input] = mixer.node.inputs;
    const labels = trace.layouts.get(input)?.[mixer.inputAxis];
    if (labels === undefined) continue;
    const values = constants.get(input);
    const takes = takesConstants(trace, mixer);
    const refused = labels.filter((label, i) => {
      const value = values?.[i] ?? NaN;
      return isMasked(label) && value !== 0 && !(takes && Number.isFinite(value));
    });
    if (refused.length === 0) continue;
    const at = labels.indexOf(refused[0]);
    const maker = makerOf(trace, constants, input, trace.sets.find(refused[0]));
    trace.sets.freeze(
      refused,
      `${maker === undefined ? `"${input}"` : describeNode(maker)} gives ${describeValue(values?.[at])} for a channel that is 0, and ${describeNode(mixer.node)} reads it`,
    );
  }
}

function describeValue(value: number | undefined): string {
  return value === undefined || Number.isNaN(value) ? "no constant" : String(Number(value.toPrecision(6)));
}

/** The first node on the way to a value that does not give 0 for a channel's set, though all its inputs are 0. */
function makerOf(trace: Trace, constants: Constants, value: string, root: number): Node | undefined {
  const node = trace.graph.nodes.find(({ outputs }) => outputs.includes(value));
  const before = node?.inputs.find((input) => {
    const axis = channelAxis(trace, input);
    const labels = axis === undefined ? undefined : trace.layouts.get(input)?.[axis];
    return (
      labels?.some((label, i) => trace.sets.find(label) === root && constants.get(input)?.[i] !== 0) === true
    );
  });
  return before === undefined ? node : makerOf(trace, constants, before, root);
}

/** y = f(x, parameters): computed by the reference evaluator for one element of each channel. */
const elementwise: ConstantRule = ({ trace, node, of, isMasked, labels }) => {
  if (!isKnown(node)) return undefined;
  const [output] = node.outputs;
  const rank = trace.dims(output).length;
  const axis = channelAxis(trace, output) ?? 0;
  const varies = new Uint8Array(labels.length);
  const isZero = new Uint8Array(labels.length);
  const inputs: (Tensor | undefined)[] = [];
  for (const [i, input] of node.inputs.entries()) {
    if (input === "") {
      inputs.push(undefined);
      continue;
    }
    const stored = trace.parameter(input)?.tensor ?? trace.graph.initializers.get(input);
    if (stored !== undefined) {
      inputs.push(maskedOffset(stored, input));
      continue;
    }
    const values = of(i);
    const isSpread = trace.dims(input).at(axis - rank) !== labels.length;
    if (values === undefined || isSpread) varies.fill(1);
    const used = isSpread ? undefined : values;
    used?.forEach((value, j) => {
      if (Number.isNaN(value)) varies[j] = 1;
      if (value === 0) isZero[j] = 1;
    });
    const dims = Array.from({ length: rank }, (_, at) => (at === axis ? labels.length : 1));
    inputs.push(
      tensor("float32", dims, used === undefined ? new Float32Array(labels.length) : Float32Array.from(used)),
    );
  }
  const [result] = evaluateNode({ ...node, outputs: [output] }, inputs);
  if (result.dtype !== "float32" || result.size !== labels.length) return undefined;
  return Float64Array.from((result as Tensor<"float32">).array(), (value, i) => {
    if (node.op === "Mul" && isZero[i] === 1) return 0;
    return varies[i] === 1 ? NaN : value;
  });

  /** A stored operand; what it adds to masked channels is masked as well. */
  function maskedOffset(stored: Tensor, input: string): Tensor {
    const isOffset = trace.carriers.some(
      (carrier) => carrier.node.outputs[0] === output && carrier.role === "offset",
    );
    if (isMasked === undefined || !isOffset || stored.dtype !== "float32") return stored;
    const at = channelAxis(trace, input);
    const own = at === undefined ? undefined : trace.layouts.get(trace.parameter(input)?.name ?? input)?.[at];
    if (own === undefined || at === undefined) return stored;
    const inner = stored.dims.slice(at + 1).reduce((size, dim) => size * dim, 1);
    const values = (stored as Tensor<"float32">)
      .array()
      .map((value, i) => (isMasked(own[Math.floor(i / inner) % own.length]) ? 0 : value));
    return tensor("float32", stored.dims, values);
  }
};

/** Convolutions and products with a stored weight: constant where all that reaches an output is, through weights that are not 0. */
const producer: ConstantRule = ({ trace, node, read: inputs, parameter, isMasked, labels }) => {
  if (isMasked !== undefined) return Float64Array.from(labels, (label) => (isMasked(label) ? 0 : NaN));
  const table = weightTable(trace, node);
  if (table === undefined) return undefined;
  const bias = node.op === "MatMul" ? undefined : parameter(2);
  const scale = node.op === "Gemm" ? getFloat(node, "beta", 1) : 1;
  if (bias === undefined && node.op !== "MatMul" && (node.inputs.at(2) ?? "") !== "") return undefined;
  return Float64Array.from(labels, (_, output) => {
    let sum = bias === undefined ? 0 : scale * (bias.length === labels.length ? bias[output] : NaN);
    for (let j = 0; j < table.inputs; j++) {
      const value = inputs?.[inputIndex(table, output, j)] ?? NaN;
      if (value === 0) continue;
      const taps = tapSum(table, output, j);
      if (taps === undefined) continue;
      if (Number.isNaN(value) || !table.isEven) return NaN;
      sum += table.factor * taps * value;
    }
    return Math.fround(sum);
  });
};

/** y = scale (x - mean) / sqrt(variance + epsilon) + bias */
const normalisation: ConstantRule = ({ node, of, parameter, isMasked, labels }) => {
  if (isMasked !== undefined) return Float64Array.from(labels, (label) => (isMasked(label) ? 0 : NaN));
  const [scale, bias, mean, variance] = [1, 2, 3, 4].map(parameter);
  if (scale === undefined || bias === undefined || mean === undefined || variance === undefined)
    return undefined;
  const inputs = of(0);
  const epsilon = getFloat(node, "epsilon", 1e-5);
  return Float64Array.from(labels, (_, i) => {
    if (scale[i] === 0) return bias[i];
    const normalised = ((inputs?.[i] ?? NaN) - mean[i]) / Math.sqrt(variance[i] + epsilon);
    return Math.fround(scale[i] * normalised + bias[i]);
  });
};

const same: ConstantRule = ({ of }) => of(0);
/** Only 0 stays constant. */
const onlyZero: ConstantRule = ({ of }) => of(0)?.map((value) => (value === 0 ? 0 : NaN));

const averaging: ConstantRule = (context) => {
  const isBordered = getInt(context.node, "count_include_pad", 0) !== 0;
  return isBordered ? onlyZero(context) : same(context);
};

const padding: ConstantRule = (context) => {
  const { trace, node, of } = context;
  const pads = trace.graph.initializers.get(node.inputs[1])?.numbers() ?? [1];
  const axes = trace.graph.initializers.get(node.inputs.at(3) ?? "")?.numbers();
  const { begin, end } = padsOf(node, trace.dims(node.inputs[0]).length, pads, axes);
  if ([...begin, ...end].every((size) => size === 0)) return of(0);
  const mode = node.attributes.get("mode");
  const isConstant =
    mode === undefined || (mode.kind === "string" && new TextDecoder().decode(mode.value) === "constant");
  if (!isConstant) return of(0);
  const given = node.inputs.at(2) ?? "";
  const value = given === "" ? 0 : trace.graph.initializers.get(given)?.numbers()[0];
  return of(0)?.map((one) => (one === value ? one : NaN));
};

const concat: ConstantRule = ({ trace, node, of, labels }) => {
  const [output] = node.outputs;
  const axis = channelAxis(trace, output);
  const joined = normalizeAxis(node, getInt(node, "axis", 0), trace.dims(output).length);
  const parts = node.inputs.map((input, i) => {
    const size = trace.dims(input)[axis ?? 0];
    return of(i) ?? new Float64Array(size).fill(NaN);
  });
  if (axis === joined) return Float64Array.from(parts.flatMap((part) => [...part]));
  return Float64Array.from(labels, (_, i) =>
    parts.every((part) => part[i] === parts[0][i]) ? parts[0][i] : NaN,
  );
};

const split: ConstantRule = ({ trace, node, of, labels }) => {
  const [input] = node.inputs;
  const [output] = node.outputs;
  const original = trace.graph.nodes.find(({ outputs }) => outputs.includes(output))?.outputs ?? [];
  const axis = channelAxis(trace, input) ?? 0;
  if (axis !== normalizeAxis(node, getInt(node, "axis", 0), trace.dims(input).length)) return of(0);
  const start = original
    .slice(0, original.indexOf(output))
    .reduce((sum, other) => sum + trace.dims(other)[axis], 0);
  return of(0)?.subarray(start, start + labels.length);
};

const slice: ConstantRule = ({ trace, node, of, labels }) => {
  const dims = trace.dims(node.inputs[0]);
  const values = [1, 2, 3, 4].map((i) => trace.graph.initializers.get(node.inputs.at(i) ?? "")?.numbers());
  const axis = channelAxis(trace, node.inputs[0]) ?? 0;
  const cut = slicesOf(node, dims.length, values).find((one) => one.axis === axis);
  const first = cut === undefined ? 0 : sliceRange(dims[axis], cut.start, cut.end, cut.step).first;
  return of(0)?.subarray(first, first + labels.length);
};

const reshaping: ConstantRule = ({ trace, node, of }) => {
  const [input] = node.inputs;
  const [output] = node.outputs;
  const [from, to] = [channelAxis(trace, input), channelAxis(trace, output)];
  const moves = axisMoves(trace.dims(input), trace.dims(output));
  const values = of(0);
  const move = moves.find((one) => one.from === from && one.to === to);
  return values === undefined || move === undefined
    ? undefined
    : Float64Array.from(move.indices, (index) => values[index]);
};

const RULES: Readonly<Record<string, ConstantRule>> = {
  ...Object.fromEntries(
    (
      "Abs Add Celu Ceil Clip Div Elu Erf Exp Floor Gelu HardSigmoid HardSwish LeakyRelu Log Max Min Mish Mul Neg Pow " +
      "PRelu Reciprocal Relu Round Selu Shrink Sigmoid Sign Softplus Softsign Sqrt Sub Sum Tanh ThresholdedRelu"
    )
      .split(" ")
      .map((op) => [op, elementwise]),
  ),
  AveragePool: averaging,
  BatchNormalization: normalisation,
  Concat: concat,
  Conv: producer,
  ConvTranspose: producer,
  Dropout: same,
  Flatten: reshaping,
  Gather: same,
  Gemm: producer,
  GlobalAveragePool: same,
  GlobalMaxPool: same,
  Identity: same,
  MatMul: producer,
  MaxPool: same,
  Pad: padding,
  ReduceMax: same,
  ReduceMean: same,
  ReduceMin: same,
  ReduceSum: onlyZero,
  Reshape: reshaping,
  Resize: same,
  Slice: slice,
  Split: split,
  Squeeze: reshaping,
  Transpose: same,
  Unsqueeze: reshaping,
};
