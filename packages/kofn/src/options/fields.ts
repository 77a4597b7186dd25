/** Fields of `TrainOptions` as rows of the table say: their types, defaults and checks, and how configs say them. */

import { InputError } from "../errors.js";
import { shown } from "./kinds.js";
import type { Field, Option, Rows } from "./option.js";

type FieldsOf<T> = Pick<T, { [Name in keyof T]: T[Name] extends Field ? Name : never }[keyof T]>;
type ValueOf<Row> = Row extends Field<unknown, infer V> ? V : never;
type SettingOf<Row> = Row extends Option<unknown, infer S> ? S : never;

/** The fields among rows as they are given, any of them or none. */
export type Given<T> = { readonly [Name in keyof FieldsOf<T>]?: ValueOf<T[Name]> };

/** All fields among rows; undefined are those that were not given and have no default. */
export type Filled<T> = { readonly [Name in keyof FieldsOf<T>]: SettingOf<T[Name]> };

/** Rows as configs say them, any of them or none. */
export type ConfigOf<T> = {
  readonly [Name in keyof T as KeyOf<Name>]?: T[Name] extends Option<infer C> ? C : never;
};

/** The key of configs for the name of a row: "batchNorm" -> "batch-norm". */
type KeyOf<Name> = Name extends `${infer First}${infer Rest}`
  ? `${First extends Lowercase<First> ? First : `-${Lowercase<First>}`}${KeyOf<Rest>}`
  : "";

/** The key of configs for the name of a row: "batchNorm" -> "batch-norm". */
export function keyOf(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

type Values = Readonly<Record<string, unknown>>;

/** The fields that a config gives. */
export function fieldsOf<T extends Rows>(rows: T, config: Values): Given<T> {
  const values = new Map<string, unknown>();
  for (const [name, row] of fieldsIn(rows)) {
    const value = config[keyOf(name)];
    if (value !== undefined) values.set(name, row.fromConfig(value));
  }
  return Object.fromEntries(values) as Given<T>;
}

/** Fields as a config says them. */
export function configOfFields(rows: Rows, fields: Values): Record<string, unknown> {
  const config: Record<string, unknown> = {};
  for (const [name, row] of fieldsIn(rows)) {
    if (fields[name] !== undefined) config[keyOf(name)] = row.toConfig(fields[name]);
  }
  return config;
}

/**
 * All fields: as they are given, else by default.
 *
 * @param pretrained whether the model's weights are trained already.
 * @param where what precedes a field's name in messages: "sampler."
 * @throws InputError for a value that is not of its row's kind.
 */
export function filled<T extends Rows>(rows: T, given: Given<T>, pretrained: boolean, where = ""): Filled<T> {
  const values: Values = given;
  const all = fieldsIn(rows).map(([name, row]) => {
    const value = values[name];
    if (value === undefined) return [name, pretrained ? row.pretrained : row.default];
    return [name, checked(row, value, where + name)];
  });
  return Object.fromEntries(all) as Filled<T>;
}

/** A field's value: one that a config can say. */
function checked(row: Field, value: unknown, name: string): unknown {
  const { schema, inLibrary } = row.kind;
  const said = row.toConfig(value);
  const { data, error } = schema.safeParse(said);
  if (error === undefined) return said === value ? data : value;
  const expected = inLibrary === undefined ? error.issues[0].message : `expected ${inLibrary}`;
  throw new InputError(`${name}: ${expected}, got ${shown(value)}.`);
}

/** The rows that are fields, with their names. */
export function fieldsIn(rows: Rows): [name: string, row: Field][] {
  return Object.entries(rows).filter((entry): entry is [string, Field] => "toConfig" in entry[1]);
}
