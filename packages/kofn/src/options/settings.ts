/** Turns a config into the trainer's options and back, and knows their defaults. */

import { formatAugmentation, parseAugmentation } from "../data/augment.js";
import { formatNormalization, parseNormalization } from "../data/normalization.js";
import { InputError } from "../errors.js";
import type { OptimizerOptions } from "../optim/options.js";
import { formatBudget, parseShare } from "../prune/budget.js";
import { entriesOf, formatAmount, formatRule, parseAmount, parsePrune } from "../prune/spec.js";
import type { Budget, PruneRule } from "../prune/types.js";
import { formatQuantizeRule, parseQuantize, quantizeEntries } from "../quantize/spec.js";
import type { QuantizeRule } from "../quantize/types.js";
import type { Config } from "./config.js";
import { defaultOptimizer } from "./defaults.js";
import type { PlainOptions } from "./types.js";
import { withDefaults } from "./with-defaults.js";

/**
 * The trainer's options for a config.
 *
 * @param pretrained whether the model's weights are trained already, which changes defaults.
 * @throws InputError for a prune spec or an amount that can't be read, or settings that contradict each other.
 */
export function optionsOf(config: Config, pretrained = false): PlainOptions {
  const prune = new Map<string, PruneRule | "none">();
  for (const spec of config.prune ?? []) {
    const { pattern, rule } = parsePrune(spec);
    prune.delete(pattern);
    prune.set(pattern, rule);
  }
  const quantize = new Map<string, QuantizeRule>();
  for (const spec of config.quantize ?? []) {
    const { pattern, rule } = parseQuantize(spec);
    quantize.delete(pattern);
    quantize.set(pattern, rule);
  }
  const { tau, beta, entropy, init, shrink, "logit-lr": logitRate } = config;
  const logits =
    config["logit-optimizer"] ?? (logitRate === undefined ? undefined : { kind: "adam", lr: logitRate });
  const { epochs, batch, schedule, warmup, "batch-norm": batchNorm, seed, threads, provider, limit } = config;
  const { augment, normalize, recalibrate, distill } = config;
  return {
    prune,
    ...(quantize.size === 0 ? {} : { quantize }),
    ...defined({ quantizeFrom: config["quantize-from"], freezeFrom: config["freeze-from"] }),
    ...(pretrained ? { pretrained } : {}),
    optimizer: optimizerOf(config, pretrained),
    ...(augment === undefined ? {} : { augment: parseAugmentation(augment) }),
    ...(normalize === undefined ? {} : { normalize: parseNormalization(normalize) }),
    ...budgetOf(config),
    ...(config.keep === undefined ? {} : { keep: parseAmount(config.keep, `keep "${config.keep}"`) }),
    sampler: {
      ...(logits === undefined ? {} : { optimizer: logits }),
      ...defined({ tau, beta, entropy, init, shrink }),
    },
    ...defined({ epochs, batch, schedule, warmup, batchNorm, recalibrate, seed, threads, provider, limit }),
    ...(distill === undefined ? {} : { distill: { weight: distill[0], temperature: distill[1] } }),
  };
}

function budgetOf(config: Config): Pick<PlainOptions, "budget"> {
  const { budget, macs, granularity, allocation, round } = config;
  const how = defined({ granularity, allocation, round });
  if (budget !== undefined && macs !== undefined) {
    throw new InputError(
      `budget "${budget}" of weights and macs "${macs}": a run has one budget. Leave one of them out.`,
    );
  }
  if (macs !== undefined) return { budget: { macs: parseShare(macs, `macs "${macs}"`), ...how } };
  if (budget !== undefined) {
    const times = 1 / parseShare(budget, `budget "${budget}"`);
    return { budget: { weights: Number(times.toPrecision(15)), ...how } };
  }
  const lone = Object.keys(how).at(0);
  if (lone === undefined) return {};
  throw new InputError(
    `${lone} says how a budget chooses, and there is none. Give one (--budget 10x or --macs 30%), or leave ${lone} out.`,
  );
}

function optimizerOf(config: Config, pretrained: boolean): OptimizerOptions {
  const { optimizer, lr, momentum, "weight-decay": weightDecay } = config;
  const base = typeof optimizer === "object" ? optimizer : defaultOptimizer(pretrained, optimizer);
  const shared = defined({ lr, weightDecay });
  if (base.kind === "sgd") return { ...base, ...shared, ...defined({ momentum }) };
  if (momentum !== undefined) {
    throw new InputError(
      `momentum ${momentum} goes with the optimizer sgd, and this run has adam. Choose sgd (--optimizer sgd) or leave momentum out.`,
    );
  }
  return { ...base, ...shared };
}

/** A config that says all of the options, defaults included: what config.json holds. `optionsOf` reads it back. */
export function configOf(options: PlainOptions): Config {
  const { keep, budget, limit, provider = "cpu" } = options;
  const {
    sampler,
    optimizer,
    epochs,
    batch,
    schedule,
    warmup,
    batchNorm,
    recalibrate,
    distill,
    quantizeFrom,
    freezeFrom,
    seed,
    threads,
  } = withDefaults(options);
  const quantize = quantizeEntries(options.quantize ?? {});
  const { tau, beta, entropy, init, shrink, optimizer: logits } = sampler;
  const plainLogits = isPlainAdam(logits) && logits.weightDecay === undefined;
  return {
    prune: entriesOf(options.prune ?? {}).map(([pattern, rule]) => `${pattern}=${formatRule(rule)}`),
    ...(keep === undefined ? {} : { keep: formatAmount(keep) }),
    ...(budget === undefined ? {} : budgetConfig(budget)),
    ...(quantize.length === 0
      ? {}
      : {
          quantize: quantize.map(([pattern, rule]) => `${pattern}=${formatQuantizeRule(rule)}`),
          "quantize-from": quantizeFrom,
        }),
    ...(freezeFrom === undefined ? {} : { "freeze-from": freezeFrom }),
    epochs,
    batch,
    ...optimizerConfig(optimizer),
    schedule,
    warmup,
    ...(plainLogits ? { "logit-lr": logits.lr } : { "logit-optimizer": logits }),
    tau,
    beta,
    entropy,
    init,
    shrink,
    "batch-norm": batchNorm,
    recalibrate,
    ...(distill === undefined ? {} : { distill: [distill.weight, distill.temperature] as const }),
    ...(options.augment === undefined ? {} : { augment: formatAugmentation(options.augment) }),
    ...(options.normalize === undefined ? {} : { normalize: formatNormalization(options.normalize) }),
    seed,
    threads,
    provider,
    ...defined({ limit }),
  };
}

function budgetConfig(budget: Budget): Config {
  const { granularity = "weights", allocation = "erk", round = 1 } = budget;
  const amount = formatBudget(budget);
  return { ...("macs" in budget ? { macs: amount } : { budget: amount }), granularity, allocation, round };
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
