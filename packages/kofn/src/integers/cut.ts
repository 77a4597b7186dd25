/** Cuts what masks leave without effect out of a quantized model. */

import type { Model } from "../onnx/model.js";
import { tensor } from "../onnx/tensor.js";
import type { Roundings } from "../prune/structure/constants.js";
import { removeMaps } from "../prune/structure/remove.js";
import { quantizedValue } from "./activation-values.js";
import { channels } from "./integer-affine.js";
import { byTensor } from "./integer-results.js";
import type { Quantization, QuantizedActivation, QuantizedWeight } from "../quantize/types.js";

/** Codes of a weight fit in so many values. */
const CODES = 256;

/**
 * The model without the channels that make no difference, and its quantization, cut likewise.
 *
 * @param model at the shapes of the masks, with scale times code as its quantized weights, its activations not quantized; it is not
 * changed.
 * @throws InputError if the model's shapes can't be inferred.
 * @example
 * const { model, quantization } = cutQuantized(run.masked, run.quantization);
 */
export function cutQuantized(
  model: Model,
  { weights, activations }: Quantization,
): { model: Model; quantization: Quantization } {
  // Channel and code of each weight travel as one number.
  const packed = new Map(
    weights.map(({ weight, axis, codes }) => {
      const dims = model.graph.initializers.get(weight)?.dims ?? [codes.length];
      const channelOf = channels(dims, axis);
      return [
        weight,
        tensor(
          "int32",
          dims,
          Int32Array.from(codes, (code, i) => channelOf(i) * CODES + code),
        ),
      ];
    }),
  );
  const remains = removeMaps(model, packed, roundingsOf(activations));
  const left = weights.flatMap((weight): QuantizedWeight[] => {
    const value = remains.masks.get(weight.weight);
    if (value === undefined) return [];
    const values = value.array();
    const channelOf = channels(value.dims, weight.axis);
    const scale = new Float32Array(value.dims[weight.axis]);
    const codes = Int8Array.from(values, (both, i) => {
      const channel = Math.round(both / CODES);
      scale[channelOf(i)] = weight.scale[channel];
      return both - channel * CODES;
    });
    return [{ ...weight, scale, codes }];
  });
  const made = new Set(remains.model.graph.nodes.flatMap(({ outputs }) => outputs));
  for (const { name } of remains.model.graph.inputs) made.add(name);
  return {
    model: remains.model,
    quantization: { weights: left, activations: activations.filter(({ tensor: name }) => made.has(name)) },
  };
}

function roundingsOf(activations: readonly QuantizedActivation[]): Roundings {
  const { quantized, results } = byTensor(activations);
  const roundings = (list: ReadonlyMap<string, QuantizedActivation>): Roundings["made"] =>
    new Map([...list].map(([name, one]) => [name, (value: number) => quantizedValue(one, value)]));
  return { made: roundings(results), read: roundings(quantized) };
}
