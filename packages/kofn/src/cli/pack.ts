/** `kofn pack`: writes a run, or a model with zeros, as a file that is as small as its masks allow. */

import { stat } from "node:fs/promises";
import { POSITION_CODECS } from "@kofn/format/file/fields.js";
import type { Command } from "commander";
import { InputError } from "../errors.js";
import { bytes, percent, whole } from "../figures.js";
import { writeAtomically } from "../files/atomic.js";
import { isFolder } from "../files/folder.js";
import { isKofnFile, loadKofn } from "../files/kofn.js";
import { loadModel, saveModel } from "../files/models.js";
import { importModel } from "../import/import.js";
import { accountOf } from "../pack/accounting.js";
import { sparseContents } from "../pack/contents.js";
import { encodeKofn } from "../pack/file.js";
import { packOnnx } from "../pack/onnx.js";
import type { KofnContents, PackOptions } from "../pack/types.js";
import { readRun } from "../run/read.js";
import { runContents } from "../run/packed.js";
import { accountTable } from "./account-table.js";
import { note, print, printJson } from "./terminal.js";

const POSITIONS = ["auto", ...POSITION_CODECS] as const;
const FLOATS = ["float32", "float16"] as const;
const FORMATS = ["kofn", "onnx"] as const;

const EXAMPLES = `
Examples:
  kofn pack runs/a -o model.kofn
  kofn pack runs/a --entropy --values float16 -o small.kofn
  kofn pack runs/a --format onnx -o packed.onnx
  kofn pack pruned.onnx -o model.kofn
  kofn export model.kofn --format onnx -o model.onnx`;

export function addPackCommand(program: Command): void {
  program
    .command("pack")
    .summary("write a model in few bytes")
    .description(
      "Writes the model of a run directory as a .kofn file, or as ONNX whose weights onnxruntime expands when it loads them. Of a model without masks, weights that are 0 count as pruned.",
    )
    .argument("<path>", "run directory, .kofn file or .onnx file")
    .requiredOption("-o, --output <file>", "file to write")
    .option("--format <name>", `${FORMATS.join(" or ")} (default: kofn)`)
    .option(
      "--positions <codec>",
      `how the places of kept weights are coded: ${POSITIONS.join(", ")} (default: auto, the smallest)`,
    )
    .option("--values <type>", "how floats are stored: float32, or float16 with a loss (default: float32)")
    .option("--entropy", "range code values, too, where that takes fewer bytes")
    .option("--json", "print what was written as JSON")
    .addHelpText("after", EXAMPLES)
    .action(packCommand);
}

interface PackFlags {
  readonly output: string;
  readonly format?: string;
  readonly positions?: string;
  readonly values?: string;
  readonly entropy?: true;
  readonly json?: true;
}

async function packCommand(path: string, flags: PackFlags): Promise<void> {
  const { output, json } = flags;
  const format = oneOf("--format", FORMATS, flags.format) ?? "kofn";
  const positions = oneOf("--positions", POSITIONS, flags.positions);
  const values = oneOf("--values", FLOATS, flags.values);
  if (format === "onnx" && (positions === "range" || flags.entropy === true)) {
    throw new InputError(
      "--positions range and --entropy go with --format kofn: ONNX has no operator that undoes a range coder. With --format onnx positions are a bitmap or indices.",
    );
  }
  if (await isFolder(output)) {
    throw new InputError(`--output: expected a file, but "${output}" is a folder. Name a file in it.`);
  }
  const contents = await contentsAt(path);
  const options: PackOptions = {
    ...(positions === undefined ? {} : { positions }),
    ...(values === undefined ? {} : { values }),
    ...(flags.entropy === undefined ? {} : { entropy: flags.entropy }),
  };
  if (contents.masks.size === 0) note(`${path}: nothing in it is pruned by masks; all weights are stored.`);
  if (format === "onnx") {
    await writeOnnx(path, contents, options, flags);
    return;
  }
  const packed = encodeKofn(contents, options);
  await writeAtomically(output, [packed.bytes]);
  const account = accountOf(contents.model, packed.tensors, packed.bytes.length);
  const { total } = account;
  if (json === true) {
    printJson({
      path,
      output,
      format,
      bytes: packed.bytes.length,
      largestError: packed.largestError,
      ...account,
    });
    return;
  }
  print(
    `${output}: ${bytes(total.file)}, ${percent(total.file / total.limit)} of the limit; ${bytes(total.dense)} dense`,
  );
  if (values === "float16")
    print(`largest error of a weight or bias: ${packed.largestError.toPrecision(3)} (float16)`);
  print();
  for (const line of accountTable(account)) print(line);
}

async function contentsAt(path: string): Promise<KofnContents> {
  if (await isFolder(path)) return runContents(await readRun(path));
  if (await isKofnFile(path)) return loadKofn(path);
  return sparseContents(importModel(await loadModel(path)));
}

async function writeOnnx(
  path: string,
  contents: KofnContents,
  options: PackOptions,
  { output, json }: PackFlags,
): Promise<void> {
  const { model, predictedBytes, largestError, weights } = packOnnx(contents, options);
  await saveModel(model, output);
  const { size } = await stat(output);
  if (json === true) {
    printJson({ path, output, format: "onnx", bytes: size, predictedBytes, largestError, weights });
    return;
  }
  print(
    `${output}: ${bytes(size)} (${whole(size)} bytes; ${whole(predictedBytes)} predicted), operator set 21`,
  );
  if (options.values === "float16")
    print(`largest error of a weight or bias: ${largestError.toPrecision(3)} (float16)`);
}

function oneOf<T extends string>(
  option: string,
  known: readonly T[],
  value: string | undefined,
): T | undefined {
  if (value === undefined) return undefined;
  const found = known.find((one) => one === value);
  if (found !== undefined) return found;
  throw new InputError(`${option}: expected ${known.join(", ")}, got "${value}".`);
}
