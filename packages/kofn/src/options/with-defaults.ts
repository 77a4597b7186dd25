/** The options of a run with every default filled in, and checked. */

import type { Method } from "@kofn/format/run/words.js";
import type { Augmentation } from "../data/augment.js";
import { InputError } from "../errors.js";
import type { OptimizerOptions } from "../optim/options.js";
import type { GivenMasks } from "../prune/given-masks.js";
import { chooserOf } from "../prune/methods/methods.js";
import { formatShare } from "../prune/spec.js";
import { type Filled, filled } from "./fields.js";
import { weightOptimizer } from "./table/optimizer.js";
import { logitOptimizer, SAMPLER } from "./table/sampler.js";
import { FIELDS } from "./table.js";
import type { PlainOptions, SamplerOptions } from "./types.js";

/** Options, and masks to train with, which change some of their defaults. */
export interface WithMasks extends PlainOptions {
  readonly masks?: GivenMasks;
}

/** What a run does: all fields of the table of options, and what several options say together. */
export interface Settings extends Filled<typeof FIELDS> {
  readonly optimizer: OptimizerOptions;
  readonly sampler: Required<SamplerOptions>;
  readonly augment: Augmentation;
  /** The model's weights are trained already. */
  readonly pretrained: boolean;
  /**
   * Learning rate of the logarithms of quantization scales, by Adam: a step changes a scale by about this share of itself, at the peak
   * of the schedule.
   */
  readonly scaleRate: number;
  /** Masks that are given, and frozen from the start. Default: masks are learned. */
  readonly masks?: GivenMasks;
}

const SCALE_RATES = { default: 0.03, pretrained: 0.01 };

/** @throws InputError if a setting is out of range, or settings contradict each other. */
export function withDefaults(options: WithMasks): Settings {
  const { pretrained = false, masks } = options;
  const { optimizer = logitOptimizer({}), ...given } = options.sampler ?? {};
  const values = filled(FIELDS, options, pretrained);
  const { method } = values;
  const shrinks = masks === undefined ? shrinkOf(method, pretrained) : { shrink: [0, 0] as const };
  const sampler = filled(SAMPLER, { ...shrinks, ...given }, pretrained, "sampler.");
  checkMethod(method, sampler.shrink, masks);
  if (method !== "dpp") checkUnused(method, { ...sampler, optimizer });
  checkFreezing(values.freezeFrom, sampler.shrink, masks);
  return {
    ...values,
    pretrained,
    augment: values.augment ?? {},
    optimizer: options.optimizer ?? weightOptimizer({}, pretrained),
    sampler: { ...sampler, optimizer },
    scaleRate: SCALE_RATES[pretrained ? "pretrained" : "default"],
    ...(masks === undefined ? {} : { masks, freezeFrom: 0 }),
  };
}

/** Over which share of training k falls by default, where that is the method's. */
function shrinkOf(method: Method, pretrained: boolean): Pick<SamplerOptions, "shrink"> {
  const chooser = chooserOf(method);
  return chooser === undefined ? {} : { shrink: chooser.shrink[pretrained ? "pretrained" : "default"] };
}

function checkMethod(
  method: Method,
  [from, to]: readonly [number, number],
  masks: GivenMasks | undefined,
): void {
  if (masks !== undefined && method !== "dpp") {
    throw new InputError(
      `method "${method}" chooses masks, but masks are given (masks, --masks); leave one of them out.`,
    );
  }
  const shrinks = chooserOf(method)?.shrinks ?? "gradually";
  if (shrinks === "gradually" || (shrinks === "at once" ? from === to : to === 0)) return;
  const expected =
    shrinks === "never"
      ? "keeps k of n from the start, so leave shrink out (sampler.shrink, --shrink)"
      : "lets k fall at one moment, so expected the same share twice (sampler.shrink, --shrink), such as 0.5:0.5";
  throw new InputError(
    `method "${method}" ${expected}; got ${from}:${to}. Method "gradual" lets k fall over a share of training.`,
  );
}

/** Options of learned masks say nothing to a method that learns none. */
function checkUnused(method: Method, sampler: Required<SamplerOptions>): void {
  const optimizer = logitOptimizer({});
  const defaults = [false, true].map((pretrained) => ({ ...filled(SAMPLER, {}, pretrained), optimizer }));
  const options = {
    tau: "tau",
    beta: "beta",
    entropy: "entropy",
    init: "init",
    optimizer: "logit-lr",
  } as const;
  for (const [name, option] of Object.entries(options) as [keyof typeof options, string][]) {
    const said = JSON.stringify(sampler[name]);
    if (defaults.some((values) => JSON.stringify(values[name]) === said)) continue;
    throw new InputError(
      `method "${method}" does not learn masks: sampler.${name} (--${option}) has no effect on it. Leave it out, or choose method "dpp".`,
    );
  }
}

/** Masks stay as they are once they are frozen, and masks that are given do from the start. */
function checkFreezing(
  freezeFrom: number | undefined,
  [, shrunk]: readonly [number, number],
  masks: GivenMasks | undefined,
): void {
  if (masks !== undefined && ((freezeFrom ?? 0) > 0 || shrunk > 0)) {
    throw new InputError(
      "masks that are given (masks, --masks) stay as they are: they can't be frozen later (freezeFrom, --freeze-from), and k can't shrink (sampler.shrink, --shrink). Leave these out.",
    );
  }
  if (freezeFrom === undefined || freezeFrom >= shrunk) return;
  throw new InputError(
    `masks can't be frozen after ${formatShare(freezeFrom)} of training (freezeFrom, --freeze-from), as k shrinks until ` +
      `${formatShare(shrunk)} of it (sampler.shrink, --shrink); freeze later, or let k shrink over less of training`,
  );
}
