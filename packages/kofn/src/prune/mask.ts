/** Applies deterministic masks to a model: what was not chosen becomes exactly 0. */

import { type Mask, weightMask } from "@kofn/format/file/units.js";
import type { Model } from "../onnx/model.js";
import { sizeOf, type Tensor, tensor } from "../onnx/tensor.js";
import { carriersOf, layoutOf, membersOf } from "./units.js";
import { topKMask } from "./topk.js";
import type { PrunedLayer } from "./types.js";

/** The mask of a pruned layer's weight, its units [R, n]. */
export interface LayerMask extends Mask {
  readonly layer: PrunedLayer;
}

/** The mask that keeps the k largest logits of each group. */
export function maskOfLogits(layer: PrunedLayer, logits: Float32Array, k = layer.k): LayerMask {
  return { layer, layout: layoutOf(layer), units: topKMask(logits, layer.groups, layer.n, k) };
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
  for (const { layer, layout, units } of masks) {
    const carriers = carriersOf(layer);
    if (carriers.length === 0) {
      const kept = weightMask({ layout, units }, layer.dims);
      zero(initializers, layer.weight, (i) => kept[i] === 1);
    }
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
  return membersOf(layer).map((member) => ({ layer: member, layout: layoutOf(member), units }));
}

/** Of each weight that masks prune, by its name: 1 where it is kept, in its own shape. */
export function weightMasksOf(masks: readonly LayerMask[]): Map<string, Tensor<"uint8">> {
  return new Map(
    masks
      .flatMap(masksOfWeights)
      .map((mask) => [
        mask.layer.weight,
        tensor("uint8", mask.layer.dims, weightMask(mask, mask.layer.dims)),
      ]),
  );
}

/** How many weights of its layer a mask keeps. */
export function weightsKept(mask: LayerMask): number {
  return weightMask(mask, mask.layer.dims).reduce((sum, bit) => sum + bit, 0);
}
