/** What a comparison is asked for: its runs, and which of them are there. */

import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { RUN_FILES } from "@kofn/format/run/files.js";
import { METHODS, type Method } from "@kofn/format/run/words.js";
import { type Cell, cellsOf, type Target } from "../compare/cells.js";
import { InputError } from "../errors.js";
import { ZOO } from "../models/zoo.js";
import { checkConfig, type Config } from "../options/config.js";
import { configOf, optionsOf } from "../options/settings.js";
import { withDefaults } from "../options/with-defaults.js";
import { planRun } from "../run/plan.js";
import { readConfig } from "../run/read.js";
import { commandData } from "./dataset.js";
import { modelSource } from "./model-source.js";
import { suggestion } from "./suggest.js";
import type { Asked } from "./train-config.js";

/** The options of `kofn compare` besides those of `kofn train`. */
export interface CompareFlags {
  readonly methods: string;
  readonly budgets?: string;
  readonly seeds?: string;
  readonly set?: readonly string[];
  readonly workers?: string;
  readonly plan?: true;
  readonly json?: true;
}

export interface Comparison {
  readonly asked: Asked;
  readonly cells: readonly Cell[];
  readonly train: number;
}

/** All runs, each checked before any is trained. */
export async function planned(asked: Asked, flags: CompareFlags): Promise<Comparison> {
  const methods = listOf("--methods", flags.methods).map(methodOf);
  const seeds = listOf("--seeds", flags.seeds ?? "1,2,3").map((text) => {
    const seed = Number(text);
    if (Number.isSafeInteger(seed) && seed >= 0) return seed;
    throw new InputError(`--seeds: expected whole numbers such as 1,2,3, got "${text}".`);
  });
  const cells = cellsOf({ base: asked, methods, seeds, targets: targetsOf(flags, methods) });
  const source = await modelSource(asked.model, seeds[0]);
  const model = source();
  for (const { config } of cells) {
    const options = optionsOf(config, !(asked.model in ZOO));
    withDefaults(options);
    planRun(model, options);
  }
  const data = await commandData(asked, model);
  return { asked, cells, train: Math.min(data.train.count, asked.limit ?? Infinity) };
}

function methodOf(name: string): Method {
  const method = METHODS.find((known) => known === name);
  if (method !== undefined) return method;
  throw new InputError(
    `--methods: there is no method "${name}".${suggestion(name, METHODS)} Methods: ${METHODS.join(", ")}.`,
  );
}

function listOf(option: string, text: string): string[] {
  const list = text.split(",").map((one) => one.trim());
  const twice = list.find((one, i) => list.indexOf(one) !== i);
  if (list.includes("")) throw new InputError(`${option}: expected a list such as a,b,c, got "${text}".`);
  if (twice !== undefined) throw new InputError(`${option}: "${twice}" stands there twice; leave one out.`);
  return list;
}

function targetsOf({ budgets, set }: CompareFlags, methods: readonly Method[]): Target[] {
  if ((budgets === undefined) === (set === undefined)) {
    if (budgets === undefined && methods.every((method) => method === "dense")) return [];
    throw new InputError(
      `expected --budgets (10x,50x) or --set NAME=SPEC;SPEC, got ${budgets === undefined ? "neither" : "both"}.`,
    );
  }
  if (budgets !== undefined) {
    return listOf("--budgets", budgets).map((name) => ({
      name,
      config: configWith("--budgets", { budget: name }),
    }));
  }
  return (set ?? []).map((text) => {
    const match = /^([^=;]+)=(.*=.*)$/.exec(text);
    if (match === null) {
      throw new InputError(
        `--set: expected NAME=LAYER=RULE;LAYER=RULE, such as half=conv*=maps:50%, got "${text}".`,
      );
    }
    const [, name, specs] = match;
    return { name, config: configWith("--set", { prune: specs.split(";") }) };
  });
}

function configWith(option: string, values: Config): Config {
  const checked = checkConfig(values);
  if ("config" in checked) return checked.config;
  throw new InputError(`${option}: ${checked.problem.message}.`);
}

export type State = "finished" | "stopped" | "absent";

/** @throws InputError if another run than that of the cell lies in its folder. */
export async function stateOf({ folder, config }: Cell, out: string, asked: Asked): Promise<State> {
  const path = join(out, folder);
  const file = join(path, RUN_FILES.config);
  if (!existsSync(file)) return "absent";
  const stored: Readonly<Record<string, unknown>> = await readConfig(file);
  const wanted = configOf(optionsOf(config, !(asked.model in ZOO)));
  const model = asked.model in ZOO ? asked.model : resolve(asked.model);
  for (const [key, value] of Object.entries({ model, ...wanted })) {
    const [was, is] = [JSON.stringify(stored[key]), JSON.stringify(value)];
    if (was === is || key === "threads") continue;
    throw new InputError(
      `${path} holds a run of another comparison: ${key} is ${key in stored ? was : "absent"} there, and ${is} is asked for. Choose another --out, or remove that run.`,
    );
  }
  return existsSync(join(path, RUN_FILES.report)) ? "finished" : "stopped";
}
