/** Shows how training goes: a live line on a terminal, a plain line per epoch elsewhere; both on stderr. */

import type { EpochMetrics, Progress } from "@kofn/format/run/types.js";
import { createLogUpdate } from "log-update";
import { clock, percent, whole } from "../figures.js";
import { meanConfidence } from "../metrics/masks.js";
import { note, styled } from "./terminal.js";

const BAR_CELLS = 24;
const REDRAW_MS = 100;

/** The parts of {@link TrainOptions} that report, and `stop`, which takes the live line away. */
export interface ProgressDisplay {
  onProgress(progress: Progress): void;
  onEpoch(metrics: EpochMetrics): void;
  stop(): void;
}

/** @param epochs how many epochs the run has. */
export function progressDisplay(epochs: number): ProgressDisplay {
  // Some terminals without a screen behind them have a width of 0.
  if (!process.stderr.isTTY || process.stderr.columns === 0) {
    return {
      onProgress: () => undefined,
      onEpoch: (metrics) => {
        note(epochLine(metrics, epochs));
      },
      stop: () => undefined,
    };
  }
  const live = createLogUpdate(process.stderr);
  let drawn = -Infinity;
  return {
    onProgress(progress) {
      const now = performance.now();
      if (now - drawn < REDRAW_MS) return;
      drawn = now;
      live(liveLine(progress));
    },
    onEpoch(metrics) {
      live.clear();
      const line = epochLine(metrics, epochs);
      note(metrics.best ? line : styled("dim", line, process.stderr));
    },
    stop() {
      live.clear();
      live.done();
    },
  };
}

/** "epoch  3/20 [######------] 45 %  loss 0.0312  val 98.12 %  conf 0.83  tau 2.31  45,012 samples/s  1:23 left" */
export function liveLine(progress: Progress): string {
  const { epoch, epochs, step, steps, loss, tau, samplesPerSecond, remainingSeconds } = progress;
  const done = step / steps;
  const cells = Math.round(BAR_CELLS * done);
  const bar = styled("cyan", "█".repeat(cells), process.stderr) + "░".repeat(BAR_CELLS - cells);
  return [
    `epoch ${epochNumber(epoch, epochs)} ${bar} ${`${Math.floor(100 * done)}`.padStart(3)} %`,
    `loss ${loss.toFixed(4)}`,
    ...(progress.validationAccuracy === undefined ? [] : [`val ${percent(progress.validationAccuracy)}`]),
    ...confidenceOf(progress.confidence),
    `tau ${tau.toFixed(2)}`,
    `${whole(samplesPerSecond)} samples/s`,
    `${clock(remainingSeconds)} left`,
  ].join("  ");
}

/** "epoch  3/20  loss 0.0312  val loss 0.0610  val 98.12 %  conf 0.83  tau 2.31  45,012 samples/s  0:31  best" */
export function epochLine(metrics: EpochMetrics, epochs: number): string {
  const { epoch, train, validation, tau, samplesPerSecond, seconds, best, layers = [] } = metrics;
  return [
    `epoch ${epochNumber(epoch, epochs)}`,
    `loss ${train.loss.toFixed(4)}`,
    `val loss ${validation.loss.toFixed(4)}`,
    `val ${percent(validation.accuracy)}`,
    ...confidenceOf(meanConfidence(layers)),
    `tau ${tau.toFixed(2)}`,
    `${whole(samplesPerSecond)} samples/s`,
    clock(seconds),
    ...(best ? ["best"] : []),
  ].join("  ");
}

/** The mean confidence of the masks, of a run that has any. */
function confidenceOf(confidence: number | undefined): string[] {
  return confidence === undefined ? [] : [`conf ${confidence.toFixed(2)}`];
}

function epochNumber(epoch: number, epochs: number): string {
  return `${String(epoch).padStart(String(epochs).length)}/${epochs}`;
}
