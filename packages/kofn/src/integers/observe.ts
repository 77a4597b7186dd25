/** Runs a model on training images and tells what values its activations have. */

import { BatchFiller, epochOrder } from "../data/batches.js";
import { BatchLoader } from "../data/loader.js";
import type { Normalization } from "../data/normalization.js";
import type { Dataset } from "../data/types.js";
import type { Engine, Session, Value } from "../engine/session.js";
import { KofnError } from "../errors.js";
import type { Model } from "../onnx/model.js";
import { classifierOf } from "../task/classifier.js";
import type { Observed } from "./ranges.js";

/** Images at a time, where the model leaves that open: all activations of a batch are in memory. */
const BATCH = 64;
const BINS = 2048;

export interface ObserveOptions {
  readonly engine: Engine;
  readonly normalization: Normalization;
  /** So many training images. */
  readonly images: number;
  /** Chooses the images. */
  readonly seed: number;
}

/**
 * What values some tensors of a model have on training images, as they are (not augmented). The images are run twice, first for
 * the ranges, then for the histograms over them.
 *
 * @param tensors names of float32 values of the graph.
 * @throws KofnError if a value is not finite.
 */
export async function observe(
  model: Model,
  data: Dataset,
  tensors: readonly string[],
  { engine, normalization, images, seed }: ObserveOptions,
): Promise<Map<string, Observed>> {
  if (tensors.length === 0) return new Map();
  const { model: view, input, dims } = classifierOf(model);
  const fixed = view.graph.inputs.find(({ name }) => name === input)?.type?.shape?.[0];
  const batch = typeof fixed === "number" ? fixed : Math.min(BATCH, images);
  const made = tensors.filter((name) => name !== input);
  const outputs = made.map((name) => ({ name, type: { dtype: "float32", shape: undefined } as const }));
  const session = await engine.session({ ...view, graph: { ...view.graph, outputs } });
  const loader = new BatchLoader(data.train, data, new BatchFiller(data, normalization));
  const order = epochOrder(data.train.count, seed, 0).subarray(0, images);
  const pixels = new Float32Array(batch * dims.reduce((product, dim) => product * dim, 1));
  const labels = new BigInt64Array(batch);
  const feeds = { [input]: engine.value("float32", [batch, ...dims], pixels) };
  const pass = async (visit: (name: string, values: Float32Array) => void): Promise<void> => {
    for (let start = 0; start < order.length; start += batch) {
      const filled = await loader.load(order, start, 0, pixels, labels);
      const results = await run(session, feeds, made);
      for (const name of tensors) {
        const values = name === input ? pixels : (results[name].data as Float32Array);
        visit(name, values.subarray(0, (values.length / batch) * filled));
      }
    }
  };
  try {
    const ranges = new Map(tensors.map((name) => [name, new Range()]));
    await pass((name, values) => {
      ranges.get(name)?.add(values);
    });
    for (const [name, { magnitudes }] of ranges) {
      if (Number.isFinite(magnitudes)) continue;
      throw new KofnError(
        `calibration: the values of "${name}" are not all finite; the model's weights are damaged.`,
      );
    }
    const histograms = new Map(tensors.map((name) => [name, new Float64Array(BINS)]));
    await pass((name, values) => {
      const [range, histogram] = [ranges.get(name), histograms.get(name)];
      if (range !== undefined && histogram !== undefined) count(values, range, histogram);
    });
    return new Map(
      [...ranges].map(([name, { min, max, magnitudes, values }]) => {
        const histogram = histograms.get(name) ?? new Float64Array(BINS);
        return [name, { min, max, meanMagnitude: magnitudes / values, histogram }];
      }),
    );
  } finally {
    await loader.close();
    await session.close();
  }
}

function run(
  session: Session,
  feeds: Readonly<Record<string, Value>>,
  names: readonly string[],
): Promise<Readonly<Record<string, Value>>> {
  return session.run(feeds, Object.fromEntries(names.map((name) => [name, null])));
}

class Range {
  min = Infinity;
  max = -Infinity;
  magnitudes = 0;
  values = 0;

  add(values: Float32Array): void {
    let { min, max, magnitudes } = this;
    for (const value of values) {
      if (value < min) min = value;
      if (value > max) max = value;
      magnitudes += Math.abs(value);
    }
    this.min = min;
    this.max = max;
    this.magnitudes = magnitudes;
    this.values += values.length;
  }
}

function count(values: Float32Array, { min, max }: Range, histogram: Float64Array): void {
  const factor = max > min ? histogram.length / (max - min) : 0;
  const last = histogram.length - 1;
  for (const value of values) histogram[Math.min(last, ((value - min) * factor) | 0)]++;
}
