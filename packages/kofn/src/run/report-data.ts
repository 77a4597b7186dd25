/** Builds report.json from a finished run. */

import type { LayerReport, LayerSize, Report, ShapeReport } from "@kofn/format/run/types.js";
import { prunableLayers } from "../layers/layers.js";
import type { PrunableLayer } from "../layers/types.js";
import { layerMetrics } from "../metrics/masks.js";
import { layerSizes, sizesOf } from "../metrics/size.js";
import type { Model } from "../onnx/model.js";
import { sizeOf } from "../onnx/tensor.js";
import { prunedContents } from "../pack/contents.js";
import { encodeKofn } from "../pack/file.js";
import type { Packed } from "../pack/types.js";
import { countMacs, type LayerMacs } from "../prune/macs.js";
import { type LayerMask, masksOfWeights, weightMasksOf, weightsKept } from "../prune/mask.js";
import type { Remains } from "../prune/structure/remove.js";
import type { Quantization } from "../quantize/types.js";
import { VERSION } from "../version.js";
import { magnitudeOverlap } from "./mask-history.js";
import { provenanceOf } from "./provenance.js";

interface Finished extends Pick<
  Report,
  "seed" | "method" | "provider" | "data" | "result" | "budget" | "recalibration" | "training"
> {
  /** The masked model. */
  readonly model: Model;
  readonly masks: readonly LayerMask[];
  /** Logits [R, n] of each mask's layer. */
  readonly logits: readonly Float32Array[];
  /** Scale of the noise in the epoch that the masks are of. */
  readonly beta: number;
  /** Current values of a weight, without masks. */
  readonly parameter: (name: string) => Float32Array;
  /** Of each mask: the units that no epoch of the run has kept. */
  readonly neverChosen: readonly number[];
  /** What is left of the model without its removed maps, where any are pruned. */
  readonly remains: Remains | undefined;
  readonly quantization: Quantization | undefined;
}

export function reportOf(finished: Finished): Report {
  const { model, masks, logits, beta, remains, seed, method = "dpp", provider, data, result } = finished;
  const { budget, recalibration, quantization, training } = finished;
  const layers = masks.flatMap((mask, i) => {
    const figures = layerReports(mask, logits[i], beta, finished.parameter);
    return figures.map((layer) => ({ ...layer, neverChosen: finished.neverChosen[i] }));
  });
  const pruned = masks.map(({ layer }) => layer);
  const prunable = prunableLayers(model.graph);
  const weights = prunable.reduce((sum, { dims }) => sum + sizeOf(dims), 0);
  const removed = layers.reduce((sum, layer) => sum + layer.weights - layer.kept, 0);
  const { macs, macsKept, layers: macsOfLayers } = countMacs(model.graph, pruned, remains);
  const packed = packedRun(finished);
  const kept = remains === undefined ? weights - removed : keptIn(remains, prunable);
  return {
    kofn: VERSION,
    model: model.graph.name,
    seed,
    method,
    provider,
    data,
    result,
    ...(recalibration === undefined ? {} : { recalibration }),
    totals: {
      weights,
      kept,
      compression: weights / kept,
      macs,
      macsKept,
      bytesPacked: packed.bytes.length,
      ...sizesOf(model.graph, pruned, remains, quantization),
    },
    ...(budget === undefined ? {} : { budget }),
    layers,
    sizes: packedSizes(layerSizes(model.graph, pruned, remains, quantization), packed),
    ...(remains === undefined ? {} : { shapes: shapesOf(model, remains, macsOfLayers) }),
    training,
  };
}

/** The run as `kofn pack` writes it. */
function packedRun({ model, masks, quantization, data, seed, result }: Finished): Packed {
  const contents = {
    model,
    masks: weightMasksOf(masks),
    layers: masks.flatMap(masksOfWeights).map(({ layer }) => layer),
    quantization: quantization ?? { weights: [], activations: [] },
  };
  return encodeKofn(prunedContents(contents, provenanceOf({ data, seed, result }), data.classes ?? []));
}

/** What layers take in the packed file. */
function packedSizes(sizes: readonly LayerSize[], { tensors }: Packed): LayerSize[] {
  const stored = new Map(tensors.map(({ name, bytes }) => [name, bytes]));
  return sizes.map((size) => {
    const { values = 0, positions = 0, scales = 0 } = stored.get(size.weight) ?? {};
    return { ...size, bytes: { weights: values, indices: positions, scales } };
  });
}

/** Weights of prunable layers that are left, and that their masks keep. */
function keptIn({ model, masks }: Remains, layers: readonly PrunableLayer[]): number {
  let kept = 0;
  for (const { weight } of layers) {
    kept += model.graph.initializers.get(weight)?.size ?? 0;
    for (const bit of masks.get(weight)?.array() ?? []) if (bit === 0) kept--;
  }
  return kept;
}

/**
 * The layers of a masked model before and after its maps are removed.
 *
 * @param macs of the layers, in their order.
 */
export function shapesOf(model: Model, remains: Remains, macs: readonly LayerMacs[]): ShapeReport[] {
  return prunableLayers(model.graph).map(({ name, weight, dims }, i) => ({
    name,
    weight,
    before: dims,
    after: remains.model.graph.initializers.get(weight)?.dims ?? dims.map(() => 0),
    macsBefore: macs[i].macs,
    macsAfter: macs[i].macsKept,
  }));
}

/** A row for each weight that the mask prunes. */
function layerReports(
  sampled: LayerMask,
  logits: Float32Array,
  beta: number,
  parameter: (name: string) => Float32Array,
): LayerReport[] {
  const { groups, n, k, granularity, per, share } = sampled.layer;
  const metrics = layerMetrics({ logits, rows: groups, n, k, beta });
  const overlapMagnitude = magnitudeOverlap(sampled, k, parameter);
  const members = masksOfWeights(sampled);
  return members.map((member) => ({
    name: member.layer.name,
    weight: member.layer.weight,
    granularity,
    ...(per === undefined ? {} : { per }),
    ...(share === 1 ? {} : { share }),
    ...(members.length === 1 ? {} : { group: sampled.layer.name }),
    groups,
    n,
    k,
    weights: sizeOf(member.layer.dims),
    kept: weightsKept(member),
    ...metrics,
    overlapMagnitude,
  }));
}
