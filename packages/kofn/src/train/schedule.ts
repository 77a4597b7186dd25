/** Values that change over training. Progress runs from 0 (first step) to 1 (last step). */

import { mixupShare } from "../data/augment.js";
import type { LearningRateSchedule } from "../options/types.js";
import type { Settings } from "../options/with-defaults.js";
import type { Optimizer } from "../optim/optimizer.js";
import type { At, Draw } from "../step/step.js";
import { SHARE } from "../task/classification.js";

/** Linear from `from` to `to`. */
export function linear([from, to]: readonly [number, number], progress: number): number {
  return from + (to - from) * progress;
}

/**
 * The learning rate as a factor of its peak: a linear rise over the first `warmup` of training, then constant, half a
 * cosine to 0, a line to 0, or "step": a tenth from one half of training on, a hundredth from three quarters on.
 */
export function learningRateFactor(schedule: LearningRateSchedule, warmup: number, progress: number): number {
  if (progress < warmup) return progress / warmup;
  const rest = warmup < 1 ? (progress - warmup) / (1 - warmup) : 1;
  switch (schedule) {
    case "constant":
      return 1;
    case "cosine":
      return (1 + Math.cos(Math.PI * rest)) / 2;
    case "linear":
      return 1 - rest;
    case "step":
      return rest < 0.5 ? 1 : rest < 0.75 ? 0.1 : 0.01;
  }
}

/**
 * k at a progress, for a layer that shrinks from n to its target over `[from, to]` of training: cubic, as Zhu and Gupta
 * (arXiv 1710.01878) raise sparsity, k(p) = k + (n - k) (1 - (p - from) / (to - from))^3.
 */
export function kAt(
  n: number,
  target: number,
  [from, to]: readonly [number, number],
  progress: number,
): number {
  if (progress >= to) return target;
  if (progress < from) return n;
  const left = 1 - (progress - from) / (to - from);
  return Math.min(n, target + Math.round((n - target) * left ** 3));
}

/** What a schedule is made of. */
export interface ScheduleOptions {
  readonly settings: Settings;
  readonly layers: readonly { readonly n: number; readonly k: number }[];
  /** Of the whole run. */
  readonly steps: number;
  readonly optimizers: Readonly<Record<"weights" | "logits" | "scales", Optimizer>>;
  /** Whether anything is to be quantized. */
  readonly quantizes: boolean;
}

/** What each step of a run is told: a function of the settings and the step's number, from 0, alone. */
export class Schedule {
  readonly steps: number;
  /** The first step that is quantized. */
  readonly quantizedFrom: number | undefined;
  readonly optimizers: ScheduleOptions["optimizers"];
  readonly #options: ScheduleOptions;
  readonly #frozenFrom: number;

  constructor(options: ScheduleOptions) {
    const { steps, quantizes, settings } = options;
    this.#options = options;
    this.steps = steps;
    this.optimizers = options.optimizers;
    const stepAt = (share: number): number => Math.ceil(share * (steps - 1));
    this.quantizedFrom = quantizes ? stepAt(settings.quantizeFrom) : undefined;
    this.#frozenFrom = settings.freezeFrom === undefined ? Infinity : stepAt(settings.freezeFrom);
  }

  at(step: number): At {
    const { optimizers } = this;
    const { settings } = this.#options;
    const { optimizer, sampler, scaleRate, augment, seed } = settings;
    const factor = this.#factor(step);
    const begun = step - (this.quantizedFrom ?? Infinity) + 1;
    const rate = this.#learns(step) ? sampler.optimizer.lr * factor : 0;
    return {
      draw: this.draw(step),
      phase: begun > 0 ? "quantized" : "float",
      tau: linear(sampler.tau, this.#progress(step)),
      task: augment.mixup === undefined ? {} : { [SHARE]: mixupShare(augment.mixup, seed, step) },
      weights: optimizers.weights.scalars(step + 1, optimizer.lr * factor),
      logits: optimizers.logits.scalars(step + 1, rate),
      scales: optimizers.scales.scalars(Math.max(begun, 1), scaleRate * factor),
    };
  }

  /** How a step's masks are drawn. */
  draw(step: number): Draw {
    const { layers, settings } = this.#options;
    const progress = this.#progress(step);
    const beta = this.#learns(step) ? linear(settings.sampler.beta, progress) : 0;
    const k = layers.map(({ n, k }) => kAt(n, k, settings.sampler.shrink, progress));
    return { step, beta, k };
  }

  learningRate(step: number): number {
    return this.#options.settings.optimizer.lr * this.#factor(step);
  }

  /** Whether a step is one of what the run is to end with: every k at its target, quantized, and frozen, if so asked. */
  isAtTarget(step: number): boolean {
    const { k } = this.draw(step);
    return (
      this.#options.layers.every((layer, i) => k[i] === layer.k) &&
      step >= (this.quantizedFrom ?? 0) &&
      (this.#options.settings.freezeFrom === undefined || step >= this.#frozenFrom)
    );
  }

  /** Whether masks stay as they are from a step on. */
  isFrozen(step: number): boolean {
    return step >= this.#frozenFrom;
  }

  /** Whether logits are learned in a step, as DPP does. */
  #learns(step: number): boolean {
    return this.#options.settings.method === "dpp" && !this.isFrozen(step);
  }

  #factor(step: number): number {
    const { schedule, warmup } = this.#options.settings;
    return learningRateFactor(schedule, warmup, this.#progress(step));
  }

  #progress(step: number): number {
    return this.steps > 1 ? step / (this.steps - 1) : 1;
  }
}
