/** `kofn train`: trains and prunes a model, and leaves a run directory. */

import { existsSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Command } from "commander";
import type { RunInputs } from "@kofn/format/run/types.js";
import type { Dataset } from "../data/types.js";
import { InputError } from "../errors.js";
import { ZOO } from "../models/zoo.js";
import type { Model } from "../onnx/model.js";
import type { Config } from "../options/config.js";
import { optionsOf } from "../options/settings.js";
import { type Settings, withDefaults, type WithMasks } from "../options/with-defaults.js";
import { unitsOfMasks } from "../prune/given-masks.js";
import { budgetLine } from "../report/text.js";
import { prepareRunDirectory, type RunDirectory } from "../run/directory.js";
import { checkInputs, digestInputs, type InputNames } from "../run/inputs.js";
import { announceRun, watchForStop } from "../run/live.js";
import { FolderInUse } from "../run/lock.js";
import { planRun, type RunPlan } from "../run/plan.js";
import { loadMasks, reopenRunDirectory, type StoppedRun } from "../run/read.js";
import type { Run } from "../run/run.js";
import { train } from "../run/train.js";
import type { Checkpoint, TrainOptions } from "../run/types.js";
import { checkInterface } from "../task/evaluate.js";
import { chooseNormalization, describeChoice } from "../task/normalize.js";
import { readConfigFile } from "./config-file.js";
import { commandData } from "./dataset.js";
import { endAtInterrupt, interruptible } from "./interrupt.js";
import { type ModelSource, modelSource } from "./model-source.js";
import { addTableOptions, checkProvider, configOfOptions } from "./options.js";
import { progressDisplay } from "./progress.js";
import { withStudio } from "./studio.js";
import { summary } from "./summary.js";
import { note, print, printJson } from "./terminal.js";
import { type Asked, askedFor, checkUnchanged, storedConfig } from "./train-config.js";

const EXAMPLES = `
SPEC: LAYER=GRANULARITY:AMOUNT[,OPTION:VALUE...] or LAYER=none; the later spec wins.
  LAYER        name of a layer (see kofn inspect), * stands for any text, ? for one character
  GRANULARITY  weights (of each output channel), kernels (of each output channel), maps (output channels)
  AMOUNT       40 (that many), 5% (of the group), 2:4 (2 of every 4 consecutive weights)
  OPTION       per:kernel (weights of each 2-D kernel), share:4 (so many output channels use one mask)

Weights and activations of few bits: --quantize LAYER=FORMAT[,method:NAME], activations=FORMAT or activations.LAYER=FORMAT, or none
  FORMAT       of weights binary, ternary, int2 to int8; of activations uint8, int8, binary
  method       lsq (learned scales; the default) or dpp (scales that follow from the weights)

Examples:
  kofn train lenet-300-100 --data glyphs --prune fc1=weights:40 --prune fc2=weights:30 --epochs 8
  kofn train lenet-5 --data mnist --prune "conv*=kernels:25%" --prune fc1=weights:32 --out runs/a
  kofn train lenet-5 --data mnist --keep 5% --prune conv1=none --seed 2
  kofn train lenet-300-100 --data mnist --prune "*=weights:2:4" --json > report.json
  kofn train lenet-5 --data mnist --budget 20x --prune conv1=none
  kofn train resnet-20 --data cifar10 --macs 30% --granularity kernels --round 8
  kofn train lenet-5 --data mnist --keep 5% --quantize "*=int8" --quantize fc1=binary --freeze-from 80%
  kofn train net.onnx --data mnist --prune "fc1=weights:10%,share:4"
  kofn train lenet-5 --data mnist --prune fc1=weights:32 --masks runs/a/masks.safetensors --seed 2
  kofn train --config runs/a/config.json --out runs/b
  kofn train --resume --out runs/b`;

export function addTrainCommand(program: Command): void {
  const command = program
    .command("train")
    .summary("train and prune a model")
    .description(
      "Trains a model while it learns which weights to keep, exactly k of n, and writes a run directory.",
    )
    .argument("[model]", `model of the zoo (${Object.keys(ZOO).join(", ")}) or path of an .onnx file`);
  addTableOptions(command)
    .option("--config <file>", "YAML or JSON file with these options as keys; the command line wins")
    .option("--overwrite", "replace the run that the directory holds")
    .option("--resume", "go on with the stopped run in --out, with the settings that it was begun with")
    .option("--studio", "show the run on a local web page while it trains (see kofn studio)")
    .option("--json", "print the report as JSON")
    .addHelpText("after", EXAMPLES)
    .action(async (model: string | undefined, flags: TrainFlags, command: Command) => {
      await trainCommand(model, flags, configOfOptions(command));
    });
}

interface TrainFlags {
  readonly config?: string;
  readonly overwrite?: true;
  readonly resume?: true;
  readonly studio?: true;
  readonly json?: true;
}

async function trainCommand(model: string | undefined, flags: TrainFlags, command: Config): Promise<void> {
  // The run directory is given back when all is trained, or when the process ends.
  let left = (): string => NOTHING;
  const ignoreInterrupt = endAtInterrupt(() => left());
  const given: Config = { ...command, ...(model === undefined ? {} : { model }) };
  const stopped = flags.resume === true ? await reopen(flags, given.out) : undefined;
  const file = flags.config === undefined ? (stopped?.config ?? {}) : await readConfigFile(flags.config);
  const asked = askedFor(file, given, stopped !== undefined);
  const planned = await plannedRun(asked);
  const { out, directory } =
    asked.out === undefined
      ? await newDirectory(basename(asked.model, ".onnx"), asked.data)
      : { out: asked.out, directory: stopped?.directory ?? (await prepareRunDirectory(asked.out, flags)) };
  left = () => remains(directory, out);
  const run = await readyRun(asked, planned);
  if (stopped !== undefined) {
    checkUnchanged(stopped.config, run.stored, given, out);
    checkStillThere(stopped, run, out);
  }
  announce(asked, run);
  const work = async (): Promise<void> => {
    try {
      const { report, masked } = await trained(run, directory, stopped?.checkpoint, left);
      if (flags.json === true) printJson(report);
      else for (const line of summary(report, masked)) print(line);
    } finally {
      directory.close();
      ignoreInterrupt();
    }
    const write = flags.json === true ? note : print;
    write(`\nThe result is in ${out}. To go on:`);
    write(`  kofn eval ${out}      measures ${join(out, "model.onnx")} on the test split`);
    write(`  kofn inspect ${out}   shows its layers and masks`);
  };
  await (flags.studio === true ? withStudio(dirname(directory.path), work) : work());
}

/** A run before its data are loaded. */
interface PlannedRun {
  readonly options: WithMasks;
  readonly source: ModelSource;
  readonly model: Model;
  readonly plan: RunPlan;
}

/** @throws InputError for settings that do not fit together, or not the model. */
async function plannedRun(asked: Asked): Promise<PlannedRun> {
  checkProvider(asked.provider);
  const masks = asked.masks === undefined ? undefined : await loadMasks(asked.masks);
  const options = {
    ...optionsOf(asked, !(asked.model in ZOO)),
    ...(masks === undefined ? {} : { masks }),
  };
  const { seed, threads } = withDefaults(options);
  const source = await modelSource(asked.model, seed);
  const model = source();
  const plan = planRun(model, options);
  if (masks !== undefined) unitsOfMasks(plan.pruning.layers, masks);
  return { options: { ...options, threads }, source, model, plan };
}

/** A run that can begin. */
interface ReadyRun {
  readonly options: TrainOptions;
  readonly settings: Settings;
  readonly plan: RunPlan;
  readonly stored: Config;
  readonly inputs: RunInputs;
}

/** Loads the data, and brings the model to their classes and normalization. */
async function readyRun(asked: Asked, { options, source, model, plan }: PlannedRun): Promise<ReadyRun> {
  const data = await commandData(asked, model);
  const network = source(data.classes.length);
  checkInterface(network, data);
  noteClasses(network, data);
  const choice = await chooseNormalization(network, data, options);
  const guessed = describeChoice(choice);
  if (guessed !== undefined) note(guessed);
  const augment = options.augment ?? data.augmentation ?? {};
  const prepared = { ...options, augment, normalize: choice.normalization, model: network, data };
  return {
    options: prepared,
    settings: withDefaults(prepared),
    plan: network === model ? plan : planRun(network, options),
    stored: storedConfig(asked, prepared),
    inputs: await digestInputs(network, data, options.masks),
  };
}

/** Says what is trained, and what follows from its plan. */
function announce({ model }: Asked, { options, settings, plan }: ReadyRun): void {
  const { epochs, seed, threads } = settings;
  note(`training ${model} on ${options.data.name}: ${epochs} epochs, seed ${seed}, ${threads} threads`);
  const { exempt } = plan.quantization;
  if (exempt.length > 0) {
    note(
      `activations: ${exempt.join(" and ")} read float32, as the first and the last layer do by default; ` +
        `activations.${exempt[0]}=FORMAT quantizes them, too`,
    );
  }
  const { budget } = plan.pruning;
  if (budget !== undefined) note(`budget: ${budgetLine(budget)}`);
}

/** Trains, shows how it goes, and writes the run directory. */
async function trained(
  { options, settings, plan, stored, inputs }: ReadyRun,
  directory: RunDirectory,
  checkpoint: Checkpoint | undefined,
  left: () => string,
): Promise<Run> {
  const display = progressDisplay(settings.epochs);
  const tellStudio = announceRun(directory, stored);
  const observed: TrainOptions = {
    ...options,
    ...(checkpoint === undefined ? {} : { resume: checkpoint }),
    onCheckpoint: (saved) => directory.checkpoint({ ...saved, inputs }),
    onProgress: (progress) => {
      display.onProgress(progress);
      tellStudio(progress);
    },
    onEpoch: (metrics, heatmaps) => {
      display.onEpoch(metrics);
      directory.recordEpoch(metrics, stored, heatmaps);
    },
  };
  const run = await interruptible(
    (signal) => train({ ...observed, signal }, plan),
    left,
    (stop) => watchForStop(directory.path, stop),
  ).finally(() => {
    display.stop();
  });
  const { report, model, masked, masks, metrics, quantization, heatmaps } = run;
  await directory.finish({ model, masked, report, masks, metrics, quantization, heatmaps, config: stored });
  return run;
}

/** Says so where a model tells more classes apart than the data have. */
function noteClasses({ graph }: Model, { name, classes }: Dataset): void {
  const outputs = graph.outputs[0].type?.shape?.at(-1);
  if (typeof outputs !== "number" || outputs <= classes.length) return;
  const first = classes.slice(0, 3).join(", ");
  note(
    `the model has ${outputs} classes, data set ${name} has ${classes.length}: these are taken for the model's first ` +
      `${classes.length}, in this order: ${first}${classes.length > 3 ? ", ..." : ""}`,
  );
}

/** Opens the stopped run in --out. */
async function reopen(flags: TrainFlags, out: string | undefined): Promise<StoppedRun> {
  if (out === undefined) throw new InputError("--resume: which run? Name its folder with --out.");
  if (flags.overwrite === true || flags.config !== undefined) {
    throw new InputError(
      `--resume goes on with the settings in ${join(out, "config.json")}; it can't go with --${flags.overwrite === true ? "overwrite" : "config"}.`,
    );
  }
  return reopenRunDirectory(out);
}

/** @throws InputError naming what a resumed run has another one of by now. */
function checkStillThere({ checkpoint }: StoppedRun, { inputs, stored }: ReadyRun, out: string): void {
  if (checkpoint === undefined) return;
  const { model = "", data = "", masks } = stored;
  const names: InputNames = { model, data: stored["data-dir"] ?? data, masks };
  if (checkpoint.inputs !== undefined) checkInputs(checkpoint.inputs, inputs, names, out);
  else {
    note(
      `whether model and data are those that the run in "${out}" was begun with can't be checked: its version of kofn did not record digests`,
    );
  }
}

const NOTHING = "nothing was written.";

function remains(directory: RunDirectory, out: string): string {
  return directory.begun
    ? `the finished epochs are in ${out}; go on with kofn train --resume --out ${out}`
    : NOTHING;
}

/** Opens runs/MODEL-DATA-N with the smallest N that is free. */
async function newDirectory(model: string, data: string): Promise<{ out: string; directory: RunDirectory }> {
  for (let number = 1; ; number++) {
    const out = join("runs", `${model}-${basename(data)}-${number}`);
    if (existsSync(out)) continue;
    try {
      return { out, directory: await prepareRunDirectory(out) };
    } catch (error) {
      // Another process that was begun at the same time has got it.
      if (!(error instanceof FolderInUse)) throw error;
    }
  }
}
