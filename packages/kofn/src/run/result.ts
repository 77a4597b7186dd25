/** Makes a run's result of its best epoch: the final model, its masks and its report. */

import type { EpochMetrics, Evaluation, Recalibration } from "@kofn/format/run/types.js";
import { InputError } from "../errors.js";
import { cutQuantized } from "../integers/cut.js";
import { simulateQuantized, withQuantizedActivations } from "../integers/simulate.js";
import type { Model } from "../onnx/model.js";
import type { Tensor } from "../onnx/tensor.js";
import { type LayerMask, maskedModel, weightMasksOf } from "../prune/mask.js";
import { type Remains, removeMaps } from "../prune/structure/remove.js";
import type { Quantization } from "../quantize/types.js";
import { normNodes } from "../step/batch-norm.js";
import { evaluateOn } from "../task/evaluate.js";
import { withNormalization } from "../task/normalize.js";
import { recalibrate } from "../train/recalibrate.js";
import type { Trainer } from "../train/trainer.js";
import { restoreEpoch } from "./checkpoint.js";
import { type Course, heatmapOfMask, isBetter, logitsOf, type Setup } from "./epochs.js";
import { reportOf } from "./report-data.js";
import { Run } from "./run.js";

/**
 * @throws InputError if no epoch was one of what the run was to end with.
 * @throws KofnError if onnxruntime fails.
 */
export async function finish(setup: Setup, course: Course): Promise<Run> {
  const { trainer, data, normalization, options } = setup;
  const bestEpoch = restoreBest(trainer, course);
  const masks = trainer.masks();
  const { values, quantization } = trainer.parameters();
  const trained = maskedModel(setup.model, values, masks);
  const { chosen, recalibration } = await recalibrated(trained, bestEpoch.validation, setup, quantization);
  const final = withNormalization(chosen, normalization);
  const tensors = weightMasksOf(masks);
  const { remains, removed, masked } = cut(final, masks, tensors, quantization);
  const test = await evaluateOn(trainer.engine, removed, data.test, data, normalization);
  const validation = recalibration?.kept === true ? recalibration.after : bestEpoch.validation;
  const report = reportOf({
    ...figuresOf(setup, course),
    model: final,
    masks,
    remains,
    quantization,
    beta: bestEpoch.beta,
    result: { validation, test },
    ...(recalibration === undefined ? {} : { recalibration }),
  });
  return new Run({
    report,
    model: removed,
    masked,
    masks: tensors,
    metrics: course.metrics,
    options,
    quantization,
    heatmaps: { epochs: course.heatmaps, result: masks.map(heatmapOfMask) },
  });
}

/** Puts the trainer back to the best epoch. */
function restoreBest(trainer: Trainer, { best, bestEpoch }: Course): EpochMetrics {
  if (best === undefined || bestEpoch === undefined) {
    throw new InputError(
      `the last epoch did not reach what the run was to end with: k at its target, quantized, masks frozen; let k shrink over less ` +
        `of training (sampler.shrink, --shrink), and quantize (quantizeFrom, --quantize-from) and freeze (freezeFrom, --freeze-from) earlier`,
    );
  }
  restoreEpoch(trainer, best);
  return bestEpoch;
}

/** What a report has of setup and course alone. */
function figuresOf({ trainer, data, count, budget, provider }: Setup, { history, metrics, elapsed }: Course) {
  return {
    ...(budget === undefined ? {} : { budget }),
    logits: logitsOf(trainer),
    parameter: (name: string) => trainer.state.get(name),
    neverChosen: history.neverChosen(),
    seed: trainer.settings.seed,
    method: trainer.settings.method,
    provider,
    data: {
      name: data.name,
      train: count,
      validation: data.validation.count,
      test: data.test.count,
      classes: data.classes,
    },
    training: {
      epochs: trainer.settings.epochs,
      steps: trainer.steps,
      seconds: elapsed(),
      samplesPerSecond: mean(metrics.map((line) => line.samplesPerSecond)),
    },
  };
}

/** A trained model without its removed maps, and at its old shapes; both simulate what is quantized. */
function cut(
  final: Model,
  masks: readonly LayerMask[],
  tensors: ReadonlyMap<string, Tensor<"uint8">>,
  quantization: Quantization,
): { remains: Remains | undefined; removed: Model; masked: Model } {
  if (!masks.some(({ layer }) => layer.granularity === "maps")) {
    const model = simulateQuantized(final, quantization);
    return { remains: undefined, removed: model, masked: model };
  }
  const remains = removeMaps(final, tensors);
  const left = cutQuantized(final, quantization);
  return {
    remains,
    // Biases are rounded in what is left, when the shares of removed maps have been added to them.
    removed: simulateQuantized(left.model, left.quantization),
    masked: withQuantizedActivations(final, quantization.activations),
  };
}

/** The model with its batch normalisation measured anew, where that does better on the validation split. */
async function recalibrated(
  trained: Model,
  before: Evaluation,
  { trainer, data, normalization, count }: Setup,
  quantization: Quantization,
): Promise<{ chosen: Model; recalibration?: Recalibration }> {
  const { engine, settings, stepsPerEpoch } = trainer;
  const { augment, batch, seed } = settings;
  const batches = settings.batchNorm === "frozen" ? 0 : Math.min(settings.recalibrate, stepsPerEpoch);
  if (batches === 0 || normNodes(trained.graph).length === 0) return { chosen: trained };
  const options = { engine, data, normalization, augment, count, batch, batches, seed };
  const measured = maskedModel(trained, await recalibrate(trained, options), []);
  const quantized = simulateQuantized(measured, quantization);
  const after = await evaluateOn(engine, quantized, data.validation, data, normalization);
  const kept = isBetter(after, before);
  return { chosen: kept ? measured : trained, recalibration: { batches, before, after, kept } };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
