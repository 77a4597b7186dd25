/** Finds the layers of a graph whose weights can be pruned: Conv, Gemm and MatMul with a stored weight. */

import { getInt, type Graph, type Node } from "../onnx/model.js";
import type { Tensor } from "../onnx/tensor.js";
import { layerName } from "./layer-name.js";
import type { PrunableLayer } from "./types.js";

/**
 * The prunable layers, in the order in which their weights are first used.
 *
 * A layer is a Conv, a Gemm or a MatMul whose second input is an initializer: [out, in, ...kernel] for Conv and Gemm
 * with transB = 1, [in, out] (`transposed`) for the others. It is called after its node or its weight ({@link layerName});
 * a name that is already taken gets "_2", "_3", ... A MatMul's bias is the initializer that an Add puts on its result. A
 * weight that several nodes use is one layer.
 *
 * @example
 * prunableLayers(lenet300.graph).map((layer) => layer.name); // ["fc1", "fc2", "fc3"]
 */
export function prunableLayers(graph: Graph): PrunableLayer[] {
  const found = new Map<string, PrunableLayer>();
  const taken = new Set<string>();
  for (const node of graph.nodes) {
    const weight = weightOf(graph, node);
    if (weight === undefined || found.has(weight.name)) continue;
    const name = unused(layerName(node.name, weight.name), taken);
    taken.add(name);
    const { dims } = weight.tensor;
    const transposed = node.op === "MatMul" || (node.op === "Gemm" && getInt(node, "transB", 0) === 0);
    const bias = biasOf(graph, node, transposed ? dims[1] : dims[0]);
    found.set(weight.name, {
      name,
      weight: weight.name,
      ...(bias === undefined ? {} : { bias }),
      dims,
      transposed,
    });
  }
  return [...found.values()];
}

/** The stored weight that makes the node a prunable layer. */
export function weightOf(graph: Graph, node: Node): { name: string; tensor: Tensor } | undefined {
  if (node.domain !== "" || (node.op !== "Conv" && node.op !== "Gemm" && node.op !== "MatMul"))
    return undefined;
  const name = node.inputs[1];
  const tensor = graph.initializers.get(name);
  if (tensor === undefined) return undefined;
  const isWeight = node.op === "Conv" ? tensor.dims.length > 2 : tensor.dims.length === 2;
  return isWeight ? { name, tensor } : undefined;
}

/** The initializer with one value per output channel that is added to the node's result. */
function biasOf(graph: Graph, node: Node, outputs: number): string | undefined {
  const name = node.op === "MatMul" ? addedTo(graph, node.outputs[0]) : node.inputs.at(2);
  if (name === undefined) return undefined;
  const bias = graph.initializers.get(name);
  return bias?.size === outputs && bias.dims.at(-1) === outputs ? name : undefined;
}

/** The initializer that an Add puts on a value, if nothing else uses that value. */
function addedTo(graph: Graph, value: string): string | undefined {
  const users = graph.nodes.filter((node) => node.inputs.includes(value));
  if (users.length !== 1 || graph.outputs.some((output) => output.name === value)) return undefined;
  const [add] = users;
  if (add.op !== "Add" || add.domain !== "") return undefined;
  return add.inputs.find((input) => graph.initializers.has(input));
}

function unused(name: string, taken: ReadonlySet<string>): string {
  if (!taken.has(name)) return name;
  for (let number = 2; ; number++) if (!taken.has(`${name}_${number}`)) return `${name}_${number}`;
}
