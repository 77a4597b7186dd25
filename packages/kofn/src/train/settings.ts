/** Turns a config into the trainer's options and back, and knows their defaults. */

import { InputError } from "../errors.js";
import { entriesOf, formatAmount, formatRule, parseAmount, parsePrune } from "../prune/spec.js";
import type { PruneRule } from "../prune/types.js";
import type { Config } from "./config.js";
import type { OptimizerOptions, TrainOptions } from "./types.js";

/** The part of {@link TrainOptions} that is plain settings. */
export type Settings = Omit<TrainOptions, "model" | "data" | "onProgress" | "onEpoch" | "signal">;

const DEFAULT_RATE = { adam: 0.001, sgd: 0.05 } as const;
const DEFAULT_LOGIT_RATE = 0.03;

/**
 * The trainer's options for a config.
 *
 * @throws InputError for a prune spec or an amount that can't be read, or settings that contradict each other.
 */
export function settingsOf(config: Config): Settings {
  const prune = new Map<string, PruneRule | "none">();
  for (const spec of config.prune ?? []) {
    const { pattern, rule } = parsePrune(spec);
    prune.delete(pattern);
    prune.set(pattern, rule);
  }
  const { tau, beta, entropy, init, shrink } = config;
  const { epochs, batch, schedule, warmup, seed, threads, provider, limit } = config;
  return {
    prune,
    optimizer: optimizerOf(config),
    ...(config.keep === undefined ? {} : { keep: parseAmount(config.keep, `keep "${config.keep}"`) }),
    sampler: {
      optimizer: config["logit-optimizer"] ?? { kind: "adam", lr: config["logit-lr"] ?? DEFAULT_LOGIT_RATE },
      ...defined({ tau, beta, entropy, init, shrink }),
    },
    ...defined({ epochs, batch, schedule, warmup, seed, threads, provider, limit }),
  };
}

function optimizerOf(config: Config): OptimizerOptions {
  const { optimizer = "adam", lr, momentum, "weight-decay": weightDecay } = config;
  const base = typeof optimizer === "string" ? { kind: optimizer, lr: DEFAULT_RATE[optimizer] } : optimizer;
  const shared = defined({ lr, weightDecay });
  if (base.kind === "sgd") return { ...base, ...shared, ...defined({ momentum }) };
  if (momentum !== undefined) {
    throw new InputError(
      `momentum ${momentum} goes with the optimizer sgd, and this run has adam. Choose sgd (--optimizer sgd) or leave momentum out.`,
    );
  }
  return { ...base, ...shared };
}

/** A config that says all of the settings, defaults included: what config.json holds. `settingsOf` reads it back. */
export function configOf(settings: Settings): Config {
  const {
    keep,
    limit,
    threads,
    sampler = {},
    optimizer = { kind: "adam", lr: DEFAULT_RATE.adam },
  } = settings;
  const logits = sampler.optimizer ?? { kind: "adam", lr: DEFAULT_LOGIT_RATE };
  const plainLogits = isPlainAdam(logits) && logits.weightDecay === undefined;
  return {
    prune: entriesOf(settings.prune ?? {}).map(([pattern, rule]) => `${pattern}=${formatRule(rule)}`),
    ...(keep === undefined ? {} : { keep: formatAmount(keep) }),
    epochs: settings.epochs ?? 20,
    batch: settings.batch ?? 64,
    ...optimizerConfig(optimizer),
    schedule: settings.schedule ?? "cosine",
    warmup: settings.warmup ?? 0,
    ...(plainLogits ? { "logit-lr": logits.lr } : { "logit-optimizer": logits }),
    tau: sampler.tau ?? [5, 0.5],
    beta: sampler.beta ?? [0.1, 0.1],
    entropy: sampler.entropy ?? 0,
    init: sampler.init ?? "normal",
    shrink: sampler.shrink ?? [0, 0],
    seed: settings.seed ?? 1,
    provider: settings.provider ?? "cpu",
    ...defined({ threads, limit }),
  };
}

function optimizerConfig(
  optimizer: OptimizerOptions,
): Pick<Config, "optimizer" | "lr" | "momentum" | "weight-decay"> {
  const { kind, lr, weightDecay = 0 } = optimizer;
  if (kind === "sgd" && optimizer.nesterov !== true) {
    return { optimizer: kind, lr, momentum: optimizer.momentum ?? 0, "weight-decay": weightDecay };
  }
  return isPlainAdam(optimizer) ? { optimizer: kind, lr, "weight-decay": weightDecay } : { optimizer };
}

/** Whether it is Adam without settings that only its object form has. */
function isPlainAdam(optimizer: OptimizerOptions): boolean {
  const { kind } = optimizer;
  return (
    kind === "adam" &&
    optimizer.beta1 === undefined &&
    optimizer.beta2 === undefined &&
    optimizer.epsilon === undefined
  );
}

type Defined<T> = { [Key in keyof T]?: Exclude<T[Key], undefined> };

/** The object without the keys whose value is undefined. */
function defined<T extends object>(values: T): Defined<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Defined<T>;
}
