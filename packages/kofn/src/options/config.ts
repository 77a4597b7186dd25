/** The settings of a run as plain data, and their checks: `--config` files, config.json and the command line. */

import { z } from "zod";
import type { ConfigOf } from "./fields.js";
import { shown } from "./kinds.js";
import { OPTIONS, type TABLE } from "./table.js";

/**
 * Settings by the names of the command line's options: a `--config` file, or config.json. What is left out
 * has its default.
 *
 * `optimizer` and `logit-optimizer` may also be objects with all fields of {@link OptimizerOptions}.
 */
export type Config = ConfigOf<typeof TABLE>;

const schema = z.strictObject(
  Object.fromEntries([...OPTIONS].map(([key, { kind }]) => [key, kind.schema.exactOptional()])),
);

/** What is wrong with settings: the path to the value, and a sentence on it. */
export interface ConfigProblem {
  readonly path: readonly PropertyKey[];
  readonly message: string;
  /** Set if the last part of `path` is no known key. */
  readonly unknownKey?: true;
}

/** Checks the names, types and ranges of settings. */
export function checkConfig(values: unknown): { config: Config } | { problem: ConfigProblem } {
  const parsed = schema.safeParse(values);
  if (parsed.success) return { config: parsed.data };
  const [issue] = parsed.error.issues;
  if (issue.code === "unrecognized_keys") {
    const [key] = issue.keys;
    return { problem: { path: [...issue.path, key], message: `unknown key "${key}"`, unknownKey: true } };
  }
  let found = values;
  for (const key of issue.path) found = (found as Readonly<Record<PropertyKey, unknown>>)[key];
  return { problem: { path: issue.path, message: `${issue.message}, got ${shown(found)}` } };
}
