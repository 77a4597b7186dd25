/** What a row of the table of options says. */

import type { Kind } from "./kinds.js";

/**
 * An option of `kofn train` and a key of configs.
 *
 * @typeParam C its value in a config
 * @typeParam S its value in settings, which is undefined where none is given and there is no default
 */
export interface Option<C = unknown, S = unknown> {
  readonly kind: Kind<C>;
  /** How its value is written in `--help`: "<n>". A switch has none. */
  readonly value?: string;
  /** What `--help` says. Without it the command line has no such option: files or an argument say it. */
  readonly help?: string;
  /** What a run does without the option, in words, where the defaults do not say it. */
  readonly otherwise?: string;
  readonly default: S;
  /** The default for a model whose weights are trained already. */
  readonly pretrained: S;
}

/**
 * An option that is also a field of `TrainOptions`, or of its `sampler`, under the name of its row.
 *
 * @typeParam V its value there
 */
export interface Field<C = unknown, V = unknown, S = unknown> extends Option<C, S> {
  fromConfig(value: C): V;
  toConfig(value: V): C;
}

/** Rows by their names in the library: "weightDecay", which is "weight-decay" in configs. */
export type Rows = Readonly<Record<string, Option>>;

/** What is written in a row. */
type Row<C> = Omit<Option<C>, "default" | "pretrained">;
interface Defaults<V> {
  readonly default: V;
  /** Left out where it is the same. */
  readonly pretrained?: V;
}
interface NoDefaults {
  readonly default?: undefined;
}

/** A row that is no field of `TrainOptions` by itself. */
export function option<C>(row: Row<C> & Defaults<NoInfer<C>>): Option<C, C>;
export function option<C>(row: Row<C> & NoDefaults): Option<C, C | undefined>;
export function option<C>(row: Row<C> & Partial<Defaults<C>>): Option<C, C | undefined> {
  return { default: undefined, pretrained: row.default, ...row };
}

/** A row that is a field of `TrainOptions`, with the same value in configs. */
export function field<C>(row: Row<C> & Defaults<NoInfer<C>>): Field<C, C, C>;
export function field<C>(row: Row<C> & NoDefaults): Field<C, C, C | undefined>;
export function field<C>(row: Row<C> & Partial<Defaults<C>>): Field<C, C, C | undefined> {
  const same = (value: C): C => value;
  return { default: undefined, pretrained: row.default, ...row, fromConfig: same, toConfig: same };
}

/** A row that is a field of `TrainOptions`, where its value is not as in configs; it has no default. */
export function fieldAs<C, V>(
  row: Row<C> & Pick<Field<C, V>, "fromConfig" | "toConfig">,
): Field<C, V, V | undefined> {
  return { default: undefined, pretrained: undefined, ...row };
}
