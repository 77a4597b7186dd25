/** The settings that `kofn train` is asked for, by a file and on the command line, and those that config.json records. */

import { resolve } from "node:path";
import { InputError } from "../errors.js";
import { ZOO } from "../models/zoo.js";
import type { Config } from "../options/config.js";
import { configOf, optionsOf } from "../options/settings.js";
import { TABLE } from "../options/table.js";
import type { WithMasks } from "../options/with-defaults.js";
import { storedDataName } from "./dataset.js";

/** Settings that say what is trained, on what. */
export interface Asked extends Config {
  readonly model: string;
  readonly data: string;
}

/**
 * The settings of a file with those of the command line, which win.
 *
 * @param resumes whether the file is that of the run to go on with: then specs of the command line have to be its own.
 * @throws InputError if no model is named.
 */
export function askedFor(file: Config, given: Config, resumes: boolean): Asked {
  const added = resumes ? {} : given;
  const config = {
    data: TABLE.data.default,
    ...file,
    ...given,
    ...specs("prune", file, added),
    ...specs("quantize", file, added),
  };
  const { model } = config;
  if (model !== undefined) return { ...config, model };
  throw new InputError(
    `kofn train: which model? Name one of the zoo (${Object.keys(ZOO).join(", ")}) or the path of an .onnx file.`,
  );
}

type Specs = Pick<Config, "prune" | "quantize">;

/** The specs of a file, and after them those of the command line, which win. */
function specs(key: keyof Specs, file: Config, given: Config): Specs {
  const all = [...(file[key] ?? []), ...(given[key] ?? [])];
  return all.length === 0 ? {} : { [key]: all };
}

/** The settings of a run as config.json holds them, from whatever folder it is read. */
export function storedConfig(asked: Asked, options: WithMasks): Config {
  const { model, data, masks, "data-dir": dir, "skip-bad-images": skips } = asked;
  return {
    model: model in ZOO ? model : resolve(model),
    data: storedDataName(data),
    ...(dir === undefined ? {} : { "data-dir": resolve(dir) }),
    ...(skips === undefined ? {} : { "skip-bad-images": skips }),
    ...configOf(options),
    ...(masks === undefined ? {} : { masks: resolve(masks) }),
  };
}

/**
 * @param before the settings that a run was begun with, `now` those that it would go on with, and `given` those on the command line.
 * @throws InputError naming what a resumed run was asked to change.
 */
export function checkUnchanged(before: Config, now: Config, given: Config, out: string): void {
  const asked: Readonly<Record<string, unknown>> = { ...now, ...specsOf(given, now) };
  const begun: Readonly<Record<string, unknown>> = { ...before };
  const changed = [...new Set([...Object.keys(begun), ...Object.keys(asked)])]
    .map((key) => ({ key, was: JSON.stringify(begun[key]), is: JSON.stringify(asked[key]) }))
    .filter(({ was, is }) => was !== is)
    .map(({ key, was, is }) => `${key} ${is} (was ${was})`);
  if (changed.length === 0) return;
  throw new InputError(
    `--resume goes on with the settings that the run in "${out}" was begun with, but other ones were given: ${changed.join(", ")}. ` +
      `Leave them out, or begin a new run.`,
  );
}

/** The specs that were given, if any were, in place of those that the run has. */
function specsOf({ prune, quantize }: Config, stored: Config): Config {
  if (prune === undefined && quantize === undefined) return {};
  return configOf(
    optionsOf({
      ...stored,
      ...(prune === undefined ? {} : { prune }),
      ...(quantize === undefined ? {} : { quantize }),
    }),
  );
}
