/** The sets of layers whose output channels are kept or removed together. */

import { prunableLayers } from "../../layers/layers.js";
import type { PrunableLayer } from "../../layers/types.js";
import type { Graph } from "../../onnx/model.js";
import type { MapCarrier, MapSet, MapSetLayer } from "../types.js";
import { refuseVisible } from "./constants.js";
import type { Trace } from "./trace.js";
import { traceChannels } from "./walk.js";

/**
 * The sets of a graph, in the order of their first layers. Every prunable layer is in exactly one. A layer whose output
 * channels depend on no other layer's is a set of its own; the ends of a residual stage, or a depthwise convolution and
 * the layer before it, are one set, with one mask. In a convolution in groups the channels at the same place of each
 * group are one unit.
 *
 * @param graph in operator set 21; its first input's first dimension is the batch, which may be symbolic.
 * @throws InputError if its shapes can't be inferred.
 * @example
 * mapSets(zoo.lenet5().graph).map(({ name, n, refusal }) => [name, n, refusal]);
 * // [["conv1", 20], ["conv2", 50], ["fc1", 500], ["fc2", 10, "they are the model's outputs"]]
 */
export function mapSets(graph: Graph): MapSet[] {
  const trace = traceChannels(graph);
  refuseVisible(trace);
  return setsOf(trace, prunableLayers(trace.source));
}

function setsOf(trace: Trace, layers: readonly PrunableLayer[]): MapSet[] {
  const sets: { layers: PrunableLayer[]; roots: Set<number> }[] = [];
  for (const layer of layers) {
    const roots = new Set(rootsOf(trace, layer));
    const joined = sets.filter((set) => [...roots].some((root) => set.roots.has(root)));
    if (joined.length === 0) {
      sets.push({ layers: [layer], roots });
      continue;
    }
    const [first, ...rest] = joined;
    first.layers.push(...rest.flatMap((set) => set.layers), layer);
    for (const set of [...rest, { roots }]) for (const root of set.roots) first.roots.add(root);
    for (const set of rest) sets.splice(sets.indexOf(set), 1);
  }
  const position = new Map(layers.map((layer, i) => [layer, i]));
  const order = (layer: PrunableLayer): number => position.get(layer) ?? 0;
  for (const set of sets) set.layers.sort((a, b) => order(a) - order(b));
  return sets.map((set) => setOf(trace, set.layers));
}

/** The set of each of the layer's output channels; none if the layer can't be followed. */
function rootsOf(trace: Trace, { weight, transposed }: PrunableLayer): number[] {
  const labels = trace.layouts.get(weight)?.[transposed ? 1 : 0];
  return labels === undefined ? [] : Array.from(labels, (label) => trace.sets.find(label));
}

function setOf(trace: Trace, layers: readonly PrunableLayer[]): MapSet {
  const unitOf = new Map<number, number>();
  for (const layer of layers) {
    for (const root of rootsOf(trace, layer)) if (!unitOf.has(root)) unitOf.set(root, unitOf.size);
  }
  const n = unitOf.size;
  const members = layers.map((layer) => ({
    layer,
    units: Int32Array.from(rootsOf(trace, layer), (root) => unitOf.get(root) ?? -1),
  }));
  const refusal = refusalOf(trace, [...unitOf.keys()], members);
  return {
    name: layers[0].name,
    layers: members,
    n,
    carriers: carriersOf(trace, unitOf),
    ...(refusal === undefined ? {} : { refusal }),
  };
}

function refusalOf(
  trace: Trace,
  roots: readonly number[],
  members: readonly MapSetLayer[],
): string | undefined {
  if (roots.length === 0) return "they can't be followed through the nodes that use the layer's weight";
  for (const root of roots) {
    const reason = trace.sets.reason(root);
    if (reason !== undefined) return reason;
  }
  const uneven = members.find(({ units }) => {
    const counts = new Int32Array(roots.length);
    for (const unit of units) counts[unit]++;
    return counts.some((count) => count !== units.length / roots.length);
  });
  if (uneven === undefined) return undefined;
  return `layer "${uneven.layer.name}" has only a part of the channels that belong together`;
}

function carriersOf(trace: Trace, unitOf: ReadonlyMap<number, number>): MapCarrier[] {
  const carriers = new Map<string, MapCarrier>();
  const read = new Map<string, boolean>();
  for (const { node, parameter, axis } of trace.carriers) {
    const labels = trace.layouts.get(parameter)?.[axis];
    if (labels === undefined) continue;
    const units = labels.map((label) => unitOf.get(trace.sets.find(label)) ?? -1);
    if (units.every((unit) => unit < 0)) continue;
    const trained = isRead(trace, node.outputs[0], read);
    const key = `${parameter}:${axis}`;
    carriers.set(key, { parameter, axis, units, trained: trained || carriers.get(key)?.trained === true });
  }
  return [...carriers.values()];
}

/**
 * Whether a layer reads the channels of a value before a later node of the set has put its mask on them.
 *
 * @param seen answers so far, by value.
 */
function isRead(trace: Trace, value: string, seen: Map<string, boolean>): boolean {
  const known = seen.get(value);
  if (known !== undefined) return known;
  seen.set(value, false);
  const result =
    trace.graph.outputs.some(({ name }) => name === value) ||
    trace.graph.nodes.some((reader) => {
      if (!reader.inputs.includes(value)) return false;
      if (trace.mixers.some(({ node }) => node === reader)) return true;
      if (trace.carriers.some(({ node, role }) => node === reader && role !== "offset")) return false;
      return reader.outputs.some((output) => output !== "" && isRead(trace, output, seen));
    });
  seen.set(value, result);
  return result;
}
