/** The options of a run with every default filled in, and checked. */

import { availableParallelism } from "node:os";
import { type Augmentation, checkAugmentation } from "../data/augment.js";
import type { Normalization } from "../data/normalization.js";
import { InputError } from "../errors.js";
import type { OptimizerOptions } from "../optim/options.js";
import type { GivenMasks } from "../prune/given-masks.js";
import { formatShare } from "../prune/spec.js";
import { checkSpan } from "./check.js";
import { defaultOptimizer, defaultsFor } from "./defaults.js";
import type {
  BatchNormMode,
  DistillOptions,
  LearningRateSchedule,
  PlainOptions,
  SamplerOptions,
} from "./types.js";

export interface Settings {
  readonly epochs: number;
  readonly batch: number;
  readonly optimizer: OptimizerOptions;
  readonly schedule: LearningRateSchedule;
  readonly warmup: number;
  readonly sampler: Required<SamplerOptions>;
  readonly batchNorm: BatchNormMode;
  readonly recalibrate: number;
  readonly distill?: DistillOptions;
  /** Share of training after which what is to be quantized is. */
  readonly quantizeFrom: number;
  /** Of the logarithms of quantization scales. */
  readonly scaleRate: number;
  /** Share of training after which masks stay as they are. Default: they never do. */
  readonly freezeFrom?: number;
  /** Masks that are given, and frozen from the start. Default: masks are learned. */
  readonly masks?: GivenMasks;
  readonly seed: number;
  readonly threads: number;
  readonly augment: Augmentation;
  /** Default: pixel / 255. */
  readonly normalize?: Normalization | "none";
}

/** The options that have defaults, and the masks that change some of them. */
type WithMasks = PlainOptions & { readonly masks?: GivenMasks };

/** @throws InputError if a setting is out of range. */
export function withDefaults(options: WithMasks): Settings {
  const { pretrained = false } = options;
  const defaults = defaultsFor(pretrained);
  const settings: Settings = {
    epochs: options.epochs ?? defaults.epochs,
    batch: options.batch ?? 64,
    optimizer: options.optimizer ?? defaultOptimizer(pretrained),
    schedule: options.schedule ?? "cosine",
    warmup: options.warmup ?? 0,
    sampler: {
      ...defaults.sampler,
      ...(options.masks === undefined ? {} : { shrink: [0, 0] as const }),
      ...options.sampler,
    },
    batchNorm: options.batchNorm ?? "train",
    recalibrate: options.recalibrate ?? 100,
    ...(options.distill === undefined ? {} : { distill: options.distill }),
    quantizeFrom: options.quantizeFrom ?? defaults.quantizeFrom,
    scaleRate: defaults.scaleRate,
    ...(options.freezeFrom === undefined ? {} : { freezeFrom: options.freezeFrom }),
    ...givenMasks(options),
    seed: options.seed ?? 1,
    threads: options.threads ?? availableParallelism(),
    augment: options.augment ?? {},
    ...(options.normalize === undefined ? {} : { normalize: options.normalize }),
  };
  const { sampler, distill } = settings;
  checkCount("epochs", settings.epochs, 1);
  checkCount("batch", settings.batch, 1);
  checkCount("recalibrate", settings.recalibrate, 0);
  if (distill !== undefined) {
    const { weight, temperature } = distill;
    checkRange("distill.weight", weight, weight > 0 && weight <= 1, "above 0 and at most 1");
    checkRange("distill.temperature", temperature, temperature > 0, "above 0");
  }
  checkCount("seed", settings.seed, 0);
  checkCount("threads", settings.threads, 1);
  checkAugmentation(settings.augment);
  checkSpan("shrink", sampler.shrink);
  checkRange(
    "warmup",
    settings.warmup,
    settings.warmup >= 0 && settings.warmup < 1,
    "at least 0 and below 1",
  );
  for (const tau of sampler.tau) checkRange("tau", tau, tau >= 0.01, "at least 0.01");
  for (const beta of sampler.beta) checkRange("beta", beta, beta >= 0, "at least 0");
  checkRange("entropy", sampler.entropy, sampler.entropy >= 0, "at least 0");
  checkPhases(settings);
  return settings;
}

/** Masks that are given stay as they are. */
function givenMasks({ masks, freezeFrom = 0, sampler }: WithMasks): Pick<Settings, "masks" | "freezeFrom"> {
  if (masks === undefined) return {};
  const [, shrunk] = sampler?.shrink ?? [0, 0];
  if (freezeFrom > 0 || shrunk > 0) {
    throw new InputError(
      "masks that are given (masks, --masks) stay as they are: they can't be frozen later (freezeFrom, --freeze-from), and k can't shrink (sampler.shrink, --shrink). Leave these out.",
    );
  }
  return { masks, freezeFrom };
}

function checkPhases({ quantizeFrom, freezeFrom, sampler }: Settings): void {
  const isShare = (value: number): boolean => value >= 0 && value < 1;
  checkRange("quantizeFrom", quantizeFrom, isShare(quantizeFrom), "at least 0 and below 1");
  if (freezeFrom === undefined) return;
  checkRange("freezeFrom", freezeFrom, isShare(freezeFrom), "at least 0 and below 1");
  const [, shrunk] = sampler.shrink;
  if (freezeFrom >= shrunk) return;
  throw new InputError(
    `masks can't be frozen after ${formatShare(freezeFrom)} of training (freezeFrom, --freeze-from), as k shrinks until ` +
      `${formatShare(shrunk)} of it (sampler.shrink, --shrink); freeze later, or let k shrink over less of training`,
  );
}

function checkCount(name: string, value: number, least: number): void {
  checkRange(
    name,
    value,
    Number.isSafeInteger(value) && value >= least,
    `a whole number of at least ${least}`,
  );
}

function checkRange(name: string, value: number, holds: boolean, expected: string): void {
  if (!holds || !Number.isFinite(value)) throw new InputError(`${name} must be ${expected}, got ${value}`);
}
