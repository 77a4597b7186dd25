/** All options of `kofn train`, in the order of `--help`, of the documentation, and of the keys of config.json. */

import { keyOf } from "./fields.js";
import type { Option } from "./option.js";
import { OPTIMIZER } from "./table/optimizer.js";
import { REDUCTION } from "./table/reduction.js";
import { SAMPLER } from "./table/sampler.js";
import { SOURCE } from "./table/source.js";
import { TRAINING } from "./table/training.js";

/** The rows whose fields are those of `TrainOptions` itself; those of {@link SAMPLER} are in its `sampler`. */
export const FIELDS: typeof REDUCTION & typeof OPTIMIZER & typeof TRAINING = {
  ...REDUCTION,
  ...OPTIMIZER,
  ...TRAINING,
};

export const TABLE: typeof SOURCE & typeof FIELDS & typeof SAMPLER = {
  ...SOURCE,
  ...REDUCTION,
  ...OPTIMIZER,
  ...SAMPLER,
  ...TRAINING,
};

/** The rows by their keys in configs, which are the names of the command line. */
export const OPTIONS: ReadonlyMap<string, Option> = new Map(
  Object.entries(TABLE).map(([name, row]) => [keyOf(name), row]),
);
