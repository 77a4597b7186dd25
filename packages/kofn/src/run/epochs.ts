/** Trains epoch by epoch: measures each on the validation split, remembers the best, and makes checkpoints. */

import type {
  BudgetResult,
  EpochMetrics,
  Evaluation,
  MaskMetrics,
  Progress,
} from "@kofn/format/run/types.js";
import type { Provider } from "@kofn/format/run/words.js";
import type { Normalization } from "../data/normalization.js";
import type { Dataset } from "../data/types.js";
import { KofnError } from "../errors.js";
import { simulateQuantized } from "../integers/simulate.js";
import { type Heatmap, heatmapOf } from "../metrics/heatmaps.js";
import { meanConfidence } from "../metrics/masks.js";
import type { Model } from "../onnx/model.js";
import { membersOf } from "../prune/units.js";
import { type LayerMask, maskedModel } from "../prune/mask.js";
import { logitsName } from "../step/names.js";
import { evaluateOn } from "../task/evaluate.js";
import type { EpochTotals, OnSteps, Trainer } from "../train/trainer.js";
import {
  checkpointOf,
  type EpochState,
  epochState,
  restoreCheckpoint,
  restoreHistory,
} from "./checkpoint.js";
import { MaskHistory } from "./mask-history.js";
import type { TrainOptions } from "./types.js";

/** What a run is made from, once all is settled. */
export interface Setup {
  /** With all that was left open. */
  readonly options: TrainOptions;
  /** As imported. */
  readonly model: Model;
  readonly data: Dataset;
  readonly normalization: Normalization;
  /** Trains on the first so many samples. */
  readonly count: number;
  readonly budget: BudgetResult | undefined;
  readonly provider: Provider;
  readonly trainer: Trainer;
}

/** How a run went. */
export interface Course {
  /** Of all epochs, those before a checkpoint included. */
  readonly metrics: EpochMetrics[];
  /** Of the epochs that were trained here. */
  readonly heatmaps: Heatmap[][];
  readonly history: MaskHistory;
  /** The best epoch with every k at its target, quantized and frozen, if so asked; undefined if there was none. */
  best: EpochState | undefined;
  bestEpoch: EpochMetrics | undefined;
  /** Seconds that the run took so far, and those of them before the checkpoint that it goes on from. */
  readonly elapsed: () => number;
  readonly secondsBefore: number;
}

/**
 * Trains the epochs that are left.
 *
 * @throws KofnError if training diverges or onnxruntime fails; the signal's reason if it is aborted.
 */
export async function trainEpochs(setup: Setup): Promise<Course> {
  const { trainer, options } = setup;
  const { epochs } = trainer.settings;
  const course = courseOf(setup);
  const { metrics, heatmaps, history } = course;
  const stepsBefore = metrics.length * trainer.stepsPerEpoch;
  for (let epoch = metrics.length + 1; epoch <= epochs; epoch++) {
    const onSteps = progressOf(setup, course, epoch, stepsBefore);
    const totals = await trainer.epoch(epoch, onSteps, options.signal);
    const line = await measure(setup, course, epoch, totals);
    options.onEpoch?.(line, heatmaps[heatmaps.length - 1]);
    if (options.onCheckpoint !== undefined && epoch < epochs) {
      await options.onCheckpoint(checkpointOf(trainer, course.best, history, metrics, course.elapsed()));
    }
  }
  return course;
}

/** The run so far: nothing, or what the checkpoint has that it goes on from, to which the trainer is put back. */
function courseOf({ trainer, options: { resume } }: Setup): Course {
  const best = resume === undefined ? undefined : restoreCheckpoint(trainer, resume);
  const { metrics, seconds } = resume ?? { metrics: [], seconds: 0 };
  const begin = performance.now() - seconds * 1000;
  return {
    metrics: [...metrics],
    heatmaps: [],
    history: resume === undefined ? new MaskHistory(trainer.masks()) : restoreHistory(trainer, resume),
    best,
    bestEpoch: metrics.findLast((line) => line.best),
    elapsed: () => (performance.now() - begin) / 1000,
    secondsBefore: seconds,
  };
}

function progressOf(
  { trainer, options }: Setup,
  course: Course,
  epoch: number,
  stepsBefore: number,
): OnSteps {
  const { steps, stepsPerEpoch, settings } = trainer;
  const { metrics, elapsed, secondsBefore } = course;
  const epochBegin = performance.now();
  return ({ stepInEpoch, loss, learningRate, tau }) => {
    const step = (epoch - 1) * stepsPerEpoch + stepInEpoch;
    const stepsPerSecond = (step - stepsBefore) / (elapsed() - secondsBefore);
    options.onProgress?.({
      epoch,
      epochs: settings.epochs,
      step,
      steps,
      loss,
      learningRate,
      tau,
      samplesPerSecond: (stepInEpoch * settings.batch * 1000) / (performance.now() - epochBegin),
      remainingSeconds: (steps - step) / stepsPerSecond,
      ...(metrics.length > 0 ? { validationAccuracy: metrics[metrics.length - 1].validation.accuracy } : {}),
      ...confidenceOf(metrics.at(-1)),
    });
  };
}

/** Evaluates the deterministic masks after an epoch, and adds it to the course. */
async function measure(
  { trainer, model, data, normalization }: Setup,
  course: Course,
  epoch: number,
  totals: EpochTotals,
): Promise<EpochMetrics> {
  const { values, quantization } = trainer.parameters();
  const masks = trainer.masks();
  const candidate = simulateQuantized(maskedModel(model, values, masks), quantization);
  const validation = await evaluateOn(trainer.engine, candidate, data.validation, data, normalization);
  if (!Number.isFinite(validation.loss)) {
    throw new KofnError(
      `training diverged: the validation loss after epoch ${epoch} is ${validation.loss}; lower the learning rate`,
    );
  }
  const { bestEpoch } = course;
  const improved =
    trainer.atTarget && (bestEpoch === undefined || isBetter(validation, bestEpoch.validation));
  const figures = course.history.record({
    masks,
    k: totals.k,
    logits: logitsOf(trainer),
    beta: totals.beta,
    parameter: (name) => trainer.state.get(name),
  });
  const line = epochMetrics(trainer, totals, {
    epoch,
    layers: figures,
    validation,
    seconds: course.elapsed(),
    best: improved,
  });
  course.metrics.push(line);
  course.heatmaps.push(masks.map(heatmapOfMask));
  if (improved) {
    course.bestEpoch = line;
    course.best = epochState(trainer);
  }
  return line;
}

/** More right answers, or as many with less loss. */
export function isBetter(one: Evaluation, other: Evaluation): boolean {
  return one.accuracy > other.accuracy || (one.accuracy === other.accuracy && one.loss < other.loss);
}

function epochMetrics(
  trainer: Trainer,
  totals: EpochTotals,
  line: Pick<EpochMetrics, "epoch" | "validation" | "seconds" | "best"> & { layers: readonly MaskMetrics[] },
): EpochMetrics {
  const { epoch, layers, validation, seconds, best } = line;
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

/** Of each pruned layer, [R, n]. */
export function logitsOf({ layers, state }: Trainer): Float32Array[] {
  return layers.map(({ weight }) => state.get(logitsName(weight)));
}

export function heatmapOfMask({ layer: { name, groups, n }, units }: LayerMask): Heatmap {
  return heatmapOf(name, groups, n, units);
}

function confidenceOf(line: EpochMetrics | undefined): Pick<Progress, "confidence"> {
  const confidence = meanConfidence(line?.layers ?? []);
  return confidence === undefined ? {} : { confidence };
}
