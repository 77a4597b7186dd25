/** `kofn compare`: methods at budgets with seeds, in one table. */

import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import type { Report } from "@kofn/format/run/types.js";
import { METHODS } from "@kofn/format/run/words.js";
import type { Command } from "commander";
import type { Cell } from "../compare/cells.js";
import { documentOf, type FinishedCell } from "../compare/document.js";
import { latencyOf } from "../compare/latency.js";
import { plotOf } from "../compare/plot.js";
import { csvOf, markdownOf, sorted, TABLE_COLUMNS } from "../compare/tables.js";
import { InputError } from "../errors.js";
import { clock, percent, whole } from "../figures.js";
import { writeAtomically } from "../files/atomic.js";
import { ZOO } from "../models/zoo.js";
import type { Config } from "../options/config.js";
import { optionsOf } from "../options/settings.js";
import { withDefaults } from "../options/with-defaults.js";
import { shellCommand } from "../report/command.js";
import { readRun } from "../run/read.js";
import { type CompareFlags, type Comparison, planned, type State, stateOf } from "./compare-request.js";
import { interruptible } from "./interrupt.js";
import { addTableOptions, collect, configOfOptions, countOption } from "./options.js";
import { note, print, printJson, table } from "./terminal.js";
import { askedFor } from "./train-config.js";
import { type Job, trainAll } from "./train-children.js";

const EXAMPLES = `
Methods: ${METHODS.join(", ")} (docs/methods.md). What kofn train takes besides, all runs have in common; what lies in
--out already is taken, and what was stopped goes on.

Examples:
  kofn compare lenet-300-100 --data glyphs --methods dpp,gradual,random --budgets 10x,50x --seeds 1,2 --epochs 4 --out runs/compare
  kofn compare lenet-5 --data mnist --methods dpp,rigl --budgets 20x,100x --seeds 1,2,3 --plan
  kofn compare lenet-5 --data mnist --methods dpp,l2 --set "half=conv*=maps:50%;fc1=maps:50%" --seeds 1,2,3`;

/** Options of a run that a comparison says in its own way. */
const OWN: Readonly<Record<string, string>> = {
  method: "--methods",
  budget: "--budgets",
  macs: "--budgets",
  seed: "--seeds",
  masks: "--methods",
};

export function addCompareCommand(program: Command): void {
  const command = program
    .command("compare")
    .summary("train by several methods, at several budgets, with several seeds")
    .description(
      "Trains a model by every method at every budget with every seed, and writes one table of what came of it: compare.json, .csv, .md and .svg, and the runs.",
    )
    .argument("<model>", `model of the zoo (${Object.keys(ZOO).join(", ")}) or path of an .onnx file`)
    .requiredOption("--methods <list>", "methods, such as dpp,gradual,random")
    .option("--budgets <list>", "budgets, such as 10x,50x (see --budget of kofn train)")
    .option("--seeds <list>", "seeds (default: 1,2,3)")
    .option(
      "--set <name=specs>",
      "in place of budgets, rules: NAME=SPEC;SPEC; can be given several times",
      collect,
    )
    .option("--workers <n>", "so many runs at a time (default: one for each core)")
    .option("--plan", "say what would run and how long it would take, after a short probe")
    .option("--json", "print compare.json");
  addTableOptions(command)
    .addHelpText("after", EXAMPLES)
    .action(async (model: string, flags: CompareFlags, command: Command) => {
      await compareCommand(model, flags, configOfOptions(command));
    });
}

async function compareCommand(model: string, flags: CompareFlags, given: Config): Promise<void> {
  for (const [key, instead] of Object.entries(OWN)) {
    if (key in given)
      throw new InputError(`--${key} is another one for each run of a comparison; use ${instead}.`);
  }
  const { out = join("runs", "compare"), ...common } = given;
  const workers = countOption("--workers", flags.workers);
  const comparison = await planned(askedFor(common, { model }, false), flags);
  const states = await Promise.all(comparison.cells.map((cell) => stateOf(cell, out, comparison.asked)));
  const cells = comparison.cells.map((cell, i) => ({ cell, state: states[i] }));
  const missing = cells.filter(({ state }) => state !== "finished");
  const atOnce = Math.min(workers ?? availableParallelism(), Math.max(1, missing.length));
  const threads = common.threads ?? Math.max(1, Math.floor(availableParallelism() / atOnce));
  note(
    `${cells.length} runs: ${cells.length - missing.length} are there, ${missing.length} to train, ${atOnce} at a time with ${threads} threads each`,
  );
  if (flags.plan === true) {
    await tellPlan(
      comparison,
      missing.map(({ cell }) => cell),
      atOnce,
      threads,
      flags.json === true,
    );
    return;
  }
  await trainMissing(missing, { out, workers: atOnce, threads });
  const document = documentOf(await finishedCells(comparison.cells, out));
  const command = shellCommand(process.argv.slice(2));
  const files: Readonly<Record<string, string>> = {
    json: `${JSON.stringify(document, undefined, 2)}\n`,
    csv: csvOf(document),
    md: markdownOf(document, command),
    svg: plotOf(document),
  };
  for (const [extension, text] of Object.entries(files)) {
    await writeAtomically(join(out, `compare.${extension}`), [Buffer.from(text)]);
  }
  if (flags.json === true) printJson(document);
  else {
    const rows = sorted(document).map((row) => TABLE_COLUMNS.map(({ of }) => of(row)));
    for (const line of table(TABLE_COLUMNS, rows)) print(line);
  }
  note(`\nThe table is in ${join(out, "compare.md")}, with .json, .csv and .svg beside it.`);
}

interface How {
  readonly out: string;
  readonly workers: number;
  readonly threads: number;
}

async function trainMissing(
  missing: readonly { readonly cell: Cell; readonly state: State }[],
  { out, workers, threads }: How,
): Promise<void> {
  await mkdir(join(out, "runs"), { recursive: true });
  const jobs = await Promise.all(
    missing.map(async ({ cell, state }): Promise<Job<Cell>> => {
      const path = join(out, cell.folder);
      const log = `${path}.log`;
      if (state === "stopped") return { of: cell, args: ["--resume", "--out", path], log };
      const file = `${path}.config.json`;
      await writeFile(file, `${JSON.stringify({ ...cell.config, threads }, undefined, 2)}\n`);
      return { of: cell, args: ["--config", file, "--out", path], log };
    }),
  );
  const begin = performance.now();
  let done = 0;
  const tell = async ({ method, budget, seed, folder }: Cell): Promise<void> => {
    const { result, training } = (await readRun(join(out, folder))).report;
    done++;
    const seconds = (performance.now() - begin) / 1000;
    const left = (seconds / done) * (jobs.length - done);
    note(
      `${done} of ${jobs.length}: ${method} ${budget} seed ${seed}: test error ${percent(1 - result.test.accuracy)}, ` +
        `${clock(training.seconds)}${done < jobs.length ? `; about ${clock(left)} left` : ""}`,
    );
  };
  await interruptible(
    (signal) => trainAll(jobs, workers, tell, signal),
    () => `the finished runs are in ${out}; the same command goes on`,
  );
}

async function finishedCells(cells: readonly Cell[], out: string): Promise<FinishedCell[]> {
  const timed = new Set<string>();
  const finished: FinishedCell[] = [];
  for (const cell of cells) {
    const path = join(out, cell.folder);
    const row = `${cell.method} ${cell.budget}`;
    const latencyUs = timed.has(row) ? null : await latencyOf(path);
    timed.add(row);
    finished.push({ cell, report: (await readRun(path)).report, latencyUs });
  }
  return finished;
}

/** Says what would run, and how long it would take, after training one of the runs for a moment. */
async function tellPlan(
  { cells, train, asked }: Comparison,
  missing: readonly Cell[],
  workers: number,
  threads: number,
  asJson: boolean,
): Promise<void> {
  const seconds = missing.length === 0 ? 0 : await probed(missing[0], train, threads);
  const total = (seconds * missing.length) / workers;
  if (asJson) {
    const runs = cells.map((cell) => ({ ...cell, config: undefined, isThere: !missing.includes(cell) }));
    printJson({ runs, secondsOfRun: seconds, seconds: total });
    return;
  }
  const columns = [
    { title: "run" },
    { title: "method" },
    { title: "budget" },
    { title: "seed" },
    { title: "" },
  ];
  const rows = cells.map((cell) => [
    cell.folder,
    cell.method,
    cell.budget,
    String(cell.seed),
    missing.includes(cell) ? "" : "is there",
  ]);
  for (const line of table(columns, rows)) print(line);
  print(
    `${missing.length} runs of ${asked.model} on ${whole(train)} samples, about ${clock(seconds)} each: about ${clock(total)} with ${workers} at a time`,
  );
}

const PROBE_BATCHES = 40;

/** Seconds that a whole run is going to take: those of its steps and of an evaluation after each epoch. */
async function probed({ config }: Cell, train: number, threads: number): Promise<number> {
  const { batch, epochs } = withDefaults(optionsOf(config, !((config.model ?? "") in ZOO)));
  const folder = await mkdtemp(join(tmpdir(), "kofn-probe-"));
  try {
    const file = join(folder, "config.json");
    const limit = Math.min(train, PROBE_BATCHES * batch);
    await writeFile(file, JSON.stringify({ ...config, threads, epochs: 1, limit }));
    const out = join(folder, "run");
    const job = { of: out, args: ["--config", file, "--out", out], log: join(folder, "log") };
    let report: Report | undefined;
    const done = async (): Promise<void> => {
      ({ report } = await readRun(out));
    };
    await interruptible(
      (signal) => trainAll([job], 1, done, signal),
      () => "nothing was written.",
    );
    if (report === undefined) throw new TypeError("the probe has left no report");
    const { seconds, samplesPerSecond } = report.training;
    const rest = Math.max(0, seconds - limit / samplesPerSecond);
    return epochs * (train / samplesPerSecond + rest);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
