/** Models that compute with quantized values in float32: what a quantized network is while it is trained and evaluated. */

import type { Model, Node } from "../onnx/model.js";
import { removeDeadCode } from "../onnx/passes.js";
import { addActivation } from "./activation-nodes.js";
import { Assembly } from "./assembly.js";
import { checkQuantization } from "./check.js";
import { byTensor } from "./integer-results.js";
import type { QuantizedActivation } from "./types.js";
import { weightNodes } from "./weight-nodes.js";

/**
 * The model with its activations quantized and brought back to float32, for the layers that read them; results of layers for
 * all that read them.
 *
 * @param model in operator set 21; it is not changed.
 * @throws InputError if an activation is none of the model's.
 * @example
 * await evaluateModel(withQuantizedActivations(model, quantization.activations), data.test, data);
 */
export function withQuantizedActivations(model: Model, activations: readonly QuantizedActivation[]): Model {
  checkQuantization(model, { weights: [], activations });
  const { graph } = model;
  const { quantized, results } = byTensor(activations);
  const layers = new Set(weightNodes(graph).map(({ node }) => node));
  const assembly = new Assembly(graph);
  const [byLayers, byOthers] = [new Map<string, string>(), new Map<string, string>()];
  const place = (value: string): void => {
    const [read, result] = [quantized.get(value), results.get(value)];
    const other = result === undefined ? value : addActivation(assembly, value, result);
    byOthers.set(value, other);
    byLayers.set(value, read === undefined ? other : addActivation(assembly, other, read));
  };
  for (const { name } of graph.inputs) place(name);
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((input, i) => {
      const names = i === 0 && layers.has(node) ? byLayers : byOthers;
      return names.get(input) ?? input;
    });
    assembly.nodes.push({ ...node, inputs });
    node.outputs.forEach(place);
  }
  const { nodes, initializers } = assembly;
  return { ...model, graph: { ...graph, nodes, initializers, valueTypes: new Map() } };
}

/**
 * The model without the nodes that quantize its activations: what {@link withQuantizedActivations} was made of.
 *
 * @param activations those that are quantized in the model.
 */
export function withoutQuantizedActivations(
  model: Model,
  activations: readonly QuantizedActivation[],
): Model {
  if (activations.length === 0) return model;
  const { graph } = model;
  const makers = new Map<string, Node>(
    graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node])),
  );
  const tensors = new Set(activations.map(({ tensor }) => tensor));
  /** What a value is without its quantization. */
  const sourceOf = (value: string): string => {
    const last = makers.get(value);
    if (last?.op !== "DequantizeLinear" && last?.op !== "Where") return value;
    const first = makers.get(last.inputs[0]);
    const isPair = first?.op === "QuantizeLinear" || first?.op === "GreaterOrEqual";
    const source = isPair ? sourceOf(first.inputs[0]) : value;
    return tensors.has(source) ? source : value;
  };
  const nodes = graph.nodes.map((node) => ({ ...node, inputs: node.inputs.map(sourceOf) }));
  const bare = { ...graph, nodes, initializers: new Map(graph.initializers), valueTypes: new Map() };
  removeDeadCode(bare);
  return { ...model, graph: bare };
}
