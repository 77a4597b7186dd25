/** `kofn train`: trains and prunes a model, and leaves a run directory. */

import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import type { Command } from "commander";
import type { RunInputs } from "@kofn/format/run/types.js";
import type { Dataset } from "../data/types.js";
import { InputError } from "../errors.js";
import { planPruning } from "../prune/budget.js";
import { unitsOfMasks } from "../prune/given-masks.js";
import { ZOO } from "../models/zoo.js";
import type { Model } from "../onnx/model.js";
import { budgetLine } from "../report/text.js";
import type { Config } from "../options/config.js";
import { checkInterface } from "../task/evaluate.js";
import { chooseNormalization, describeChoice } from "../task/normalize.js";
import { prepareRunDirectory, type RunDirectory } from "../run/directory.js";
import { checkInputs, digestInputs, type InputNames } from "../run/inputs.js";
import { FolderInUse } from "../run/lock.js";
import { loadMasks, reopenRunDirectory, type StoppedRun } from "../run/read.js";
import { planQuantization } from "../quantize/plan.js";
import { configOf, optionsOf } from "../options/settings.js";
import { train } from "../run/train.js";
import { readConfigFile } from "./config-file.js";
import { commandData, storedDataName } from "./dataset.js";
import { endAtInterrupt, interruptible } from "./interrupt.js";
import { announceRun, watchForStop } from "../run/live.js";
import { modelSource } from "./model-source.js";
import { checkProvider, collect, configOfOptions } from "./options.js";
import { progressDisplay } from "./progress.js";
import { withStudio } from "./studio.js";
import { summary } from "./summary.js";
import { note, print, printJson } from "./terminal.js";

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
  program
    .command("train")
    .summary("train and prune a model")
    .description(
      "Trains a model while it learns which weights to keep, exactly k of n, and writes a run directory.",
    )
    .argument("[model]", `model of the zoo (${Object.keys(ZOO).join(", ")}) or path of an .onnx file`)
    .option(
      "--data <name>",
      "data set: a name (see kofn data list), a folder of images, or .parquet (default: glyphs)",
    )
    .option("--data-dir <dir>", "folder with the data set's files")
    .option("--skip-bad-images", "go on without images that can't be decoded")
    .option("--prune <spec>", "what to prune; can be given several times", collect)
    .option("--keep <amount>", "keep so many weights of every output channel, in all layers but the last")
    .option(
      "--budget <amount>",
      "keep so much of all weights, such as 10x (a tenth) or 10%, each layer its part",
    )
    .option("--macs <share>", "the same of multiply-accumulates, such as 30%")
    .option("--granularity <name>", "what the budget keeps: weights, kernels or maps (default: weights)")
    .option("--allocation <name>", "which part each layer gets: erk or uniform (default: erk)")
    .option("--round <n>", "the budget keeps multiples of n in each group, or all (default: 1)")
    .option("--quantize <spec>", "what to learn in few bits; can be given several times", collect)
    .option(
      "--quantize-from <share>",
      "share of training after which quantization begins (default: 30%; 0% for an .onnx file)",
    )
    .option("--freeze-from <share>", "share of training after which masks stay as they are (default: never)")
    .option("--masks <file>", "train with these masks (masks.safetensors), which stay as they are")
    .option("--epochs <n>", "passes over the training data (default: 20; 15 for an .onnx file)")
    .option("--batch <n>", "samples per step (default: 64)")
    .option("--limit <n>", "train on the first n samples only")
    .option("--optimizer <name>", "adam or sgd (default: adam)")
    .option(
      "--lr <x>",
      "learning rate (default: 0.002 for adam, 0.05 for sgd; for an .onnx file 0.001 and 0.02)",
    )
    .option("--momentum <x>", "momentum, for sgd (default: 0; 0.9 for an .onnx file)")
    .option("--weight-decay <x>", "decoupled weight decay (default: 0)")
    .option("--schedule <name>", "of the learning rate: constant, cosine, linear, step (default: cosine)")
    .option("--warmup <x>", "share of training over which the learning rate rises (default: 0)")
    .option("--logit-lr <x>", "learning rate of the mask logits (default: 0.03)")
    .option("--tau <a:b>", "temperature of the relaxed masks, from first to last step (default: 5:0.5)")
    .option(
      "--beta <a[:b]>",
      "scale of the Gumbel noise, from first to last step (default: 0.1; 0.1:0.01 for an .onnx file)",
    )
    .option("--entropy <x>", "weight of the entropy regulariser (default: 0)")
    .option(
      "--init <how>",
      "mask logits: normal, or from the weights' magnitude (default: normal; magnitude for an .onnx file)",
    )
    .option(
      "--shrink <a:b>",
      "share of training over which k falls from n to its target (default: 0:0; 0:0.5 for an .onnx file)",
    )
    .option("--batch-norm <mode>", "statistics of batch normalisation: train or frozen (default: train)")
    .option(
      "--augment <list>",
      "none, or of crop:PIXELS, flip, cutout:PIXELS, mixup:A (default: the data set's)",
    )
    .option("--normalize <how>", "none, or MEAN/STD per channel (default: the model's or the data set's)")
    .option(
      "--recalibrate <n>",
      "batches that measure batch normalisation anew after training (default: 100)",
    )
    .option("--distill <a:t>", "learn from the dense model, too: its share of the loss, and a temperature")
    .option("--seed <n>", "fixes all that is random (default: 1)")
    .option("--threads <n>", "threads of onnxruntime and of the sampler (default: the number of cores)")
    .option("--provider <name>", "where onnxruntime computes: cpu, wasm (default: cpu)")
    .option("--config <file>", "YAML or JSON file with these options as keys; the command line wins")
    .option("--out <dir>", "run directory (default: a new one in runs/)")
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

async function trainCommand(model: string | undefined, flags: TrainFlags, given: Config): Promise<void> {
  // The run directory is given back when all is trained, or when the process ends.
  let left = (): string => NOTHING;
  const ignoreInterrupt = endAtInterrupt(() => left());
  const stopped = flags.resume === true ? await reopen(flags, given.out) : undefined;
  const file = flags.config === undefined ? (stopped?.config ?? {}) : await readConfigFile(flags.config);
  const {
    model: name,
    data: dataName = "glyphs",
    ...config
  }: Config = {
    ...file,
    ...given,
    ...(model === undefined ? {} : { model }),
    ...specs("prune", file, stopped === undefined ? given : {}),
    ...specs("quantize", file, stopped === undefined ? given : {}),
  };
  if (name === undefined) {
    throw new InputError(
      `kofn train: which model? Name one of the zoo (${Object.keys(ZOO).join(", ")}) or the path of an .onnx file.`,
    );
  }
  checkProvider(config.provider);
  const pretrained = !(name in ZOO);
  const fixed = config.masks === undefined ? undefined : await loadMasks(config.masks);
  const options = {
    ...optionsOf(config, pretrained),
    ...(fixed === undefined ? {} : { masks: fixed }),
    threads: config.threads ?? availableParallelism(),
  };
  const source = await modelSource(name, options.seed ?? 1);
  const { layers } = planPruning(source().graph, options);
  if (fixed !== undefined) unitsOfMasks(layers, fixed);
  planQuantization(source().graph, options.quantize);
  const { out, directory } =
    config.out === undefined
      ? await newDirectory(basename(name, ".onnx"), dataName)
      : { out: config.out, directory: stopped?.directory ?? (await prepareRunDirectory(config.out, flags)) };
  left = () => remains(directory, out);

  const dir = config["data-dir"];
  const data = await commandData({ ...config, data: dataName }, source());
  const network = source(data.classes.length);
  checkInterface(network, data);
  noteClasses(network, data);
  const choice = await chooseNormalization(network, data, options);
  const guessed = describeChoice(choice);
  if (guessed !== undefined) note(guessed);
  const prepared = {
    ...options,
    augment: options.augment ?? data.augmentation ?? {},
    normalize: choice.normalization,
  };
  const stored: Config = {
    model: name in ZOO ? name : resolve(name),
    data: storedDataName(dataName),
    ...(dir === undefined ? {} : { "data-dir": resolve(dir) }),
    ...(config["skip-bad-images"] === undefined ? {} : { "skip-bad-images": config["skip-bad-images"] }),
    ...configOf(prepared),
    ...(config.masks === undefined ? {} : { masks: resolve(config.masks) }),
  };
  const inputs = await digestInputs(network, data, fixed);
  if (stopped !== undefined) {
    checkUnchanged(stopped.config, { ...stored, ...specsOf(given, stored) }, out);
    const { model = name, masks } = stored;
    checkStillThere(stopped, inputs, { model, data: stored["data-dir"] ?? dataName, masks }, out);
  }
  const { epochs = 0 } = stored;
  note(
    `training ${name} on ${data.name}: ${epochs} epochs, seed ${stored.seed ?? 0}, ${options.threads} threads`,
  );
  const { exempt } = planQuantization(network.graph, options.quantize);
  if (exempt.length > 0) {
    note(
      `activations: ${exempt.join(" and ")} read float32, as the first and the last layer do by default; ` +
        `activations.${exempt[0]}=FORMAT quantizes them, too`,
    );
  }
  const { budget } = planPruning(network.graph, options);
  if (budget !== undefined) note(`budget: ${budgetLine(budget)}`);
  const trainAndSave = async (): Promise<void> => {
    const display = progressDisplay(epochs);
    try {
      const tellStudio = announceRun(directory, stored);
      const run = await interruptible(
        (signal) =>
          train({
            ...prepared,
            model: network,
            data,
            signal,
            ...(stopped?.checkpoint === undefined ? {} : { resume: stopped.checkpoint }),
            onCheckpoint: (checkpoint) => directory.checkpoint({ ...checkpoint, inputs }),
            onProgress: (progress) => {
              display.onProgress(progress);
              tellStudio(progress);
            },
            onEpoch: (metrics, heatmaps) => {
              display.onEpoch(metrics);
              directory.recordEpoch(metrics, stored, heatmaps);
            },
          }),
        left,
        (stop) => watchForStop(directory.path, stop),
      ).finally(() => {
        display.stop();
      });
      const { report, model: finished, masked, masks, metrics, quantization, heatmaps } = run;
      const contents = { model: finished, masked, report, masks, metrics, quantization, heatmaps };
      await directory.finish({ ...contents, config: stored });
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
  await (flags.studio === true ? withStudio(dirname(directory.path), trainAndSave) : trainAndSave());
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

/** The specs that were given, if any were, in place of those that the run has. */
function specsOf({ prune, quantize }: Config, stored: Config): Pick<Config, "prune" | "quantize"> {
  const given = {
    ...(prune === undefined ? {} : { prune }),
    ...(quantize === undefined ? {} : { quantize }),
  };
  return Object.keys(given).length === 0 ? {} : configOf(optionsOf({ ...stored, ...given }));
}

/** The specs of a file, and after them those of the command line, which win. */
function specs(key: "prune" | "quantize", file: Config, given: Config): Pick<Config, "prune" | "quantize"> {
  const all = [...(file[key] ?? []), ...(given[key] ?? [])];
  return all.length === 0 ? {} : { [key]: all };
}

/** @throws InputError naming what a resumed run was asked to change. */
function checkUnchanged(before: Config, now: Config, out: string): void {
  const keys = [...new Set([...Object.keys(before), ...Object.keys(now)])] as (keyof Config)[];
  const changed = keys.filter((key) => JSON.stringify(before[key]) !== JSON.stringify(now[key]));
  if (changed.length === 0) return;
  const described = changed.map(
    (key) => `${key} ${JSON.stringify(now[key])} (was ${JSON.stringify(before[key])})`,
  );
  throw new InputError(
    `--resume goes on with the settings that the run in "${out}" was begun with, but other ones were given: ${described.join(", ")}. ` +
      `Leave them out, or begin a new run.`,
  );
}

/** @throws InputError naming what a resumed run has another one of by now. */
function checkStillThere({ checkpoint }: StoppedRun, now: RunInputs, names: InputNames, out: string): void {
  if (checkpoint === undefined) return;
  if (checkpoint.inputs !== undefined) checkInputs(checkpoint.inputs, now, names, out);
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
