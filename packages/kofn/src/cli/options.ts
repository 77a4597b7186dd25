/** The command line's options as a config: their names are its keys. */

import type { Provider } from "@kofn/format/run/words.js";
import type { Command } from "commander";
import { InputError } from "../errors.js";
import { checkConfig, type Config, configSchema, readNumber } from "../options/config.js";

const NUMBERS: ReadonlySet<string> = new Set<keyof Config>([
  "epochs",
  "batch",
  "lr",
  "warmup",
  "weight-decay",
  "momentum",
  "logit-lr",
  "entropy",
  "recalibrate",
  "seed",
  "threads",
  "limit",
  "round",
]);

/**
 * The options that were given to a command and are keys of a config, checked.
 *
 * @throws InputError naming the option whose value is wrong.
 */
export function configOfOptions(command: Command): Config {
  const values: Record<string, unknown> = {};
  for (const option of command.options) {
    const key = option.name();
    const given: unknown = command.getOptionValue(option.attributeName());
    if (given === undefined || !(key in configSchema.shape)) continue;
    values[key] = NUMBERS.has(key) && typeof given === "string" ? readNumber(given) : given;
  }
  const checked = checkConfig(values);
  if ("config" in checked) return checked.config;
  const { path, message } = checked.problem;
  throw new InputError(`--${String(path[0])}: ${message}.`);
}

/** For an option that may be given several times: gathers its values. */
export function collect(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value];
}

/**
 * A whole number that was given to an option; undefined if none was.
 *
 * @throws InputError if it is no whole number, or below the least.
 */
export function countOption(name: string, given: string | undefined, least = 1): number | undefined {
  if (given === undefined) return undefined;
  const count = readNumber(given);
  if (typeof count === "number" && Number.isSafeInteger(count) && count >= least) return count;
  throw new InputError(`${name}: expected a whole number of at least ${least}, got "${given}".`);
}

/** @throws InputError for a provider that this version does not run. */
export function checkProvider(provider: Provider | undefined): void {
  if (provider === "webgpu" || provider === "cuda") {
    throw new InputError(`--provider ${provider}: this version of kofn runs on cpu and wasm.`);
  }
}
