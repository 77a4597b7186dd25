/** Trains and prunes a model: the library's main function. */

import type {
  EpochMetrics,
  Evaluation,
  MaskMetrics,
  Progress,
  Recalibration,
} from "@kofn/format/run/types.js";
import { stepsPerEpoch } from "../data/batches.js";
import type { Split } from "../data/types.js";
import { InputError, KofnError } from "../errors.js";
import { importModel } from "../import/import.js";
import { cutQuantized } from "../integers/cut.js";
import { simulateQuantized, withQuantizedActivations } from "../integers/simulate.js";
import { type Heatmap, heatmapOf } from "../metrics/heatmaps.js";
import { meanConfidence } from "../metrics/masks.js";
import type { Model } from "../onnx/model.js";
import { type Tensor, tensor } from "../onnx/tensor.js";
import { withDefaults } from "../options/with-defaults.js";
import { planPruning } from "../prune/budget.js";
import { membersOf } from "../prune/groups.js";
import { type LayerMask, maskedModel, maskOfLogits, masksOfWeights } from "../prune/mask.js";
import { removeMaps } from "../prune/structure/remove.js";
import { planQuantization } from "../quantize/plan.js";
import type { Quantization } from "../quantize/types.js";
import { normNodes } from "../step/batch-norm.js";
import { logitsName } from "../step/names.js";
import { trainable } from "../step/parameters.js";
import { checkFinite } from "../step/trainability.js";
import { checkInterface, evaluateOn } from "../task/evaluate.js";
import { chooseNormalization, withNormalization } from "../task/normalize.js";
import { recalibrate, type RecalibrateOptions } from "../train/recalibrate.js";
import { type EpochTotals, Trainer } from "../train/trainer.js";
import { MaskHistory } from "./mask-history.js";
import { reportOf } from "./report-data.js";
import { Run } from "./run.js";
import type { Checkpoint, TrainOptions } from "./types.js";

/** The state at the best epoch so far: parameters and logits by name. */
type Best = ReadonlyMap<string, Tensor>;

/**
 * Trains a classifier while learning which weights to keep, exactly k of n in every group, by Dynamic Probabilistic
 * Pruning (Gonzalez-Carabarin et al., arXiv 2105.12686).
 *
 * After each epoch the deterministic mask (the k largest logits of each group) is evaluated on the validation split;
 * the best epoch with every k at its target is kept, and evaluated on the test split once, at the end.
 *
 * @throws InputError if an option, the model or the data does not fit.
 * @throws KofnError if training diverges or onnxruntime fails; the signal's reason if it is aborted.
 *
 * @example
 * const run = await train({
 *   model: zoo.lenet300100(),
 *   data: datasets.glyphs(),
 *   prune: { fc1: weights({ k: 40 }), fc2: weights({ k: 30 }) },
 *   epochs: 5,
 * });
 * console.log(run.report.result.test.accuracy, run.report.totals.compression); // 0.97..., 16.6...
 * await run.save("runs/a");
 */
export async function train(options: TrainOptions): Promise<Run> {
  const { data, provider = "cpu" } = options;
  const model = importModel(options.model);
  checkInterface(model, data);
  checkFinite(model.graph, trainable(model.graph));
  const { normalization } = await chooseNormalization(model, data, options);
  const prepared = {
    ...options,
    augment: options.augment ?? data.augmentation ?? {},
    normalize: normalization,
  };
  const settings = withDefaults(prepared);
  const { layers, budget } = planPruning(model.graph, options);
  const count = sampleCount(data.train, options.limit);
  const quantization = planQuantization(model.graph, options.quantize);
  const trainer = await Trainer.create(model, data, count, layers, settings, { provider, quantization });
  try {
    const metrics: EpochMetrics[] = [];
    let best: Best | undefined;
    let seconds = 0;
    if (options.resume !== undefined) {
      ({ best, seconds } = restore(trainer, options.resume));
      metrics.push(...options.resume.metrics);
    }
    const history = maskHistory(trainer, options.resume);
    const heatmaps: Heatmap[][] = [];
    let bestEpoch = metrics.findLast((line) => line.best);
    const begin = performance.now() - seconds * 1000;
    const elapsed = (): number => (performance.now() - begin) / 1000;
    const stepsBefore = metrics.length * trainer.stepsPerEpoch;

    for (let epoch = metrics.length + 1; epoch <= settings.epochs; epoch++) {
      const epochBegin = performance.now();
      const totals = await trainer.epoch(
        epoch,
        ({ stepInEpoch, loss, learningRate, tau }) => {
          const step = (epoch - 1) * trainer.stepsPerEpoch + stepInEpoch;
          const stepsPerSecond = (step - stepsBefore) / (elapsed() - seconds);
          options.onProgress?.({
            epoch,
            epochs: settings.epochs,
            step,
            steps: trainer.steps,
            loss,
            learningRate,
            tau,
            samplesPerSecond: (stepInEpoch * settings.batch * 1000) / (performance.now() - epochBegin),
            remainingSeconds: (trainer.steps - step) / stepsPerSecond,
            ...(metrics.length > 0
              ? { validationAccuracy: metrics[metrics.length - 1].validation.accuracy }
              : {}),
            ...confidenceOf(metrics.at(-1)),
          });
        },
        options.signal,
      );
      const { values, quantization: learned } = trainer.parameters();
      const masks = trainer.masks();
      const candidate = simulateQuantized(maskedModel(model, values, masks), learned);
      const validation = await evaluateOn(trainer.engine, candidate, data.validation, data, normalization);
      if (!Number.isFinite(validation.loss)) {
        throw new KofnError(
          `training diverged: the validation loss after epoch ${epoch} is ${validation.loss}; lower the learning rate`,
        );
      }
      const improved =
        trainer.atTarget && (bestEpoch === undefined || isBetter(validation, bestEpoch.validation));
      const figures = history.record({
        masks,
        k: totals.k,
        logits: logitsOf(trainer),
        beta: totals.beta,
        parameter: (name) => trainer.state.get(name),
      });
      const line = epochMetrics(trainer, epoch, totals, figures, validation, elapsed(), improved);
      metrics.push(line);
      heatmaps.push(masks.map(heatmapOfMask));
      if (improved) {
        bestEpoch = line;
        best = bestState(trainer);
      }
      options.onEpoch?.(line, heatmaps[heatmaps.length - 1]);
      if (options.onCheckpoint !== undefined && epoch < settings.epochs) {
        await options.onCheckpoint(checkpoint(trainer, best, history, metrics, elapsed()));
      }
    }
    if (best === undefined || bestEpoch === undefined) {
      throw new InputError(
        `the last epoch did not reach what the run was to end with: k at its target, quantized, masks frozen; let k shrink over less ` +
          `of training (sampler.shrink, --shrink), and quantize (quantizeFrom, --quantize-from) and freeze (freezeFrom, --freeze-from) earlier`,
      );
    }

    restoreBest(trainer, best);
    const masks = trainer.masks();
    const { values, quantization: learned } = trainer.parameters();
    const trained = maskedModel(model, values, masks);
    const { chosen, recalibration } = await recalibrated(trained, bestEpoch.validation, {
      engine: trainer.engine,
      data,
      normalization,
      augment: settings.augment,
      count,
      batch: settings.batch,
      batches: settings.batchNorm === "frozen" ? 0 : settings.recalibrate,
      seed: settings.seed,
      quantization: learned,
    });
    const final = withNormalization(chosen, normalization);
    const maskTensors = new Map(
      masks
        .flatMap(masksOfWeights)
        .map(({ layer, mask }) => [layer.weight, tensor("uint8", layer.dims, mask)] as const),
    );
    const hasMaps = layers.some(({ granularity }) => granularity === "maps");
    const remains = hasMaps ? removeMaps(final, maskTensors) : undefined;
    const left = hasMaps ? cutQuantized(final, learned) : { model: final, quantization: learned };
    const removed = simulateQuantized(left.model, left.quantization);
    // Biases are rounded in what is left, when the shares of removed maps have been added to them.
    const masked = hasMaps ? withQuantizedActivations(final, learned.activations) : removed;
    const test = await evaluateOn(trainer.engine, removed, data.test, data, normalization);
    const report = reportOf({
      model: final,
      masks,
      ...(budget === undefined ? {} : { budget }),
      remains,
      quantization: learned,
      logits: logitsOf(trainer),
      beta: bestEpoch.beta,
      parameter: (name) => trainer.state.get(name),
      neverChosen: history.neverChosen(),
      seed: settings.seed,
      provider,
      data: {
        name: data.name,
        train: count,
        validation: data.validation.count,
        test: data.test.count,
        classes: data.classes,
      },
      result: {
        validation: recalibration?.kept === true ? recalibration.after : bestEpoch.validation,
        test,
      },
      ...(recalibration === undefined ? {} : { recalibration }),
      training: {
        epochs: settings.epochs,
        steps: trainer.steps,
        seconds: elapsed(),
        samplesPerSecond: mean(metrics.map((line) => line.samplesPerSecond)),
      },
    });
    return new Run(report, removed, masked, maskTensors, metrics, prepared, learned, {
      epochs: heatmaps,
      result: masks.map(heatmapOfMask),
    });
  } finally {
    await trainer.close();
  }
}

/** The model with its batch normalisation measured anew, where that does better on the validation split. */
async function recalibrated(
  trained: Model,
  before: Evaluation,
  options: RecalibrateOptions & { readonly quantization: Quantization },
): Promise<{ chosen: Model; recalibration?: Recalibration }> {
  const { engine, data, normalization, quantization } = options;
  const batches = Math.min(options.batches, stepsPerEpoch(options.count, options.batch));
  if (batches === 0 || normNodes(trained.graph).length === 0) return { chosen: trained };
  const measured = maskedModel(trained, await recalibrate(trained, { ...options, batches }), []);
  const quantized = simulateQuantized(measured, quantization);
  const after = await evaluateOn(engine, quantized, data.validation, data, normalization);
  const kept = isBetter(after, before);
  return { chosen: kept ? measured : trained, recalibration: { batches, before, after, kept } };
}

/** More right answers, or as many with less loss. */
function isBetter(one: Evaluation, other: Evaluation): boolean {
  return one.accuracy > other.accuracy || (one.accuracy === other.accuracy && one.loss < other.loss);
}

function sampleCount(split: Split, limit: number | undefined): number {
  if (limit === undefined) return split.count;
  if (!Number.isSafeInteger(limit) || limit < 1) {
    throw new InputError(`limit must be a whole number of at least 1, got ${limit}`);
  }
  return Math.min(limit, split.count);
}

function epochMetrics(
  trainer: Trainer,
  epoch: number,
  totals: EpochTotals,
  layers: readonly MaskMetrics[],
  validation: EpochMetrics["validation"],
  seconds: number,
  best: boolean,
): EpochMetrics {
  return {
    epoch,
    step: epoch * trainer.stepsPerEpoch,
    train: { loss: totals.loss, accuracy: totals.accuracy },
    validation,
    learningRate: totals.learningRate,
    tau: totals.tau,
    beta: totals.beta,
    samplesPerSecond: (trainer.stepsPerEpoch * trainer.settings.batch) / totals.seconds,
    seconds,
    k: Object.fromEntries(
      trainer.layers.flatMap((layer, i) => membersOf(layer).map(({ name }) => [name, totals.k[i]])),
    ),
    layers,
    best,
  };
}

function logitsOf({ layers, state }: Trainer): Float32Array[] {
  return layers.map(({ weight }) => state.get(logitsName(weight)));
}

function heatmapOfMask({ layer: { name, groups, n }, units }: LayerMask): Heatmap {
  return heatmapOf(name, groups, n, units);
}

function confidenceOf(line: EpochMetrics | undefined): Pick<Progress, "confidence"> {
  const confidence = meanConfidence(line?.layers ?? []);
  return confidence === undefined ? {} : { confidence };
}

/** The masks of the epochs so far; a checkpoint's logits are those of its last epoch. */
function maskHistory(trainer: Trainer, resume: Checkpoint | undefined): MaskHistory {
  const k = resume?.metrics.at(-1)?.k;
  const logits = logitsOf(trainer);
  const masks =
    k === undefined
      ? trainer.masks()
      : trainer.layers.map((layer, i) => maskOfLogits(layer, logits[i], k[layer.name]));
  const history = new MaskHistory(masks);
  if (resume !== undefined) history.restore(tensorsUnder(resume, CHOSEN));
  return history;
}

function bestState(trainer: Trainer): Best {
  const wanted = new Set([
    ...trainer.parameterNames(),
    ...trainer.layers.map(({ weight }) => logitsName(weight)),
  ]);
  return new Map([...trainer.state.snapshot()].filter(([name]) => wanted.has(name)));
}

function restoreBest(trainer: Trainer, best: Best): void {
  trainer.state.restore(new Map([...trainer.state.snapshot(), ...best]));
}

const CURRENT = "current/";
const BEST = "best/";
const CHOSEN = "chosen/";

function checkpoint(
  trainer: Trainer,
  best: Best | undefined,
  history: MaskHistory,
  metrics: readonly EpochMetrics[],
  seconds: number,
): Checkpoint {
  const tensors = new Map<string, Tensor>();
  for (const [name, value] of trainer.state.snapshot()) tensors.set(CURRENT + name, value);
  for (const [name, value] of best ?? []) tensors.set(BEST + name, value);
  for (const [name, value] of history.snapshot()) tensors.set(CHOSEN + name, value);
  return { tensors, metrics: [...metrics], seconds };
}

function restore(trainer: Trainer, checkpoint: Checkpoint): { best: Best | undefined; seconds: number } {
  trainer.state.restore(tensorsUnder(checkpoint, CURRENT));
  const best = tensorsUnder(checkpoint, BEST);
  return { best: best.size > 0 ? best : undefined, seconds: checkpoint.seconds };
}

function tensorsUnder({ tensors }: Checkpoint, prefix: string): Map<string, Tensor> {
  return new Map(
    [...tensors]
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, value]) => [name.slice(prefix.length), value]),
  );
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
