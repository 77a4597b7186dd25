/** The form of a run's settings as plain data, by the names of the command line: `--config` files and config.json. */

import { ALLOCATIONS, GRANULARITIES, PROVIDERS } from "@kofn/format/run/words.js";
import { z } from "zod";
import { parseAugmentation } from "../data/augment.js";
import { parseNormalization } from "../data/normalization.js";
import { messageOf } from "../errors.js";
import type { OptimizerOptions } from "../optim/options.js";

const number = (expected: string, test: (value: number) => boolean) =>
  z.custom<number>((value) => typeof value === "number" && Number.isFinite(value) && test(value), {
    error: `expected ${expected}`,
  });
const count = (smallest: number) =>
  number(`a whole number of at least ${smallest}`, (x) => Number.isSafeInteger(x) && x >= smallest);
const positive = () => number("a number above 0", (x) => x > 0);
const notNegative = () => number("a number of at least 0", (x) => x >= 0);
const below1 = () => number("a number of at least 0 and below 1", (x) => x >= 0 && x < 1);
const text = (expected: string) =>
  z.custom<string>((value) => typeof value === "string" && value !== "", { error: `expected ${expected}` });
/** Text that `parse` can read. */
const parsed = (expected: string, parse: (value: string) => unknown) =>
  z.string({ error: `expected ${expected}` }).superRefine((value, context) => {
    try {
      parse(value);
    } catch (error) {
      context.addIssue({
        code: "custom",
        message: messageOf(error)
          .replace(/^.*?: /, "")
          .replace(/\.$/, ""),
      });
    }
  });
/** A share of training: 0.3 or "30%". */
const share = () =>
  z.unknown().transform((value, context): number => {
    const percent =
      typeof value === "string" && value.endsWith("%") ? readNumber(value.slice(0, -1)) : undefined;
    const found =
      typeof percent === "number" ? percent / 100 : typeof value === "string" ? readNumber(value) : value;
    if (typeof found === "number" && found >= 0 && found < 1) return found;
    context.issues.push({
      code: "custom",
      message: "expected a share of training, at least 0 % and below 100 %, such as 30%",
      input: value,
    });
    return z.NEVER;
  });
const oneOf = <const T extends readonly string[]>(values: T) =>
  z.enum(values, { error: `expected ${values.slice(0, -1).join(", ")} or ${values.at(-1) ?? ""}` });

/** Two numbers, written [A, B] or "A:B"; one number stands for both where `single` allows it. */
const pair = (expected: string, test: (from: number, to: number) => boolean, single = false) =>
  z.unknown().transform((value, context): readonly [number, number] => {
    const parts: unknown[] = typeof value === "string" ? value.split(":").map(readNumber) : [value].flat();
    const [from, to] = single && parts.length === 1 ? [parts[0], parts[0]] : parts;
    const two = parts.length === 2 || (single && parts.length === 1);
    if (two && typeof from === "number" && typeof to === "number" && test(from, to)) return [from, to];
    context.issues.push({ code: "custom", message: `expected ${expected}`, input: value });
    return z.NEVER;
  });

const adamSchema = z.strictObject({
  kind: z.literal("adam"),
  lr: positive(),
  beta1: below1().exactOptional(),
  beta2: below1().exactOptional(),
  epsilon: positive().exactOptional(),
  weightDecay: notNegative().exactOptional(),
});
const sgdSchema = z.strictObject({
  kind: z.literal("sgd"),
  lr: positive(),
  momentum: below1().exactOptional(),
  nesterov: z.boolean().exactOptional(),
  weightDecay: notNegative().exactOptional(),
});
const optimizerSchema: z.ZodType<OptimizerOptions> = z.discriminatedUnion("kind", [adamSchema, sgdSchema], {
  error: "expected an object with kind (adam or sgd), lr and others",
});

/**
 * The settings of a run, by the names of the command line's options. What is left out has its default.
 *
 * `optimizer` and `logit-optimizer` may also be objects with all fields of {@link OptimizerOptions}.
 */
export const configSchema = z.strictObject({
  model: text("the name of a model of the zoo, or the path of an .onnx file").exactOptional(),
  data: text("the name of a data set").exactOptional(),
  "data-dir": text("the path of a folder").exactOptional(),
  out: text("the path of the run directory").exactOptional(),
  prune: z
    .array(text("a prune spec such as fc1=weights:40"), { error: "expected a list of prune specs" })
    .exactOptional(),
  keep: z
    .union([z.string(), z.number()], { error: "expected an amount: 40, 5% or 2:4" })
    .transform(String)
    .exactOptional(),
  budget: text("how many times fewer weights to keep (10x), or the share to keep (10%)").exactOptional(),
  macs: text("the share of multiply-accumulates to keep (30%)").exactOptional(),
  granularity: oneOf(GRANULARITIES).exactOptional(),
  allocation: z.enum(ALLOCATIONS, { error: "expected erk or uniform" }).exactOptional(),
  round: count(1).exactOptional(),
  quantize: z
    .array(text("a quantize spec such as *=int8"), { error: "expected a list of quantize specs" })
    .exactOptional(),
  "quantize-from": share().exactOptional(),
  "freeze-from": share().exactOptional(),
  masks: text("the path of a safetensors file with masks").exactOptional(),
  epochs: count(1).exactOptional(),
  batch: count(1).exactOptional(),
  optimizer: z
    .union([z.enum(["adam", "sgd"]), optimizerSchema], {
      error: "expected adam, sgd, or an object with kind, lr and others",
    })
    .exactOptional(),
  lr: positive().exactOptional(),
  schedule: oneOf(["constant", "cosine", "linear", "step"]).exactOptional(),
  warmup: below1().exactOptional(),
  "weight-decay": notNegative().exactOptional(),
  momentum: below1().exactOptional(),
  "logit-lr": positive().exactOptional(),
  "logit-optimizer": optimizerSchema.exactOptional(),
  tau: pair(
    "A:B, two temperatures of at least 0.01",
    (from, to) => from >= 0.01 && to >= 0.01,
  ).exactOptional(),
  beta: pair(
    "A or A:B, noise scales of at least 0",
    (from, to) => from >= 0 && to >= 0,
    true,
  ).exactOptional(),
  entropy: notNegative().exactOptional(),
  init: oneOf(["normal", "magnitude"]).exactOptional(),
  shrink: pair(
    "A:B, two shares of training, 0 <= A <= B <= 1",
    (from, to) => from >= 0 && from <= to && to <= 1,
  ).exactOptional(),
  "batch-norm": oneOf(["train", "frozen"]).exactOptional(),
  "skip-bad-images": z.boolean({ error: "expected true or false" }).exactOptional(),
  augment: parsed("none, or a list such as crop:4,flip", parseAugmentation).exactOptional(),
  normalize: parsed(
    "none, or MEAN/STD such as 0.49,0.48,0.45/0.25,0.24,0.26",
    parseNormalization,
  ).exactOptional(),
  recalibrate: count(0).exactOptional(),
  distill: pair(
    "A:T, the teacher's share of the loss (above 0, at most 1) and a temperature above 0",
    (weight, temperature) => weight > 0 && weight <= 1 && temperature > 0,
  ).exactOptional(),
  seed: count(0).exactOptional(),
  threads: count(1).exactOptional(),
  provider: oneOf(PROVIDERS).exactOptional(),
  limit: count(1).exactOptional(),
});

export type Config = z.output<typeof configSchema>;

/** What is wrong with settings: the path to the value, and a sentence on it. */
export interface ConfigProblem {
  readonly path: readonly PropertyKey[];
  readonly message: string;
  /** Set if the last part of `path` is no known key. */
  readonly unknownKey?: true;
}

/** Checks settings from outside: their names, types and ranges. */
export function checkConfig(values: unknown): { config: Config } | { problem: ConfigProblem } {
  const parsed = configSchema.safeParse(values);
  if (parsed.success) return { config: parsed.data };
  const [issue] = parsed.error.issues;
  if (issue.code === "unrecognized_keys") {
    const [key] = issue.keys;
    return { problem: { path: [...issue.path, key], message: `unknown key "${key}"`, unknownKey: true } };
  }
  let found = values;
  for (const key of issue.path) found = (found as Readonly<Record<PropertyKey, unknown>>)[key];
  const shown =
    found === undefined ? "nothing" : typeof found === "number" ? String(found) : JSON.stringify(found);
  return { problem: { path: issue.path, message: `${issue.message}, got ${shown}` } };
}

/** A number written in decimal, with or without an exponent; other text is given back as it is. */
export function readNumber(text: string): string | number {
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text.trim()) ? Number(text) : text;
}
