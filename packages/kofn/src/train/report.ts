/** Builds report.json from a finished run. */

import { layerMetrics } from "../metrics/masks.js";
import { countMacs } from "../metrics/macs.js";
import { sizesOf } from "../metrics/size.js";
import type { Model } from "../onnx/model.js";
import { sizeOf } from "../onnx/tensor.js";
import type { LayerMask } from "../prune/apply.js";
import { prunableLayers } from "../prune/layers.js";
import { VERSION } from "../version.js";
import type { LayerReport, Report } from "./types.js";

interface Finished extends Pick<Report, "seed" | "provider" | "data" | "result" | "budget" | "training"> {
  /** The masked model. */
  readonly model: Model;
  readonly masks: readonly LayerMask[];
  /** Logits [R, n] of each mask's layer. */
  readonly logits: readonly Float32Array[];
  /** Scale of the noise at the end of training. */
  readonly beta: number;
}

export function reportOf(finished: Finished): Report {
  const { model, masks, logits, beta, seed, provider, data, result, budget, training } = finished;
  const layers = masks.map((mask, i) => layerReport(mask, logits[i], beta));
  const pruned = masks.map(({ layer }) => layer);
  const weights = prunableLayers(model.graph).reduce((sum, { dims }) => sum + sizeOf(dims), 0);
  const removed = layers.reduce((sum, layer) => sum + layer.weights - layer.kept, 0);
  const { macs, macsKept } = countMacs(model.graph, pruned);
  return {
    kofn: VERSION,
    model: model.graph.name,
    seed,
    provider,
    data,
    result,
    totals: {
      weights,
      kept: weights - removed,
      compression: weights / (weights - removed),
      macs,
      macsKept,
      ...sizesOf(model.graph, pruned),
    },
    ...(budget === undefined ? {} : { budget }),
    layers,
    training,
  };
}

function layerReport({ layer, mask }: LayerMask, logits: Float32Array, beta: number): LayerReport {
  const { name, weight, granularity, per, share, groups, n, k } = layer;
  const { confidence, diversity } = layerMetrics({ logits, rows: groups, n, k, beta });
  return {
    name,
    weight,
    granularity,
    ...(per === undefined ? {} : { per }),
    ...(share === 1 ? {} : { share }),
    groups,
    n,
    k,
    weights: mask.length,
    kept: mask.reduce((sum, bit) => sum + bit, 0),
    confidence,
    diversity,
  };
}
