/** The table of options: command line, config files and library take the same values, and refuse others in the same words. */

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Command } from "commander";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readConfigFile } from "../../src/cli/config-file.js";
import { addTableOptions, configOfOptions } from "../../src/cli/options.js";
import { InputError, messageOf } from "../../src/errors.js";
import { checkConfig, type Config } from "../../src/options/config.js";
import { fieldsIn } from "../../src/options/fields.js";
import { configOf, optionsOf } from "../../src/options/settings.js";
import { SAMPLER } from "../../src/options/table/sampler.js";
import { FIELDS, OPTIONS, TABLE } from "../../src/options/table.js";
import { withDefaults } from "../../src/options/with-defaults.js";
import { trainArguments } from "../../src/report/command.js";
import { temporaryFolder } from "../datasets/files.js";

const folder = temporaryFolder();

const NUMBERS = [-1, 0, 1e-3, 0.01, 0.1, 1 / 3, 0.5, 0.999, 1, 1.5, 7, 64, 1e9, 2 ** 53, NaN, Infinity];
const PAIRS = NUMBERS.flatMap((a) => [0, 0.01, 0.5, 1, 4, NaN].map((b) => [a, b]));
const TEXTS = [
  ...[
    "",
    "x",
    "none",
    "40",
    "0.3",
    "5%",
    "30%",
    "100%",
    "33.3%",
    "2:4",
    "5:0.5",
    "0:.5",
    "1:2:3",
    "10x",
    "-1",
    "1e-3",
  ],
  ...[
    "adam",
    "sgd",
    "cosine",
    "step",
    "normal",
    "magnitude",
    "train",
    "frozen",
    "cpu",
    "wasm",
    "gpu",
    "erk",
    "maps",
  ],
  ...["crop:4,flip", "crop:0", "mixup:0.2", "0.5/0.25", "0.5", "fc*=weights:40,share:2", "*=int8"],
];
const LISTS = [[], ["fc1=weights:40"], ["*=int8", "activations=uint8"], ["a", 3], [1, 2, 3]];
const OBJECTS = [
  { kind: "adam", lr: 0.1, beta1: 0.5 },
  { kind: "sgd", lr: 0.1, nesterov: true, momentum: 0.9 },
  { kind: "sgd", lr: 0 },
  { kind: "adam", lr: 1, momentum: 0.5 },
];
const VALUES: readonly unknown[] = [...NUMBERS, ...PAIRS, ...TEXTS, ...LISTS, ...OBJECTS, true, false, null];

/** Fields whose values have another form in the library than in configs. */
const OTHER_FORM: ReadonlySet<string> = new Set(["keep", "augment", "normalize", "distill"]);

const KEYS = [...OPTIONS.keys()];
const FLAGS = [...OPTIONS].filter(([, { help }]) => help !== undefined).map(([key]) => key);

/** What work gives, or what its InputError says. */
function attempt(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    if (error instanceof InputError) return messageOf(error);
    throw error;
  }
}

/** The value that a config with this one has, or what is wrong with it: "expected ..., got ...". */
function inConfig(key: string, value: unknown): { value: unknown } | { problem: string } {
  const checked = checkConfig({ [key]: value });
  if ("problem" in checked) return { problem: checked.problem.message };
  return { value: (checked.config as Readonly<Record<string, unknown>>)[key] };
}

/** A command with the options of the table, which has read arguments. */
function commandOf(args: readonly string[]): Command {
  return addTableOptions(new Command().exitOverride()).parse(args, { from: "user" });
}

test.each(Object.entries(TABLE))("%s: its names, and its defaults", (name, row) => {
  const key = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  expect(OPTIONS.get(key)).toBe(row);
  const option = commandOf([]).options.find(({ long }) => long === `--${key}`);
  expect(option?.attributeName()).toBe(row.help === undefined ? undefined : name);
  for (const value of [row.default, row.pretrained]) {
    if (value !== undefined) expect(inConfig(key, value)).toEqual({ value });
  }
});

describe("the same values, and the same words for others", () => {
  test("in config files", async () => {
    const path = join(folder, "one.json");
    const sayable = VALUES.filter((value) => Object.is(JSON.parse(JSON.stringify(value)), value));
    for (const [i, key] of KEYS.entries()) {
      for (const value of sayable.filter((_, j) => j % 6 === i % 6)) {
        await writeFile(path, JSON.stringify({ [key]: value }));
        const expected = inConfig(key, value);
        const found = await readConfigFile(path).catch(messageOf);
        if ("value" in expected) expect(found).toEqual({ [key]: expected.value });
        else expect(found).toBe(`${path}:1:${key.length + 5}: ${key}: ${expected.problem}.`);
      }
    }
  });

  test.each(FLAGS)("on the command line: --%s", (key) => {
    const { kind, value } = OPTIONS.get(key) ?? TABLE.model;
    if (value === undefined) return;
    for (const text of [...TEXTS, ...NUMBERS.map(String)]) {
      const expected = inConfig(key, kind.many === true ? [text] : kind.read(text));
      const found = attempt(() => configOfOptions(commandOf([`--${key}=${text}`])));
      if ("value" in expected) expect(found).toEqual({ [key]: expected.value });
      else if (kind.many !== true) expect(found).toBe(`--${key}: ${expected.problem}.`);
    }
  });

  const fields = [
    ...fieldsIn(FIELDS).map(([name, row]) => ({ path: name, name, row })),
    ...fieldsIn(SAMPLER).map(([name, row]) => ({ path: `sampler.${name}`, name, row })),
  ];

  test.each(fields)("in the library: $path", ({ path, name, row }) => {
    const key = KEYS.find((known) => OPTIONS.get(known) === row) ?? "";
    const settingFor = (value: unknown): unknown => {
      const given = { [name]: value };
      const settings = withDefaults(path === name ? given : { sampler: given });
      return (path === name ? settings : settings.sampler)[name as never];
    };
    for (const value of VALUES) {
      const expected = inConfig(key, value);
      if ("value" in expected) {
        const given = attempt(() => row.fromConfig(expected.value));
        // An amount that can't be read.
        if (name === "keep" && typeof given === "string") continue;
        expect(settingFor(given)).toEqual(given);
        expect(inConfig(key, row.toConfig(given))).toEqual(expected);
      } else if (!OTHER_FORM.has(name)) {
        const { inLibrary } = row.kind;
        const words =
          inLibrary === undefined
            ? expected.problem
            : expected.problem.replace(/^.*(, got .*)$/, `expected ${inLibrary}$1`);
        expect(attempt(() => settingFor(value))).toBe(`${path}: ${words}.`);
      }
    }
  });
});

describe("configs", () => {
  /** For each key any of the values that it can have, in the form of a config. */
  const values = KEYS.map((key) => {
    const found = VALUES.map((value) => inConfig(key, value));
    return [key, fc.constantFrom(...found.flatMap((one) => ("value" in one ? [one.value] : [])))] as const;
  });
  const configs = fc
    .subarray(values, { maxLength: 8 })
    .chain((some) => fc.record(Object.fromEntries(some))) as fc.Arbitrary<Config>;

  test("what they say is kept in options, and in a file", () => {
    const says = fc.property(configs, fc.boolean(), (config, pretrained) => {
      const whole = attempt(() => configOf(optionsOf(config, pretrained)));
      fc.pre(typeof whole === "object");
      const stored = JSON.parse(JSON.stringify(whole)) as unknown;
      expect(checkConfig(stored)).toEqual({ config: whole });
      expect(configOf(optionsOf(whole as Config, !pretrained))).toEqual(whole);
    });
    fc.assert(says, { numRuns: 200 });
  });

  test("the command that repeats a run says them, unless only a file can", () => {
    const says = fc.property(configs, (config) => {
      const args = trainArguments(config);
      const objects = Object.values(config).filter(
        (value) => typeof value === "object" && !Array.isArray(value),
      );
      expect(args === undefined).toBe(objects.length > 0);
      if (args === undefined) return;
      const said = Object.entries(config).filter(
        ([key, value]) => key !== "model" && value !== false && !(Array.isArray(value) && value.length === 0),
      );
      expect(configOfOptions(commandOf(args.slice(config.model === undefined ? 1 : 2)))).toEqual(
        Object.fromEntries(said),
      );
    });
    fc.assert(says, { numRuns: 300 });
  });
});
