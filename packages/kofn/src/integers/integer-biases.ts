/** Rounds the biases of a model to what integer kernels add, so that it computes in float32 what they compute. */

import type { Graph, Model } from "../onnx/model.js";
import { type Tensor, tensor } from "../onnx/tensor.js";
import { planExport } from "./export-plan.js";
import { affineOf, integerAffine } from "./integer-affine.js";
import type { Quantization } from "../quantize/types.js";

/**
 * The model with the biases of layers that multiply integers rounded to whole numbers of the steps s_x s_w in which these count. Where
 * a batch normalisation goes into the layer, its offset changes so that both together add such a number. A bias that several
 * nodes read stays as it is, since each of them has its own steps.
 *
 * @param model its activations not quantized; it is not changed.
 * @param quantization one that was checked to belong to the model.
 */
export function withIntegerBiases(model: Model, quantization: Quantization): Model {
  if (quantization.activations.length === 0) return model;
  const { graph } = model;
  const { nodes, integers } = planExport(graph, quantization);
  const weights = new Map(quantization.weights.map((weight) => [weight.weight, weight]));
  const initializers = new Map(graph.initializers);
  for (const [node, { input, bias }] of integers) {
    const { layer, norm } = nodes.get(node) ?? {};
    const weight = weights.get(layer?.weight ?? "");
    const offset = norm?.inputs[2] ?? bias;
    if (layer === undefined || weight === undefined || offset === undefined) continue;
    if (timesRead(graph, offset) > 1) continue;
    const affine = affineOf(graph, weight, layer.dims, bias, norm);
    const integer = integerAffine(affine, input.scale, layer.dims, weight.axis);
    const stored = graph.initializers.get(offset) as Tensor<"float32">;
    const values = stored.array().map((value, c) => {
      const rounded = (integer.bias?.[c] ?? 0) * input.scale * integer.scale[c];
      return value + rounded - (affine.bias?.[c] ?? 0);
    });
    initializers.set(offset, tensor("float32", stored.dims, values));
  }
  return { ...model, graph: { ...graph, initializers } };
}

function timesRead(graph: Graph, name: string): number {
  return graph.nodes.reduce((sum, { inputs }) => sum + inputs.filter((input) => input === name).length, 0);
}
