/** The integer model of a run that was trained quantized. */

import { importModel } from "../import/import.js";
import type { Model } from "../onnx/model.js";
import { cutQuantized } from "./cut.js";
import { exportQuantized, type QuantizedExport } from "./export.js";
import { withoutQuantizedActivations } from "./simulate.js";
import type { Quantization } from "../quantize/types.js";

/**
 * {@link exportQuantized} of a trained model, without the channels that its masks leave without effect.
 *
 * @param masked at the shapes of the masks, with scale times code as its quantized weights and its activations quantized.
 * @throws InputError if the quantization does not belong to the model.
 * @example
 * await saveModel(exportTrained(run.masked, run.quantization).model, "model.quantized.onnx");
 */
export function exportTrained(masked: Model, trained: Quantization): QuantizedExport {
  const { model, quantization } = bareModel(masked, trained);
  return exportQuantized(model, quantization);
}

/** The model with float activations, without the channels that make no difference, and its quantization, cut likewise. */
export function bareModel(
  masked: Model,
  trained: Quantization,
): { model: Model; quantization: Quantization } {
  return cutQuantized(importModel(withoutQuantizedActivations(masked, trained.activations)), trained);
}
