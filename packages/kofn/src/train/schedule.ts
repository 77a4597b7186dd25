/** Values that change over training. Progress runs from 0 (first step) to 1 (last step). */

import type { LearningRateSchedule } from "../options/types.js";

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
