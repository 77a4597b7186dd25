/** Measures the statistics of batch normalisation anew, for a network whose masks no longer change. */

import { type Augmentation, mixPairs, mixupShare } from "../data/augment.js";
import { BatchFiller, epochOrder } from "../data/batches.js";
import { BatchLoader } from "../data/loader.js";
import type { Normalization } from "../data/normalization.js";
import type { Dataset } from "../data/types.js";
import type { Engine, Value } from "../engine/session.js";
import { modelOf } from "../lower/model.js";
import { atBatch } from "../onnx/batch.js";
import { Builder } from "../onnx/builder.js";
import { emptyGraph, type Model } from "../onnx/model.js";
import { appendNode, normNodes, runningStatistics } from "../step/batch-norm.js";
import { classifierOf } from "../task/classifier.js";

export interface RecalibrateOptions {
  readonly engine: Engine;
  readonly data: Dataset;
  readonly normalization: Normalization;
  /** What training did to the images at random. */
  readonly augment: Augmentation;
  /** Of the first so many training samples. */
  readonly count: number;
  /** Samples per batch. */
  readonly batch: number;
  /** So many batches; `count` samples must have them. */
  readonly batches: number;
  /** Fixes the samples and what is random in them. */
  readonly seed: number;
}

/** What one batch normalisation has seen: sums over batches of the means, and of the means of squares. */
interface Moments {
  readonly mean: string;
  readonly variance: string;
  readonly sums: Float64Array;
  readonly squares: Float64Array;
  uses: number;
}

/**
 * Exact averages over batches such as training makes, each layer seeing what the layers before it make with the statistics
 * of the batch: mean = E[mean_b], var = E[var_b + mean_b^2] - mean^2 (the precise statistics of Wu and Johnson,
 * arXiv 2105.07576, section 3). Running averages, which momentum makes, lag behind weights that change; these do not.
 *
 * Images are augmented as in training, as the weights were learnt behind the statistics of such images. Black borders of
 * crops alone, for one, move them by more than a network that has learnt with them stands.
 *
 * @param model with its masks applied; it is not changed.
 * @returns new values of the running statistics, by name; none if the model has none.
 * @throws InputError if the model computes statistics instead of storing them.
 * @example
 * const averaged = { count: data.train.count, batch: 64, batches: 100 };
 * const statistics = await recalibrate(model, { engine, data, normalization, augment: { crop: 4 }, seed: 1, ...averaged });
 */
export async function recalibrate(
  model: Model,
  options: RecalibrateOptions,
): Promise<Map<string, Float32Array>> {
  const { engine, data, normalization, augment, count, batch, seed } = options;
  const { input, dims } = classifierOf(model);
  const moments = new Map<string, Moments>();
  for (const { mean, variance } of normNodes(model.graph)) {
    const channels = model.graph.initializers.get(variance)?.size ?? 0;
    const [sums, squares] = [new Float64Array(channels), new Float64Array(channels)];
    moments.set(variance, { mean, variance, sums, squares, uses: 0 });
  }
  if (moments.size === 0) return new Map();
  const { measuring, outputs } = measuringModel(model, [batch, ...dims]);
  const filler = new BatchFiller(data, normalization, { of: augment, seed });
  const loader = new BatchLoader(data.train, data, filler);
  const session = await engine.session(measuring);
  try {
    const pixels = new Float32Array(batch * dims.reduce((product, dim) => product * dim, 1));
    const [labels, partners] = [new BigInt64Array(batch), new BigInt64Array(batch)];
    const feeds = { [input]: engine.value("float32", [batch, ...dims], pixels) };
    const wanted: Record<string, Value | null> = {};
    for (const { mean, variance } of outputs) [wanted[mean], wanted[variance]] = [null, null];
    const order = epochOrder(count, seed, 0);
    for (let step = 0; step < options.batches; step++) {
      await loader.load(order, step * batch, 0, pixels, labels);
      if (augment.mixup !== undefined) {
        mixPairs(pixels, labels, partners, mixupShare(augment.mixup, seed, step));
      }
      const results = await session.run(feeds, wanted);
      for (const { of, mean, variance } of outputs) {
        const seen = moments.get(of);
        if (seen === undefined) continue;
        add(seen, results[mean].data as Float32Array, results[variance].data as Float32Array);
      }
    }
  } finally {
    await loader.close();
    await session.close();
  }
  return new Map([...moments.values()].flatMap(statisticsOf));
}

function add(moments: Moments, mean: Float32Array, variance: Float32Array): void {
  for (let c = 0; c < mean.length; c++) {
    moments.sums[c] += mean[c];
    moments.squares[c] += variance[c] + mean[c] ** 2;
  }
  moments.uses++;
}

function statisticsOf({ mean, variance, sums, squares, uses }: Moments): [string, Float32Array][] {
  return [
    [mean, Float32Array.from(sums, (sum) => sum / uses)],
    [variance, Float32Array.from(squares, (square, c) => square / uses - (sums[c] / uses) ** 2)],
  ];
}

/** The model with the statistics of the batch as its outputs; `of` is the name of the running variance that goes with them. */
function measuringModel(
  model: Model,
  shape: readonly number[],
): { measuring: Model; outputs: { of: string; mean: string; variance: string }[] } {
  const { model: view, input } = classifierOf(model);
  const statistics = runningStatistics(model.graph);
  const graph = atBatch(view.graph, input, shape, []);
  const b = new Builder(emptyGraph(`${graph.name}/statistics`));
  b.input(input, "float32", shape);
  for (const [name, value] of graph.initializers) b.initializer(name, value);
  const outputs = graph.nodes.flatMap((node) => {
    const batch = appendNode(b, node, statistics);
    if (batch === undefined) return [];
    const { running, mean, variance } = batch;
    return [{ of: running.variance, mean: b.output(mean), variance: b.output(variance) }];
  });
  return { measuring: modelOf(b.graph), outputs };
}
