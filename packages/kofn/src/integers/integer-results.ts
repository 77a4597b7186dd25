/** Finds the results that must be quantized for integer kernels to make them. */

import type { Graph } from "../onnx/model.js";
import type { QuantizedActivation } from "../quantize/types.js";
import { movedOn, Readers, type WeightNode, weightNodes } from "./weight-nodes.js";

/** Whether codes of these activations are numbers that integer kernels multiply. */
export function isInteger(activation: QuantizedActivation): boolean {
  return activation.format !== "binary";
}

/**
 * The quantization under which an integer kernel makes the result of a node: its own, or that of the layers which
 * alone read it, be it pooled or reshaped on the way.
 *
 * @param quantized activations as layers read them, by tensor.
 * @param results those that are quantized as results, by tensor.
 */
export function resultQuantization(
  readers: Readers,
  nodes: readonly WeightNode[],
  { result }: WeightNode,
  quantized: ReadonlyMap<string, QuantizedActivation>,
  results: ReadonlyMap<string, QuantizedActivation>,
): QuantizedActivation | undefined {
  const own = results.get(result);
  if (own !== undefined) return own;
  for (const value of movedOn(readers, result)) {
    const activation = quantized.get(value);
    if (activation === undefined || !isInteger(activation)) continue;
    const isReadByLayers = readers
      .of(value)
      .every((reader) => nodes.some(({ node }) => node === reader && node.inputs[0] === value));
    if (isReadByLayers && !readers.isOutput(value)) return activation;
  }
  return undefined;
}

/**
 * The convolutions whose results must be quantized besides the given activations, so that integer kernels make them.
 * onnxruntime has kernels that take integers and make floats for matrices alone.
 *
 * @param activations those that layers read.
 * @param weights names of those that are quantized.
 * @example
 * // x -> conv1 -> Relu -> conv2 -> Add(x): conv2's result is read by the Add
 * integerResults(graph, activations, weights); // [{ layer: "conv2", tensor: "conv2_out" }]
 */
export function integerResults(
  graph: Graph,
  activations: readonly QuantizedActivation[],
  weights: ReadonlySet<string>,
): { readonly layer: string; readonly tensor: string }[] {
  const readers = new Readers(graph);
  const nodes = weightNodes(graph, readers);
  const { quantized, results } = byTensor(activations);
  return nodes.flatMap((one) => {
    const read = quantized.get(one.node.inputs[0]) ?? results.get(one.node.inputs[0]);
    if (one.node.op !== "Conv" || !weights.has(one.layer.weight)) return [];
    if (read === undefined || !isInteger(read)) return [];
    if (resultQuantization(readers, nodes, one, quantized, results) !== undefined) return [];
    return [{ layer: one.layer.name, tensor: one.result }];
  });
}

/** Activations by tensor: as layers read them, and as results. */
export function byTensor(activations: readonly QuantizedActivation[]): {
  readonly quantized: ReadonlyMap<string, QuantizedActivation>;
  readonly results: ReadonlyMap<string, QuantizedActivation>;
} {
  const entries = (isResult: boolean): Map<string, QuantizedActivation> =>
    new Map(
      activations
        .filter(({ result }) => (result === true) === isResult)
        .map((activation) => [activation.tensor, activation]),
    );
  return { quantized: entries(false), results: entries(true) };
}
