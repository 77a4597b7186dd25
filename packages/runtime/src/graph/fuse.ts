/**
 * Takes batch normalisation, bias, residual sum and clamping into the convolution or fully connected layer before them, so that a
 * layer is one pass over memory.
 */

import { constantOf, numberOf, numbersOf, refuse } from "./node.js";
import type { Op } from "./operators.js";
import { type Constant, type Dims, type Graph, type Node, sizeOf } from "./types.js";

/** A node with what was taken into it. */
export interface Fused<O extends Op = Op> {
  readonly node: Node<O>;
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

/** Operators with a clamp in their kernels, besides layers. */
const CLAMPED: ReadonlySet<Op> = new Set<Op>([
  "Add",
  "Sub",
  "Mul",
  "Div",
  "BatchNormalization",
  "MaxPool",
  "AveragePool",
  "GlobalMaxPool",
]);

export function fuse(graph: Graph<Op>, shapes: ReadonlyMap<string, Dims>): Fused[] {
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

  /** A convolution, or a product by a constant matrix. */
  function isLayer({ op, inputs }: Node): boolean {
    return (
      op === "Conv" || op === "Gemm" || (op === "MatMul" && graph.constants.get(inputs[1])?.dims.length === 2)
    );
  }

  /** The axis of a layer's outputs. */
  function channelAxis({ node, output }: Fused): number {
    return node.op === "MatMul" ? (shapes.get(output)?.length ?? 2) - 1 : 1;
  }

  function takeIn(node: Node<Op>): boolean {
    const [input] = node.inputs;
    if (node.op === "BatchNormalization") return affine(node, input, 1, () => normalization(graph, node));
    if (node.op === "Relu" || node.op === "Clip") return clamp(node, openMaker(input));
    return node.op === "Add" && add(node);
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
    axis: number,
    terms: () => { scale: Float64Array; shift: Float64Array },
  ): boolean {
    const maker = openMaker(input);
    if (maker === undefined || !isLayer(maker.node) || maker.residual !== undefined) return false;
    const { scale, shift } = terms();
    if (axis !== channelAxis(maker) || scale.length !== shapes.get(input)?.[axis]) return false;
    const before = maker.shift;
    maker.scale = scale.map((value, i) => value * (maker.scale?.[i] ?? 1));
    maker.shift = shift.map((value, i) => value + scale[i] * (before?.[i] ?? 0));
    return finish(maker, node);
  }

  function clamp(node: Node, maker: Fused | undefined): boolean {
    if (maker === undefined || !(CLAMPED.has(maker.node.op) || isLayer(maker.node))) return false;
    [maker.least, maker.most] = limitsOf(node, graph);
    return finish(maker, node);
  }

  /** Takes an addition into the later one of the layers whose results are added. */
  function add(node: Node): boolean {
    const dims = shapes.get(node.outputs[0]) ?? [];
    for (const [i, value] of node.inputs.entries()) {
      const constant = graph.constants.get(node.inputs[1 - i]);
      const maker = openMaker(value);
      const isSame = maker !== undefined && String(shapes.get(value)) === String(dims);
      const axis = isSame ? channelAxis(maker) : 1;
      if (constant !== undefined && isSame && isPerChannel(constant, dims, axis)) {
        const values = Float64Array.from(constant.data ?? []);
        const shift = values.length === 1 ? new Float64Array(dims[axis]).fill(values[0]) : values;
        return affine(node, value, axis, () => ({ scale: new Float64Array(shift.length).fill(1), shift }));
      }
    }
    const candidates = node.inputs
      .map((value, i) => ({ value, other: node.inputs[1 - i], at: makers.get(value) ?? -1 }))
      .sort((a, b) => b.at - a.at);
    for (const { value, other, at } of candidates) {
      const maker = openMaker(value);
      const isEarlier = (makers.get(other) ?? -1) < at && !graph.constants.has(other);
      if (maker === undefined || !isEarlier || !isLayer(maker.node) || maker.residual !== undefined) continue;
      // Such a layer's results lie otherwise until they are complete.
      if (channelAxis(maker) !== 1) continue;
      if (String(shapes.get(other)) !== String(shapes.get(value))) continue;
      maker.residual = other;
      return finish(maker, node);
    }
    return false;
  }
}

/** Whether a constant has a number for each place along an axis of a value, or one for all. */
export function isPerChannel({ dims, data }: Constant, goal: Dims, axis = 1): boolean {
  if (data === undefined) return false;
  if (sizeOf(dims) === 1) return true;
  const isEach = sizeOf(dims) === goal[axis] && dims.at(axis - goal.length) === goal[axis];
  return isEach && dims.length <= goal.length;
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
export function limitsOf(node: Node, graph: Graph): [number, number] {
  if (node.op === "Relu") return [0, Infinity];
  const [least, most] = [1, 2].map((i) => constantOf(graph, node, i)?.data?.[0]);
  return [least ?? -Infinity, most ?? Infinity];
}
