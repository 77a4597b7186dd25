/** Gathers what goes into a .kofn file: from a finished run, or from a model that has zeros. */

import {
  canonicalDims,
  spanOf,
  type UnitLayout,
  type PackedMask,
  packedMask,
  unitMatrix,
  weightMask,
} from "@kofn/format/file/units.js";
import { cutQuantized } from "../integers/cut.js";
import { withIntegerBiases } from "../integers/integer-biases.js";
import { prunableLayers } from "../layers/layers.js";
import type { PrunableLayer } from "../layers/types.js";
import type { Model } from "../onnx/model.js";
import { type Tensor, tensor } from "../onnx/tensor.js";
import { removeMaps } from "../prune/structure/remove.js";
import type { PrunedLayer } from "../prune/types.js";
import type { Quantization } from "../quantize/types.js";
import { VERSION } from "../version.js";
import { NO_CONFIG, type Provenance } from "./info-section.js";
import type { KofnContents } from "./types.js";

/** A pruned model at the shapes of its masks. */
export interface MaskedModel {
  /** Masks applied, activations not quantized. */
  readonly model: Model;
  /** One mask per pruned weight, in its shape. */
  readonly masks: ReadonlyMap<string, Tensor<"uint8">>;
  /** The pruned layers, one for each mask. */
  readonly layers: readonly Pick<PrunedLayer, "weight" | "granularity" | "share" | "n">[];
  readonly quantization: Quantization;
}

/**
 * What a .kofn file has of a pruned model: the model without its removed maps, masks by units, codes.
 *
 * @throws InputError if the model's shapes can't be inferred.
 */
export function prunedContents(
  { model, masks, layers, quantization }: MaskedModel,
  provenance: Provenance,
  labels: readonly string[],
): KofnContents {
  const rules = new Map(layers.map((layer) => [layer.weight, layer]));
  const hasMaps = layers.some(({ granularity }) => granularity === "maps");
  const left = hasMaps ? withoutMaps(model, quantization) : { model, quantization };
  const leftMasks = hasMaps ? removeMaps(model, masks).masks : masks;
  const unitMasks = new Map<string, PackedMask>();
  for (const layer of prunableLayers(left.model.graph)) {
    const mask = leftMasks.get(layer.weight)?.array();
    const rule = rules.get(layer.weight);
    if (mask === undefined || rule === undefined || rule.granularity === "maps") continue;
    const units = unitMaskOf(mask, layer, rule);
    if (units !== undefined) unitMasks.set(layer.weight, units);
  }
  return { ...left, masks: unitMasks, provenance, labels };
}

/** A quantized model without its removed maps, as `train` leaves it: biases are rounded when the shares of maps are in them. */
function withoutMaps(model: Model, quantization: Quantization): Pick<MaskedModel, "model" | "quantization"> {
  const left = cutQuantized(model, quantization);
  return { model: withIntegerBiases(left.model, left.quantization), quantization: left.quantization };
}

/**
 * What a .kofn file has of a model of which no more is known: weights that are 0 are taken for pruned, where storing the
 * others alone takes less space.
 *
 * @param model in operator set 21.
 */
export function sparseContents(model: Model): KofnContents {
  const masks = new Map<string, PackedMask>();
  for (const layer of prunableLayers(model.graph)) {
    const weight = model.graph.initializers.get(layer.weight);
    if (weight?.dtype !== "float32") continue;
    const { buffer, byteOffset, length } = (weight as Tensor<"float32">).array();
    const bits = new Uint32Array(buffer, byteOffset, length);
    const mask = Uint8Array.from(bits, (value) => (value === 0 ? 0 : 1));
    const zeros = mask.reduce((sum, bit) => sum + 1 - bit, 0);
    // A bitmap takes a bit for each weight, a value 32.
    const units = 32 * zeros > mask.length ? unitMaskOf(mask, layer) : undefined;
    if (units !== undefined) masks.set(layer.weight, units);
  }
  const provenance = { kofn: VERSION, data: "", seed: 0, config: NO_CONFIG };
  return { model, masks, quantization: { weights: [], activations: [] }, provenance, labels: [] };
}

/**
 * The mask by the units and groups of its rule. Where maps were cut out, these may no longer fit: then each row is a group, of
 * kernels or of weights. Undefined for a weight without elements.
 */
function unitMaskOf(
  mask: Uint8Array,
  layer: PrunableLayer,
  rule?: Pick<PrunedLayer, "granularity" | "share" | "n">,
): PackedMask | undefined {
  const { transposed } = layer;
  const [, inputs, kernel] = canonicalDims(layer);
  const rows = (span: number): UnitLayout => ({ transposed, span, share: 1, n: (inputs * kernel) / span });
  const layouts: UnitLayout[] = [];
  if (rule !== undefined) {
    const { granularity, share, n } = rule;
    const whole = rows(spanOf(granularity, layer));
    if (whole.n % n === 0) layouts.push({ ...whole, share, n });
  }
  if (kernel > 1 && rule?.granularity !== "weights") layouts.push(rows(kernel));
  for (const layout of [...layouts, rows(1)]) {
    const found = packedMask(mask, layer.dims, layout);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The masks of a .kofn file, one for each pruned weight and in its shape: 1 where a weight is kept. */
export function weightMasks({
  model,
  masks,
}: Pick<KofnContents, "model" | "masks">): Map<string, Tensor<"uint8">> {
  return new Map(
    [...masks].flatMap(([name, mask]) => {
      const dims = model.graph.initializers.get(name)?.dims ?? [];
      const fits = unitMatrix(mask.layout, dims) !== undefined;
      return fits ? [[name, tensor("uint8", dims, weightMask(mask, dims))] as const] : [];
    }),
  );
}
