/** Models that compute with quantized values in float32: what a quantized network is while it is trained and evaluated. */

import type { Model, Node } from "../onnx/model.js";
import { removeDeadCode } from "../onnx/passes.js";
import { tensor } from "../onnx/tensor.js";
import { prunableLayers } from "../layers/layers.js";
import { addFloatActivation } from "./activation-nodes.js";
import { Assembly } from "../onnx/assembly.js";
import { checkQuantization } from "./check.js";
import { withIntegerBiases } from "./integer-biases.js";
import { byTensor } from "./integer-results.js";
import type { Quantization, QuantizedActivation, QuantizedWeight } from "../quantize/types.js";
import { weightNodes } from "./weight-nodes.js";
import { channelView, dequantized } from "../quantize/weights.js";

/**
 * The network that {@link exportQuantized} writes, in float32: weights of scale times code, quantized activations, and biases that
 * are whole numbers of the steps in which integer kernels count. What differs then is rounding in float32 sums, by which a value in the
 * middle between two codes can get the other one.
 *
 * @param model in operator set 21, masked, its activations not quantized; it is not changed.
 * @throws InputError if the quantization does not belong to the model.
 * @example
 * await evaluateModel(simulateQuantized(model, quantization), data.test, data);
 */
export function simulateQuantized(model: Model, quantization: Quantization): Model {
  checkQuantization(model, quantization);
  const weighted = withQuantizedWeights(model, quantization.weights);
  return withQuantizedActivations(withIntegerBiases(weighted, quantization), quantization.activations);
}

/**
 * The model with scale times code in place of its quantized weights, float32: what it computes when its weights are
 * quantized. Other tensors are shared with `model`, which is not changed.
 */
export function withQuantizedWeights(model: Model, weights: readonly QuantizedWeight[]): Model {
  const initializers = new Map(model.graph.initializers);
  const layers = new Map(prunableLayers(model.graph).map((layer) => [layer.weight, layer]));
  for (const { weight, codes, scale } of weights) {
    const layer = layers.get(weight);
    if (layer === undefined) continue;
    initializers.set(weight, tensor("float32", layer.dims, dequantized(codes, scale, channelView(layer))));
  }
  return { ...model, graph: { ...model.graph, initializers } };
}

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
    const other = result === undefined ? value : addFloatActivation(assembly, value, result);
    byOthers.set(value, other);
    byLayers.set(value, read === undefined ? other : addFloatActivation(assembly, other, read));
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
  const tensors = new Set(activations.map((one) => one.tensor));
  /** What a value is without its quantization. */
  const sourceOf = (value: string): string => {
    const first = quantizerOf(makers, value);
    const source = first === undefined ? value : sourceOf(first.inputs[0]);
    return tensors.has(source) ? source : value;
  };
  const nodes = graph.nodes.map((node) => ({ ...node, inputs: node.inputs.map(sourceOf) }));
  const bare = { ...graph, nodes, initializers: new Map(graph.initializers), valueTypes: new Map() };
  removeDeadCode(bare);
  return { ...model, graph: bare };
}

/** The first of the nodes that quantize a value and bring it back; undefined where the value is made otherwise. */
function quantizerOf(makers: ReadonlyMap<string, Node>, value: string): Node | undefined {
  const before = (node: Node | undefined): Node | undefined => makers.get(node?.inputs[0] ?? "");
  const last = makers.get(value);
  let first = before(last);
  if (last?.op === "Where") return first?.op === "GreaterOrEqual" ? first : undefined;
  if (last?.op === "Mul") {
    const cast = first?.op === "Sub" ? before(first) : first;
    first = cast?.op === "Cast" ? before(cast) : undefined;
  } else if (last?.op !== "DequantizeLinear") return undefined;
  return first?.op === "QuantizeLinear" ? first : undefined;
}
