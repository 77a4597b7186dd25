/** Turns a config into the trainer's options and back. */

import type { Config } from "./config.js";
import { configOfFields, fieldsOf } from "./fields.js";
import { weightOptimizer, weightOptimizerConfig } from "./table/optimizer.js";
import { reductionConfig, reductionOf } from "./table/reduction.js";
import { logitOptimizer, logitOptimizerConfig, SAMPLER } from "./table/sampler.js";
import { FIELDS, OPTIONS } from "./table.js";
import type { PlainOptions } from "./types.js";
import { withDefaults } from "./with-defaults.js";

/**
 * The trainer's options for a config.
 *
 * @param pretrained whether the model's weights are trained already, which changes defaults.
 * @throws InputError for a prune spec or an amount that can't be read, or settings that contradict each other.
 */
export function optionsOf(config: Config, pretrained = false): PlainOptions {
  return {
    ...fieldsOf(FIELDS, config),
    ...reductionOf(config),
    ...(pretrained ? { pretrained } : {}),
    optimizer: weightOptimizer(config, pretrained),
    sampler: { ...fieldsOf(SAMPLER, config), optimizer: logitOptimizer(config) },
  };
}

/** A config that says all of the options, defaults included: what config.json holds. `optionsOf` reads it back. */
export function configOf(options: PlainOptions): Config {
  const settings = withDefaults(options);
  const reduction = reductionConfig(options);
  const values: Readonly<Record<string, unknown>> = {
    // Without `augment` the data set says it.
    ...configOfFields(FIELDS, { ...settings, augment: options.augment }),
    ...reduction,
    ...weightOptimizerConfig(settings.optimizer),
    ...configOfFields(SAMPLER, settings.sampler),
    ...logitOptimizerConfig(settings.sampler.optimizer),
  };
  const says = (key: string): boolean =>
    key in values && (key !== "quantize-from" || reduction.quantize !== undefined);
  return Object.fromEntries([...OPTIONS.keys()].filter(says).map((key) => [key, values[key]]));
}
