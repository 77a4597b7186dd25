/**
 * Takes batch normalisation, bias, residual sum and clamping into the convolution or fully connected layer before them, so that a
 * layer is one pass over memory.
 */

import { constantOf, numberOf, numbersOf, refuse } from "./node.js";
import { type Constant, type Dims, type Graph, type Node, sizeOf } from "./types.js";

/** A node with what was taken into it. */
export interface Fused {
  readonly node: Node;
  /** The value that it makes in the end. */
  output: string;
  /** output = clamp(scale * (what the node computes) + shift + residual); a number for each channel, if there are any. */
  scale: Float64Array | undefined;
  shift: Float64Array | undefined;
  /** The value that is added. */
  residual: string | undefined;
  least: number;
  most: number;
  /** Names of the nodes that were taken in. */
  readonly taken: string[];
}

const LAYERS = new Set(["Conv", "Gemm", "MatMul"]);
/** Operators with a clamp in their kernels. */
const CLAMPED = new Set([
  ...LAYERS,
  "Add",
  "Sub",
  "Mul",
  "Div",
  "BatchNormalization",
  "MaxPool",
  "AveragePool",
  "GlobalMaxPool",
]);

export function fuse(graph: Graph, shapes: ReadonlyMap<string, Dims>): Fused[] {
  const reads = new Map<string, number>();
  for (const name of [
    ...graph.outputs.map((output) => output.name),
    ...graph.nodes.flatMap(({ inputs }) => inputs),
  ]) {
    reads.set(name, (reads.get(name) ?? 0) + 1);
  }
  const fused: Fused[] = [];
  /** Where in `fused` a value is made. */
  const makers = new Map<string, number>();
  for (const node of graph.nodes) {
    if (!takeIn(node)) {
      makers.set(node.outputs[0], fused.length);
      fused.push({
        node,
        output: node.outputs[0],
        scale: undefined,
        shift: undefined,
        residual: undefined,
        least: -Infinity,
        most: Infinity,
        taken: [],
      });
    }
  }
  return fused;

  /** The maker of a value that nothing else reads, if it has no clamp yet. */
  function openMaker(value: string): Fused | undefined {
    const at = makers.get(value);
    const maker = at === undefined ? undefined : fused[at];
    const isOpen = reads.get(value) === 1 && maker?.least === -Infinity && maker.most === Infinity;
    return isOpen ? maker : undefined;
  }

  function takeIn(node: Node): boolean {
    const [input] = node.inputs;
    switch (node.op) {
      case "BatchNormalization":
        return affine(node, input, () => normalization(graph, node));
      case "Relu":
      case "Clip":
        return clamp(node, openMaker(input));
      case "Add":
        return add(node);
      default:
        return false;
    }
  }

  function finish(maker: Fused, node: Node): true {
    const at = makers.get(maker.output) ?? 0;
    maker.output = node.outputs[0];
    maker.taken.push(node.name);
    makers.set(maker.output, at);
    return true;
  }

  /** Takes scale * value + shift into the layer before. */
  function affine(
    node: Node,
    input: string,
    terms: () => { scale: Float64Array; shift: Float64Array },
  ): boolean {
    const maker = openMaker(input);
    if (maker === undefined || !LAYERS.has(maker.node.op) || maker.residual !== undefined) return false;
    const { scale, shift } = terms();
    if (scale.length !== shapes.get(input)?.[1]) return false;
    const before = maker.shift;
    maker.scale = scale.map((value, i) => value * (maker.scale?.[i] ?? 1));
    maker.shift = shift.map((value, i) => value + scale[i] * (before?.[i] ?? 0));
    return finish(maker, node);
  }

  function clamp(node: Node, maker: Fused | undefined): boolean {
    if (maker === undefined || !CLAMPED.has(maker.node.op)) return false;
    [maker.least, maker.most] = limitsOf(graph, node);
    return finish(maker, node);
  }

  /** Takes an addition into the later one of the layers whose results are added. */
  function add(node: Node): boolean {
    const dims = shapes.get(node.outputs[0]) ?? [];
    for (const [i, value] of node.inputs.entries()) {
      const constant = graph.constants.get(node.inputs[1 - i]);
      if (constant !== undefined && isPerChannel(constant, dims)) {
        const values = Float64Array.from(constant.data ?? []);
        const shift =
          dims.length > 1 && values.length === 1 ? new Float64Array(dims[1]).fill(values[0]) : values;
        return affine(node, value, () => ({ scale: new Float64Array(shift.length).fill(1), shift }));
      }
    }
    const candidates = node.inputs
      .map((value, i) => ({ value, other: node.inputs[1 - i], at: makers.get(value) ?? -1 }))
      .sort((a, b) => b.at - a.at);
    for (const { value, other, at } of candidates) {
      const maker = openMaker(value);
      const isEarlier = (makers.get(other) ?? -1) < at && !graph.constants.has(other);
      if (maker === undefined || !isEarlier || !LAYERS.has(maker.node.op) || maker.residual !== undefined)
        continue;
      if (String(shapes.get(other)) !== String(shapes.get(value))) continue;
      maker.residual = other;
      return finish(maker, node);
    }
    return false;
  }
}

/** Whether a constant has a number for each channel of a value [1, channels, ...], or one for all. */
export function isPerChannel({ dims, data }: Constant, [, channels, ...rest]: Dims): boolean {
  if (data === undefined) return false;
  if (sizeOf(dims) === 1) return true;
  const lined = dims.length === rest.length + 2 ? dims.slice(1) : dims;
  return lined.length === rest.length + 1 && lined[0] === channels && sizeOf(dims) === channels;
}

/** y = scale (x - mean) / sqrt(variance + epsilon) + shift as factors and terms of x. */
export function normalization(graph: Graph, node: Node): { scale: Float64Array; shift: Float64Array } {
  if (numberOf(node, "training_mode", 0) !== 0) refuse(node, "it is in training mode");
  const [factor, term, mean, variance] = [1, 2, 3, 4].map(
    (i) => numbersOf(graph, node, i) ?? refuse(node, `input ${i} is left out`),
  );
  if ([term, mean, variance].some(({ length }) => length !== factor.length))
    refuse(node, "its inputs do not fit");
  const epsilon = numberOf(node, "epsilon", 1e-5);
  const scale = Float64Array.from(factor, (value, i) => value / Math.sqrt(variance[i] + epsilon));
  return { scale, shift: scale.map((value, i) => term[i] - value * mean[i]) };
}

/** The limits of Relu or Clip. */
export function limitsOf(graph: Graph, node: Node): [number, number] {
  if (node.op === "Relu") return [0, Infinity];
  const [least, most] = [1, 2].map((i) => constantOf(graph, node, i)?.data?.[0]);
  return [least ?? -Infinity, most ?? Infinity];
}
