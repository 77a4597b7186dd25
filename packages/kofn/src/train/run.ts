/** A finished run: what it reports, the pruned model, its masks. */

import type { Model } from "../onnx/model.js";
import type { Tensor } from "../onnx/tensor.js";
import type { EpochMetrics, Report, TrainOptions } from "./types.js";

export class Run {
  readonly report: Report;
  /** Masks applied, deterministic; runs in stock onnxruntime. */
  readonly model: Model;
  /** One mask per pruned weight, by the weight's name and in its shape: 1 where a weight is kept. */
  readonly masks: ReadonlyMap<string, Tensor<"uint8">>;
  readonly metrics: readonly EpochMetrics[];
  readonly options: TrainOptions;

  constructor(
    report: Report,
    model: Model,
    masks: ReadonlyMap<string, Tensor<"uint8">>,
    metrics: readonly EpochMetrics[],
    options: TrainOptions,
  ) {
    this.report = report;
    this.model = model;
    this.masks = masks;
    this.metrics = metrics;
    this.options = options;
  }
}
