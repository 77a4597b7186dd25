/** Applies deterministic masks to a model: what was not chosen becomes exactly 0. */

import type { Model } from "../onnx/model.js";
import { type Tensor, tensor } from "../onnx/tensor.js";
import { maskOfUnits, masksBias } from "./groups.js";
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
    zero(initializers, layer.weight, mask);
    if (masksBias(layer)) zero(initializers, layer.bias, units);
  }
  return { ...model, graph: { ...model.graph, initializers } };
}

function zero(initializers: ReadonlyMap<string, Tensor>, name: string, mask: Uint8Array): void {
  const values = (initializers.get(name) as Tensor<"float32">).array();
  for (let i = 0; i < values.length; i++) if (mask[i] === 0) values[i] = 0;
}
