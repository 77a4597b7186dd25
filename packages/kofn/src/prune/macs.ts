/** Counts the multiply-accumulates of a forward pass: dense, and with the weights that pruning keeps. */

import { InputError } from "../errors.js";
import { inferGraph } from "../onnx/infer.js";
import { getInt, type Graph, type Node, type ValueType } from "../onnx/model.js";
import { sizeOf, type Tensor } from "../onnx/tensor.js";
import { keptWeights, membersOf } from "./units.js";
import { prunableLayers } from "../layers/layers.js";
import type { Remains } from "./structure/remove.js";
import type { PrunedLayer } from "./types.js";

export interface LayerMacs {
  readonly layer: string;
  readonly macs: number;
  readonly macsKept: number;
}

export interface Macs {
  /** The prunable layers, in the order of the graph. */
  readonly layers: readonly LayerMacs[];
  /** All of the graph, products of two computed values included. */
  readonly macs: number;
  readonly macsKept: number;
}

/**
 * Multiply-accumulates for one sample: those of every Conv, Gemm and MatMul, padding counted as if it were data, additions of
 * biases not counted. A removed weight saves its own; what a removed map saves in the layers after it counts if `remains` is
 * given.
 *
 * @param graph its first input's first dimension is the batch, which may be symbolic.
 * @param pruned the pruned layers of this graph; the others count as dense.
 * @param remains what is left of the graph without its removed maps (`removeMaps`).
 * @throws InputError if a shape depends on a symbolic dimension other than the batch.
 * @example
 * countMacs(lenet5.graph).macs; // 2293000
 */
export function countMacs(graph: Graph, pruned: readonly PrunedLayer[] = [], remains?: Remains): Macs {
  const { total: macs, byWeight } = denseMacs(graph);
  const left = remains === undefined ? undefined : denseMacs(remains.model.graph);
  const rules = new Map(pruned.flatMap(membersOf).map((layer) => [layer.weight, layer]));
  const prunable = prunableLayers(graph);
  const layers = prunable.map(({ name, weight, dims }) => {
    const dense = byWeight.get(weight) ?? 0;
    const rule = rules.get(weight);
    const kept = rule === undefined ? 1 : keptWeights(rule) / sizeOf(dims);
    const macsKept =
      left === undefined
        ? dense * kept
        : (left.byWeight.get(weight) ?? 0) * keptShare(remains?.masks.get(weight));
    return { layer: name, macs: dense, macsKept };
  });
  const all = left ?? { total: macs, byWeight };
  const saved = prunable.reduce(
    (sum, { weight }, i) => sum + (all.byWeight.get(weight) ?? 0) - layers[i].macsKept,
    0,
  );
  return { layers, macs, macsKept: all.total - saved };
}

/** The share of a mask's weights that are kept. */
function keptShare(mask: Tensor<"uint8"> | undefined): number {
  return mask === undefined ? 1 : mask.array().reduce((sum, bit) => sum + bit, 0) / mask.size;
}

/** Multiply-accumulates of a graph, and of the nodes that use each second input. */
function denseMacs(graph: Graph): { total: number; byWeight: ReadonlyMap<string, number> } {
  const batch = graph.inputs.find(({ name }) => !graph.initializers.has(name))?.type?.shape?.[0];
  const samples = typeof batch === "number" ? batch : 1;
  const types = inferGraph(forOneSample(graph));
  const byWeight = new Map<string, number>();
  let total = 0;
  for (const node of graph.nodes) {
    const count = macsOf(node, types) / samples;
    total += count;
    byWeight.set(node.inputs[1], (byWeight.get(node.inputs[1]) ?? 0) + count);
  }
  return { total, byWeight };
}

/** The graph with a batch of 1 where the batch is not a number. */
function forOneSample(graph: Graph): Graph {
  const inputs = graph.inputs.map(({ name, type }) => {
    const shape = type?.shape?.map((dim, axis) => (axis === 0 && typeof dim !== "number" ? 1 : dim));
    return { name, type: type === undefined ? undefined : { dtype: type.dtype, shape } };
  });
  return { ...graph, inputs, valueTypes: new Map() };
}

function macsOf(node: Node, types: ReadonlyMap<string, ValueType>): number {
  if (node.domain !== "") return 0;
  const dims = (value: string): number[] => numericDims(node, value, types);
  const [left, right] = node.inputs;
  const [output] = node.outputs;
  switch (node.op) {
    case "Conv":
      return sizeOf(dims(output)) * sizeOf(dims(right).slice(1));
    case "Gemm":
      return sizeOf(dims(output)) * dims(left)[getInt(node, "transA", 0) === 0 ? 1 : 0];
    case "MatMul":
      return sizeOf(dims(output)) * (dims(left).at(-1) ?? 1);
    default:
      return 0;
  }
}

function numericDims(node: Node, value: string, types: ReadonlyMap<string, ValueType>): number[] {
  const shape = types.get(value)?.shape;
  const dims = shape?.filter((dim) => typeof dim === "number");
  if (shape !== undefined && dims?.length === shape.length) return dims;
  const found = shape === undefined ? "unknown" : `[${shape.map((dim) => dim ?? "?").join(", ")}]`;
  throw new InputError(
    `node "${node.name}" (${node.op}): counting multiply-accumulates needs the shape of "${value}", which is ${found}. Give the model's inputs fixed sizes; only the first dimension, the batch, may be symbolic.`,
  );
}
