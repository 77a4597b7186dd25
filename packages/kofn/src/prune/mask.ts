/** Applies deterministic masks to a model: what was not chosen becomes exactly 0. */

import type { Model } from "../onnx/model.js";
import { sizeOf, type Tensor, tensor } from "../onnx/tensor.js";
import { carriersOf, maskOfUnits, membersOf } from "./groups.js";
import { topKMask } from "./topk.js";
import type { PrunedLayer } from "./types.js";

/** The mask of a layer's units [R, n] and of its whole weight. */
export interface LayerMask {
  readonly layer: PrunedLayer;
  readonly units: Uint8Array;
  readonly mask: Uint8Array;
}

/** The mask that keeps the k largest logits of each group. */
export function maskOfLogits(layer: PrunedLayer, logits: Float32Array, k = layer.k): LayerMask {
  const units = topKMask(logits, layer.groups, layer.n, k);
  return { layer, units, mask: maskOfUnits(layer, units) };
}

/** The model with the given parameters, masked. Other tensors are shared with `model`, which is not changed. */
export function maskedModel(
  model: Model,
  parameters: ReadonlyMap<string, Float32Array>,
  masks: readonly LayerMask[],
): Model {
  const initializers = new Map<string, Tensor>(model.graph.initializers);
  for (const [name, values] of parameters) {
    const dims = model.graph.initializers.get(name)?.dims ?? [values.length];
    initializers.set(name, tensor("float32", dims, values.slice()));
  }
  for (const { layer, units, mask } of masks) {
    const carriers = carriersOf(layer);
    if (carriers.length === 0) zero(initializers, layer.weight, (i) => mask[i] === 1);
    for (const { parameter, axis, units: own } of carriers) {
      const inner = sizeOf(initializers.get(parameter)?.dims.slice(axis + 1) ?? []);
      const isKept = (unit: number): boolean => unit < 0 || units[unit] === 1;
      zero(initializers, parameter, (i) => isKept(own[Math.floor(i / inner) % own.length]));
    }
  }
  return { ...model, graph: { ...model.graph, initializers } };
}

/** Sets what is not kept to 0. What is no parameter is still the model's own and is copied first. */
function zero(initializers: Map<string, Tensor>, name: string, isKept: (index: number) => boolean): void {
  const value = initializers.get(name) as Tensor<"float32">;
  initializers.set(
    name,
    tensor(
      "float32",
      value.dims,
      value.array().map((one, i) => (isKept(i) ? one : 0)),
    ),
  );
}

/** The masks of all weights that a layer's mask prunes: its own, and those of the layers that share its maps. */
export function masksOfWeights({ layer, units }: LayerMask): LayerMask[] {
  return membersOf(layer).map((member) => ({ layer: member, units, mask: maskOfUnits(member, units) }));
}
