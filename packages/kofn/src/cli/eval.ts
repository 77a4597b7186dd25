/** `kofn eval`: measures a model of a run directory, or of an ONNX file, on a split of a data set. */

import type { Command } from "commander";
import { formatNormalization, parseNormalization } from "../data/normalization.js";
import { DATASET_NAMES } from "../datasets/registry.js";
import { InputError } from "../errors.js";
import { whole } from "../figures.js";
import { isFolder } from "../files/folder.js";
import { isKofnFile, loadKofn } from "../files/kofn.js";
import { loadModel } from "../files/models.js";
import type { Config } from "../options/config.js";
import { modelOfKofn } from "../pack/file.js";
import { readRun } from "../run/read.js";
import { evaluateModel } from "../task/evaluate-model.js";
import { checkInterface } from "../task/evaluate.js";
import { chooseNormalization, describeChoice } from "../task/normalize.js";
import { commandData } from "./dataset.js";
import { checkProvider, configOfOptions } from "./options.js";
import { evaluation } from "./summary.js";
import { note, print, printJson } from "./terminal.js";

const SPLITS = ["test", "validation", "train"] as const;

const EXAMPLES = `
Examples:
  kofn eval runs/a
  kofn eval runs/a --split validation
  kofn eval model.kofn --data-dir data/mnist
  kofn eval model.onnx --data mnist --data-dir data/mnist --json`;

export function addEvalCommand(program: Command): void {
  program
    .command("eval")
    .summary("measure a model on a data set")
    .description("Prints loss, accuracy and error of a model, as stock onnxruntime computes it.")
    .argument("<path>", "run directory, .kofn file or .onnx file")
    .option("--data <name>", "data set (default: the run's own)")
    .option("--data-dir <dir>", "folder with the data set's files (default: the run's own)")
    .option("--skip-bad-images", "go on without images that can't be decoded")
    .option("--split <name>", `${SPLITS.join(", ")} (default: test)`)
    .option(
      "--normalize <how>",
      "none, or MEAN/STD per channel (default: as the model's metadata says, else what it does best with)",
    )
    .option("--threads <n>", "threads of onnxruntime (default: the number of cores)")
    .option("--provider <name>", "where onnxruntime computes: cpu, wasm (default: cpu)")
    .option("--json", "print the result as JSON")
    .addHelpText("after", EXAMPLES)
    .action(async (path: string, flags: EvalFlags, command: Command) => {
      await evalCommand(path, flags, configOfOptions(command));
    });
}

interface EvalFlags {
  readonly split?: string;
  readonly json?: true;
}

async function evalCommand(path: string, flags: EvalFlags, given: Config): Promise<void> {
  const { split: wanted = "test" } = flags;
  const name = SPLITS.find((known) => known === wanted);
  if (name === undefined) {
    throw new InputError(`--split: expected test, validation or train, got "${wanted}".`);
  }
  const { provider, threads } = given;
  checkProvider(provider);
  const run = (await isFolder(path)) ? await readRun(path) : undefined;
  const packed = run === undefined && (await isKofnFile(path)) ? await loadKofn(path) : undefined;
  const model = packed === undefined ? await loadModel(run?.modelPath ?? path) : modelOfKofn(packed);
  const trained = DATASET_NAMES.find((known) => known === packed?.provenance.data);
  const own: Config = run?.config ?? (trained === undefined ? {} : { data: trained });
  const source = given.data === undefined ? { ...own, ...given } : given;
  if (source.data === undefined) {
    throw new InputError(
      `kofn eval ${path}: a model file does not say what it is for; name a data set with --data.`,
    );
  }
  const skips = given["skip-bad-images"] ?? source["skip-bad-images"] ?? false;
  const data = await commandData({ ...source, data: source.data, "skip-bad-images": skips }, model);
  const split = data[name];
  const options = {
    ...(provider === undefined ? {} : { provider }),
    ...(threads === undefined ? {} : { threads }),
  };
  checkInterface(model, data);
  const choice = await chooseNormalization(model, data, {
    ...options,
    ...(given.normalize === undefined ? {} : { normalize: parseNormalization(given.normalize) }),
  });
  const guessed = describeChoice(choice);
  if (guessed !== undefined) note(guessed);
  const { normalization } = choice;
  const result = await evaluateModel(model, split, data, { ...options, normalize: normalization });
  if (flags.json === true) {
    const { loss, accuracy } = result;
    printJson({
      path,
      data: data.name,
      split: name,
      samples: split.count,
      loss,
      accuracy,
      error: 1 - accuracy,
      normalize: formatNormalization(normalization),
    });
  } else {
    print(`${data.name}, ${name} split, ${whole(split.count)} samples: ${evaluation(result)}`);
  }
}
