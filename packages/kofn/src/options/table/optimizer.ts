/** Options of the weights' optimizer: how long, at which rate, by which rule. */

import { z } from "zod";
import { InputError } from "../../errors.js";
import type { OptimizerOptions } from "../../optim/options.js";
import type { ConfigOf } from "../fields.js";
import { below1, count, kind, notNegative, oneOf, positive } from "../kinds.js";
import { field, option } from "../option.js";

type OptimizerKind = OptimizerOptions["kind"];

/** Learning rates from scratch, and of a model whose weights are trained already. */
const RATES: Readonly<Record<OptimizerKind, { readonly default: number; readonly pretrained: number }>> = {
  adam: { default: 0.002, pretrained: 0.001 },
  sgd: { default: 0.05, pretrained: 0.02 },
};

const adam = z.strictObject({
  kind: z.literal("adam"),
  lr: positive.schema,
  beta1: below1.schema.exactOptional(),
  beta2: below1.schema.exactOptional(),
  epsilon: positive.schema.exactOptional(),
  weightDecay: notNegative.schema.exactOptional(),
});
const sgd = z.strictObject({
  kind: z.literal("sgd"),
  lr: positive.schema,
  momentum: below1.schema.exactOptional(),
  nesterov: z.boolean().exactOptional(),
  weightDecay: notNegative.schema.exactOptional(),
});

/** An optimizer with all its settings, which only files can say. */
export const optimizerObject = kind<OptimizerOptions>(
  z.discriminatedUnion("kind", [adam, sgd], {
    error: "expected an object with kind (adam or sgd), lr and others",
  }),
  { write: () => undefined },
);

export const OPTIMIZER = {
  /** Passes over the training data. */
  epochs: field({
    kind: count(1),
    value: "<n>",
    help: "passes over the training data",
    default: 20,
    pretrained: 15,
  }),
  /** Samples per step. */
  batch: field({ kind: count(1), value: "<n>", help: "samples per step", default: 64 }),
  optimizer: option({
    kind: kind<OptimizerKind | OptimizerOptions>(
      z.union([z.enum(["adam", "sgd"]), optimizerObject.schema], {
        error: "expected adam, sgd, or an object with kind, lr and others",
      }),
      { write: (value) => (typeof value === "string" ? [value] : undefined) },
    ),
    value: "<name>",
    help: "adam or sgd",
    default: "adam",
  }),
  lr: option({
    kind: positive,
    value: "<x>",
    help: "learning rate",
    otherwise:
      `${RATES.adam.default} for adam, ${RATES.sgd.default} for sgd; ` +
      `for an .onnx file ${RATES.adam.pretrained} and ${RATES.sgd.pretrained}`,
  }),
  /** How the learning rate goes over training. */
  schedule: field({
    kind: oneOf(["constant", "cosine", "linear", "step"]),
    value: "<name>",
    help: "of the learning rate: constant, cosine, linear, step",
    default: "cosine",
  }),
  /** Share of training over which the learning rate rises linearly from 0. */
  warmup: field({
    kind: below1,
    value: "<x>",
    help: "share of training over which the learning rate rises",
    default: 0,
  }),
  weightDecay: option({ kind: notNegative, value: "<x>", help: "decoupled weight decay", default: 0 }),
  momentum: option({
    kind: below1,
    value: "<x>",
    help: "momentum, for sgd",
    default: 0,
    pretrained: 0.9,
  }),
};

/** The options of {@link OPTIMIZER} that make an optimizer together. */
type OptimizerConfig = Pick<ConfigOf<typeof OPTIMIZER>, "optimizer" | "lr" | "weight-decay" | "momentum">;

/**
 * The optimizer that a config asks for; that of an empty one is the default.
 *
 * @throws InputError for a momentum without SGD.
 */
export function weightOptimizer(config: OptimizerConfig, pretrained: boolean): OptimizerOptions {
  const { optimizer = OPTIMIZER.optimizer.default, lr, momentum, "weight-decay": weightDecay } = config;
  const base = typeof optimizer === "object" ? optimizer : optimizerOfKind(optimizer, pretrained);
  const shared = {
    ...(lr === undefined ? {} : { lr }),
    ...(weightDecay === undefined ? {} : { weightDecay }),
  };
  if (base.kind === "sgd") return { ...base, ...shared, ...(momentum === undefined ? {} : { momentum }) };
  if (momentum !== undefined) {
    throw new InputError(
      `momentum ${momentum} goes with the optimizer sgd, and this run has adam. Choose sgd (--optimizer sgd) or leave momentum out.`,
    );
  }
  return { ...base, ...shared };
}

function optimizerOfKind(kind: OptimizerKind, pretrained: boolean): OptimizerOptions {
  const when = pretrained ? "pretrained" : "default";
  const lr = RATES[kind][when];
  const momentum = OPTIMIZER.momentum[when];
  return kind === "sgd" && momentum > 0 ? { kind, lr, momentum } : { kind, lr };
}

/** What {@link weightOptimizer} reads back. */
export function weightOptimizerConfig(optimizer: OptimizerOptions): OptimizerConfig {
  const { kind, lr, weightDecay = 0 } = optimizer;
  if (kind === "sgd" && optimizer.nesterov !== true) {
    return { optimizer: kind, lr, momentum: optimizer.momentum ?? 0, "weight-decay": weightDecay };
  }
  return isPlainAdam(optimizer) ? { optimizer: kind, lr, "weight-decay": weightDecay } : { optimizer };
}

/** Whether it is Adam without settings that only its object form has. */
export function isPlainAdam(optimizer: OptimizerOptions): boolean {
  return (
    optimizer.kind === "adam" &&
    optimizer.beta1 === undefined &&
    optimizer.beta2 === undefined &&
    optimizer.epsilon === undefined
  );
}
