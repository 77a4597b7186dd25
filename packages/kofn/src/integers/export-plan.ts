/** Decides which layers of an export multiply integers, and which nodes go into them. */

import { inferGraph } from "../onnx/infer.js";
import { getFloat, getInt, type Graph, type Node } from "../onnx/model.js";
import { byTensor, isInteger, resultQuantization } from "./integer-results.js";
import type { Quantization, QuantizedActivation } from "../quantize/types.js";
import { Readers, type WeightNode, weightNodes } from "./weight-nodes.js";

/** A node that multiplies integers. */
export interface IntegerNode {
  /** The quantization of what it reads. */
  readonly input: QuantizedActivation;
  /** Name of the stored bias that goes into it. */
  readonly bias: string | undefined;
  /** The value it makes: that of the last node that goes into it. */
  readonly output: string;
}

export interface ExportPlan {
  readonly nodes: ReadonlyMap<Node, WeightNode>;
  readonly integers: ReadonlyMap<Node, IntegerNode>;
  /** Nodes that go into the layer before them. */
  readonly takenIn: ReadonlySet<Node>;
  /** Values that integer products of matrices make as floats. */
  readonly products: ReadonlySet<string>;
  /** The quantization of values for all that read them. */
  readonly results: ReadonlyMap<string, QuantizedActivation>;
  /** The quantization of values for the layers that read them. */
  readonly quantized: ReadonlyMap<string, QuantizedActivation>;
  /** Why the other nodes that apply weights multiply floats. */
  readonly reasons: ReadonlyMap<Node, string>;
  /** Those of them of which onnxruntime would take it that they are to multiply integers. */
  readonly mistakable: ReadonlySet<Node>;
}

/** @param graph one that the quantization was checked to belong to. */
export function planExport(graph: Graph, { weights, activations }: Quantization): ExportPlan {
  const readers = new Readers(graph);
  const nodes = weightNodes(graph, readers);
  const types = inferGraph(graph);
  const { quantized, results } = byTensor(activations);
  const quantizedWeights = new Set(weights.map(({ weight }) => weight));
  const integers = new Map<Node, IntegerNode>();
  const takenIn = new Set<Node>();
  const allResults = new Map(results);
  const products = new Set<string>();
  const reasons = new Map<Node, string>();
  const mistakable = new Set<Node>();
  const isQuantized = (value: string): boolean => quantized.has(value) || results.has(value);
  for (const one of nodes) {
    const { layer, node, norm } = one;
    const input = quantized.get(node.inputs[0]) ?? results.get(node.inputs[0]);
    const result = resultQuantization(readers, nodes, one, quantized, results);
    const reason = whyFloat(graph, one, quantizedWeights.has(layer.weight), input, result);
    if (reason !== undefined || input === undefined) {
      reasons.set(node, reason ?? UNQUANTIZED);
      if (input !== undefined && leadsTo(isQuantized, graph, readers, node)) mistakable.add(node);
      continue;
    }
    const isMatrix = types.get(node.inputs[0])?.shape?.length === 2;
    const last = norm ?? (isMatrix ? one.add : undefined);
    const bias = one.add === undefined ? node.inputs.at(2) : last && layer.bias;
    integers.set(node, { input, bias: bias === "" ? undefined : bias, output: (last ?? node).outputs[0] });
    if (last !== undefined) takenIn.add(last);
    if (result !== undefined) allResults.set(one.result, result);
    else products.add((last ?? node).outputs[0]);
  }
  return {
    nodes: new Map(nodes.map((one) => [one.node, one])),
    integers,
    takenIn,
    products,
    results: allResults,
    quantized,
    reasons,
    mistakable,
  };
}

/** Whether what a node makes gets to such a value with nothing but constants joining it on the way. */
function leadsTo(isSought: (value: string) => boolean, graph: Graph, readers: Readers, node: Node): boolean {
  for (let [value] = node.outputs; ;) {
    if (isSought(value)) return true;
    const reader = readers.only(value);
    const joins = (input: string): boolean =>
      input !== value && input !== "" && !graph.initializers.has(input);
    if (reader === undefined || reader.inputs.some(joins)) return false;
    [value] = reader.outputs;
  }
}

const UNQUANTIZED = "what it reads is not quantized";

/** Why a node can't multiply integers; undefined if it can. */
function whyFloat(
  graph: Graph,
  { layer, node }: WeightNode,
  hasCodes: boolean,
  input: QuantizedActivation | undefined,
  result: QuantizedActivation | undefined,
): string | undefined {
  if (!hasCodes) return "its weights are not quantized";
  if (input === undefined) return UNQUANTIZED;
  if (!isInteger(input)) return "what it reads is binary, for which onnxruntime has no kernels";
  const bias = node.inputs.at(2) ?? "";
  if (bias !== "" && bias !== layer.bias) return "its bias is no stored vector";
  if (bias !== "" && graph.initializers.get(bias)?.dtype !== "float32") return "its bias is not float32";
  if (node.op === "Conv" && result === undefined) return "its result is not quantized";
  const isPlain =
    getFloat(node, "alpha", 1) === 1 && getFloat(node, "beta", 1) === 1 && getInt(node, "transA", 0) === 0;
  return node.op === "Gemm" && !isPlain ? "its product is scaled or transposed" : undefined;
}
