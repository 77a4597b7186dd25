/** A finished run: what it reports, the pruned model, its masks. */

import type { EpochMetrics, Report } from "@kofn/format/run/types.js";
import type { Model } from "../onnx/model.js";
import type { Tensor } from "../onnx/tensor.js";
import { configOf } from "../options/settings.js";
import type { Quantization } from "../quantize/types.js";
import { prepareRunDirectory } from "./directory.js";
import type { RunDirectoryOptions, RunHeatmaps, TrainOptions } from "./types.js";

/**
 * What `train` gives.
 *
 * @example
 * const { report, model, masks } = run;
 * masks.get("fc1.weight")?.array(); // Uint8Array of 0 and 1, in the weight's shape
 */
export class Run {
  readonly report: Report;
  /** Masks applied and maps removed, deterministic; runs in stock onnxruntime. */
  readonly model: Model;
  /** The same network with the shapes of the original: removed maps are 0. Equal to `model` without `maps`. */
  readonly masked: Model;
  /** One mask per pruned weight, by the weight's name and in its shape: 1 where a weight is kept. */
  readonly masks: ReadonlyMap<string, Tensor<"uint8">>;
  readonly metrics: readonly EpochMetrics[];
  readonly options: TrainOptions;
  /** Codes and scales of what is quantized, at the shapes of `masked`. */
  readonly quantization: Quantization;
  /** Pictures of the masks. */
  readonly heatmaps: RunHeatmaps;

  constructor(parts: Omit<Run, "save">) {
    this.report = parts.report;
    this.model = parts.model;
    this.masked = parts.masked;
    this.masks = parts.masks;
    this.metrics = parts.metrics;
    this.options = parts.options;
    this.quantization = parts.quantization;
    this.heatmaps = parts.heatmaps;
  }

  /**
   * Writes the run directory: model.onnx (with `maps` also model.masked.onnx; quantized, also model.quantized.onnx and
   * quantization.safetensors), report.json, report.html, masks.safetensors, metrics.jsonl, config.json, and heatmaps.bin if anything
   * is pruned and all epochs are at hand (not those before a checkpoint that the run went on from).
   *
   * @throws InputError if the folder can't be written, or holds a run (unless it is to be overwritten) or other things, or if
   * another process writes it.
   * @throws KofnError if a file can't be written.
   * @example
   * await run.save("runs/a");
   */
  async save(folder: string, options: RunDirectoryOptions = {}): Promise<void> {
    const { report, model, masked, masks, metrics, quantization, heatmaps } = this;
    const config = { model: report.model, data: report.data.name, ...configOf(this.options) };
    const directory = await prepareRunDirectory(folder, options);
    try {
      await directory.finish({ model, masked, report, masks, metrics, config, quantization, heatmaps });
    } finally {
      directory.close();
    }
  }
}
