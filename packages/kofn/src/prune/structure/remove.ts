/** Removes channels that make no difference, so that tensors become smaller and the outputs stay the same. */

import { KofnError } from "../../errors.js";
import { inferGraph } from "../../onnx/infer.js";
import { sliceRange, slicesOf } from "../../onnx/infer/movement.js";
import { describeNode, normalizeAxis } from "../../onnx/infer/support.js";
import type { DataType } from "../../onnx/dtype.js";
import { getInt, type Graph, int, type Model, type Node, type ValueType } from "../../onnx/model.js";
import { sizeOf, Tensor, tensorFrom } from "../../onnx/tensor.js";
import { removeDeadCode } from "../../onnx/passes.js";
import {
  channelConstants,
  type Constants,
  readConstants,
  type Roundings,
  takesConstants,
} from "./constants.js";
import type { Trace } from "./trace.js";
import { traceChannels } from "./walk.js";
import { inputIndex, tapSum, type WeightTable, weightTable } from "./weights.js";

/** Whether a channel stays, by its label. */
type IsKept = (label: number) => boolean;

/**
 * Removes every channel that makes no difference to the outputs: one that no layer reads through weights other than 0, or
 * that is constant where layers read it, its share moved into their biases. Tensors shrink accordingly, and so do
 * the layers that then have less to read, until nothing more can be removed. At least one channel stays of each tensor;
 * the model's input and outputs stay as they are.
 *
 * Of a masked model this removes the maps that the masks leave out, and what follows from masks of weights and kernels. The
 * outputs are the same but for rounding.
 *
 * @param model in operator set 21; it is not changed, and tensors that do not shrink are shared with the result.
 * @throws InputError if the model's shapes can't be inferred.
 * @example
 * const small = removeDeadChannels(run.masked);
 * small.graph.initializers.get("conv2.weight")?.dims; // [25, 20, 5, 5]
 */
export function removeDeadChannels(model: Model): Model {
  return removeMaps(model, new Map()).model;
}

/** What is left of a masked model when the channels that make no difference are removed. */
export interface Remains<T extends DataType = "uint8"> {
  readonly model: Model;
  /** The masks of the weights that are left, cut like the weights. */
  readonly masks: ReadonlyMap<string, Tensor<T>>;
}

/**
 * {@link removeDeadChannels} of a masked model, together with its masks.
 *
 * @param masks by the name of the weight and in its shape; or other tensors that go with weights, element by element.
 * @param roundings of activations that are quantized where the model is used, though not in its graph: constants are then moved into
 * biases as they are read. Which channels go does not depend on it.
 * @throws InputError if the model's shapes can't be inferred.
 * @example
 * removeMaps(run.masked, run.masks).masks.get("fc1.weight")?.dims; // [500, 400]
 */
export function removeMaps<T extends DataType = "uint8">(
  model: Model,
  masks: ReadonlyMap<string, Tensor<T>>,
  roundings?: Roundings,
): Remains<T> {
  let { graph } = model;
  const left = new Map<string, Tensor>(masks);
  // Each round takes at least one channel away, so this ends.
  for (;;) {
    const smaller = removeOnce(graph, left, roundings);
    if (smaller === undefined) break;
    graph = smaller;
  }
  for (const name of masks.keys()) if (!graph.initializers.has(name)) left.delete(name);
  return {
    model: graph === model.graph ? model : { ...model, graph },
    masks: left as Map<string, Tensor<T>>,
  };
}

/**
 * The graph without the channels that make no difference in it; undefined if there are none.
 *
 * @param masks tensors that are cut as the parameters of their names.
 */
function removeOnce(
  graph: Graph,
  masks: Map<string, Tensor>,
  roundings: Roundings | undefined,
): Graph | undefined {
  const trace = traceChannels(graph);
  const constants = channelConstants(trace);
  const removed = deadSets(trace, constants);
  if (removed.size === 0) return undefined;
  const isKept = (label: number): boolean => !removed.has(trace.sets.find(label));
  const { source } = trace;
  const smaller: Graph = {
    ...source,
    nodes: source.nodes.map((node) => ({
      ...node,
      inputs: [...node.inputs],
      attributes: new Map(node.attributes),
    })),
    initializers: new Map(source.initializers),
  };
  const rounded = roundings === undefined ? constants : channelConstants(trace, undefined, roundings);
  moveIntoBiases(trace, (name) => readConstants(rounded, name, roundings), isKept, smaller);
  cut(trace, isKept, masks);
  cut(trace, isKept, smaller.initializers);
  for (const node of smaller.nodes) adapt(trace, isKept, smaller, node);
  removeDeadCode(smaller);
  smaller.valueTypes = typesOf(smaller, graph);
  return smaller;
}

/** The sets of channels, by their label in `trace.sets.find`, that can be removed. */
function deadSets(trace: Trace, constants: Constants): Set<number> {
  const dead = new Set<number>();
  for (const layout of trace.layouts.values()) {
    for (const label of layout.flatMap((labels) => [...(labels ?? [])])) {
      if (trace.sets.reason(label) === undefined) dead.add(trace.sets.find(label));
    }
  }
  for (const mixer of trace.mixers) {
    const [input] = mixer.node.inputs;
    const labels = trace.layouts.get(input)?.[mixer.inputAxis];
    const table = weightTable(trace, mixer.node);
    if (labels === undefined) continue;
    const values = constants.get(input);
    const takes = takesConstants(trace, mixer);
    const isMovable = (index: number): boolean => {
      const value = values?.[index] ?? NaN;
      return value === 0 || (takes && Number.isFinite(value));
    };
    labels.forEach((label, i) => {
      const root = trace.sets.find(label);
      if (dead.has(root) && !isMovable(i) && (table === undefined || isRead(table, i))) dead.delete(root);
    });
  }
  keepOne(trace, dead);
  return dead;
}

/** Whether any output has a weight other than 0 for an input's channel. */
function isRead(table: WeightTable, index: number): boolean {
  const group = Math.floor(index / table.inputs);
  for (let output = group * table.outputsPerGroup; output < (group + 1) * table.outputsPerGroup; output++) {
    if (tapSum(table, output, index % table.inputs) !== undefined) return true;
  }
  return false;
}

/** Takes the first set back wherever a tensor would lose all its channels. */
function keepOne(trace: Trace, dead: Set<number>): void {
  for (const layout of trace.layouts.values()) {
    for (const labels of layout) {
      if (labels === undefined || labels.length === 0) continue;
      if (labels.every((label) => dead.has(trace.sets.find(label)))) dead.delete(trace.sets.find(labels[0]));
    }
  }
}

/** Adds to biases what the removed channels, which are constant, contribute to the layers that read them. */
function moveIntoBiases(
  trace: Trace,
  constants: (name: string) => Float64Array | undefined,
  isKept: IsKept,
  graph: Graph,
): void {
  for (const mixer of trace.mixers) {
    const { node, inputAxis } = mixer;
    const [input, weight, bias = ""] = node.inputs;
    const labels = trace.layouts.get(input)?.[inputAxis];
    const outputs = trace.layouts.get(node.outputs[0])?.[1];
    const values = constants(input);
    const table = weightTable(trace, node);
    if (labels === undefined || outputs === undefined || values === undefined || table === undefined)
      continue;
    if (!takesConstants(trace, mixer)) continue;
    const moved = Float64Array.from(outputs, (_, output) => {
      let sum = 0;
      for (let j = 0; j < table.inputs; j++) {
        const index = inputIndex(table, output, j);
        const value = values[index];
        if (isKept(labels[index]) || Number.isNaN(value) || value === 0) continue;
        sum += table.factor * (tapSum(table, output, j) ?? 0) * value;
      }
      return sum;
    });
    if (moved.every((value) => value === 0)) continue;
    const stored = trace.parameter(bias);
    const old = (stored?.tensor as Tensor<"float32"> | undefined)?.array();
    const sums = moved.map((value, i) => value + (old?.[i] ?? 0)).filter((_, i) => isKept(outputs[i]));
    // A name of its own, as other nodes may read the bias that there was.
    const name = unused(graph, `${weight}/bias`);
    const dims = stored?.tensor.dims.with(-1, sums.length) ?? [sums.length];
    graph.initializers.set(name, tensorFrom("float32", dims, sums));
    for (const target of graph.nodes) {
      if (target.outputs[0] === node.outputs[0]) target.inputs = [...target.inputs.slice(0, 2), name];
    }
  }
}

function unused(graph: Graph, wanted: string): string {
  let name = wanted;
  for (let i = 2; graph.initializers.has(name); i++) name = `${wanted}~${i}`;
  return name;
}

/** Cuts the removed channels out of every stored tensor that has them. */
function cut(trace: Trace, isKept: IsKept, tensors: Map<string, Tensor>): void {
  for (const [name, value] of tensors) {
    const layout = trace.layouts.get(name);
    if (layout === undefined) continue;
    let left: Tensor = value;
    layout.forEach((labels, axis) => {
      if (labels?.every(isKept) === false)
        left = take(
          left,
          axis,
          labels.map((label) => (isKept(label) ? 1 : 0)),
        );
    });
    tensors.set(name, left);
  }
}

/** The tensor with those indices along an axis for which `kept` is 1. */
function take(value: Tensor, axis: number, kept: Int32Array): Tensor {
  const inner = (sizeOf(value.dims.slice(axis + 1)) * value.bytes.length) / value.size;
  const outer = sizeOf(value.dims.slice(0, axis));
  const count = kept.reduce((sum, bit) => sum + bit, 0);
  const bytes = new Uint8Array(outer * count * inner);
  for (let i = 0, to = 0; i < outer * kept.length; i++) {
    if (kept[i % kept.length] === 0) continue;
    bytes.set(value.bytes.subarray(i * inner, (i + 1) * inner), to);
    to += inner;
  }
  return new Tensor(value.dtype, value.dims.with(axis, count), bytes);
}

/** Brings what a node says about sizes (groups, parts, shapes) to the channels that are left. */
function adapt(trace: Trace, isKept: IsKept, graph: Graph, node: Node): void {
  if (node.domain !== "") return;
  const changes = [...node.inputs, ...node.outputs].some((value) =>
    trace.layouts.get(value)?.some((labels) => labels?.every(isKept) === false),
  );
  if (!changes) return;
  const left = (value: string, axis: number): number => {
    const labels = trace.layouts.get(value)?.[axis];
    return labels === undefined ? trace.dims(value)[axis] : labels.filter(isKept).length;
  };
  const vector = (what: string, values: readonly number[]): string => {
    const name = unused(graph, `${node.outputs[0]}/${what}`);
    graph.initializers.set(name, tensorFrom("int64", [values.length], values));
    return name;
  };
  const [input] = node.inputs;
  const rank = trace.dims(input).length;
  switch (node.op) {
    case "Conv": {
      const isDepthwise = getInt(node, "group", 1) > 1 && trace.dims(node.inputs[1])[1] === 1;
      if (isDepthwise) node.attributes.set("group", int(left(input, 1)));
      return;
    }
    case "Split": {
      const axis = normalizeAxis(node, getInt(node, "axis", 0), rank);
      const sizes = node.outputs.map((output) => left(output, axis));
      node.attributes.delete("num_outputs");
      node.inputs = [input, vector("split", sizes)];
      return;
    }
    case "Slice": {
      const values = [1, 2, 3, 4].map((i) => constantOf(trace, node.inputs.at(i) ?? ""));
      const slices = slicesOf(node, rank, values).map((slice) => {
        const labels = trace.layouts.get(input)?.[slice.axis];
        if (labels === undefined) return slice;
        const { first, count } = sliceRange(labels.length, slice.start, slice.end, slice.step);
        const start = labels.subarray(0, first).filter(isKept).length;
        return { ...slice, start, end: start + labels.subarray(first, first + count).filter(isKept).length };
      });
      const list = (key: "axis" | "start" | "end" | "step"): number[] => slices.map((slice) => slice[key]);
      const [starts, ends, axes, steps] = (["start", "end", "axis", "step"] as const).map((key) =>
        vector(`${key}s`, list(key)),
      );
      node.inputs = [input, starts, ends, axes, steps];
      return;
    }
    case "Reshape": {
      const [output] = node.outputs;
      const shape = trace.source.valueTypes.get(output)?.shape ?? [];
      // What depends on the batch is left to Reshape.
      const target = trace
        .dims(output)
        .map((_, axis) => (typeof shape[axis] === "number" ? left(output, axis) : -1));
      if (target.filter((dim) => dim < 0).length > 1) {
        throw new KofnError(
          `${describeNode(node)}: more than one dimension of its output depends on the batch`,
        );
      }
      node.attributes.delete("allowzero");
      node.inputs = [input, vector("shape", target)];
      return;
    }
    default:
  }
}

function constantOf(trace: Trace, name: string): number[] | undefined {
  return trace.graph.initializers.get(name)?.numbers();
}

/** The types of the values whose types were known before. */
function typesOf(graph: Graph, before: Graph): Map<string, ValueType> {
  const types = inferGraph({ ...graph, valueTypes: new Map() });
  return new Map([...types].filter(([name]) => before.valueTypes.has(name)));
}
