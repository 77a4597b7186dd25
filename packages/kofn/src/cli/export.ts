/** `kofn export`: writes a model to a file: that of a run without what its masks leave unused, or an imported one. */

import { stat } from "node:fs/promises";
import type { Command } from "commander";
import { InputError } from "../errors.js";
import { bytes, whole } from "../figures.js";
import { isFolder } from "../files/folder.js";
import { isKofnFile } from "../files/kofn.js";
import { loadModel, saveModel } from "../files/models.js";
import { importModel } from "../import/import.js";
import { OPSET } from "../onnx/model.js";
import type { Config } from "../options/config.js";
import { countMacs } from "../prune/macs.js";
import { removeMaps } from "../prune/structure/remove.js";
import { readRun } from "../run/read.js";
import { shapesOf } from "../run/report-data.js";
import { exportHardware } from "./export-hardware.js";
import { exportKofn, exportMasks } from "./export-kofn.js";
import { type Quantized, quantizedExport } from "./export-quantized.js";
import { collect, configOfOptions } from "./options.js";
import { shapeTable } from "./summary.js";
import { note, print, printJson, table } from "./terminal.js";

const EXAMPLES = `
Examples:
  kofn export runs/a -o pruned.onnx
  kofn export old.onnx --format onnx -o new.onnx
  kofn export model.kofn --format onnx -o model.onnx
  kofn export runs/a --format masks -o masks.safetensors
  kofn export runs/a --format qdq -o small.onnx
  kofn export runs/a --format qdq --quantize '*=int8' --quantize activations=uint8 --calibrate mse -o small.onnx
  kofn export runs/a --format c -o net.c
  kofn export runs/a --format mem -o images`;

const FORMATS = ["onnx", "qdq", "masks", "c", "mem"] as const;

function isFormat(name: string): name is (typeof FORMATS)[number] {
  return (FORMATS as readonly string[]).includes(name);
}

export function addExportCommand(program: Command): void {
  program
    .command("export")
    .summary("write a model to a file")
    .description(
      `Writes the model of a run directory, without the channels that its masks leave without effect, or that of an ONNX file of any operator set from 9 to ${OPSET}, with operator set ${OPSET}. What it computes stays the same.`,
    )
    .argument("<path>", "run directory, .kofn file or .onnx file")
    .requiredOption("-o, --output <file>", "file to write; of c and mem also a folder")
    .option(
      "--format <name>",
      "onnx, qdq for quantized models, masks alone as safetensors, c for C code, or mem for memory images (default: onnx)",
    )
    .option(
      "--quantize <spec>",
      "qdq, c and mem of a float model: what to quantize; can be given several times",
      collect,
    )
    .option(
      "--calibrate <method>",
      "qdq: minmax, percentile or mse (default: mse); for a run that was trained quantized: adds ranges that integer kernels lack",
    )
    .option("--data <name>", "data set to observe activations on (default: the run's own)")
    .option("--data-dir <dir>", "folder with the data set's files (default: the run's own)")
    .option("--normalize <how>", "none, or MEAN/STD per channel (default: as the model's metadata says)")
    .option("--threads <n>", "threads of onnxruntime (default: the number of cores)")
    .option("--json", "print what was written as JSON")
    .addHelpText("after", EXAMPLES)
    .action(async (path: string, flags: ExportFlags, command: Command) => {
      await exportCommand(path, flags, configOfOptions(command));
    });
}

interface ExportFlags {
  readonly output: string;
  readonly format?: string;
  readonly calibrate?: string;
  readonly json?: true;
}

async function exportCommand(path: string, flags: ExportFlags, given: Config): Promise<void> {
  const { output, format = "onnx", json } = flags;
  if (!isFormat(format)) {
    throw new InputError(`--format: expected ${FORMATS.join(", ")}, got "${format}".`);
  }
  const quantizes = format === "qdq" || format === "c" || format === "mem";
  if (!quantizes && (given.quantize !== undefined || flags.calibrate !== undefined)) {
    throw new InputError("--quantize and --calibrate go with --format qdq, c and mem.");
  }
  const isPacked = !(await isFolder(path)) && (await isKofnFile(path));
  if (isPacked && quantizes) {
    throw new InputError(
      `${path}: --format ${format} is for run directories and .onnx files. Export it as onnx first.`,
    );
  }
  if (format === "c" || format === "mem") {
    const run = (await isFolder(path)) ? await readRun(path) : undefined;
    const loaded = await loadModel(run?.maskedPath ?? path);
    const { calibrate } = flags;
    await exportHardware({ path, output, format, run, loaded, given, calibrate, json: json === true });
    return;
  }
  if (await isFolder(output)) {
    throw new InputError(`--output: expected a file, but "${output}" is a folder. Name a file in it.`);
  }
  if (format === "masks") {
    await exportMasks(path, output, json === true);
    return;
  }
  if (isPacked) {
    await exportKofn(path, output, json === true);
    return;
  }
  const run = (await isFolder(path)) ? await readRun(path) : undefined;
  const loaded = await loadModel(run?.maskedPath ?? path);
  if (format === "qdq") {
    const quantized = await quantizedExport(path, run, loaded, given, flags.calibrate);
    await saveModel(quantized.model, output);
    await tellQuantized(path, output, quantized, json === true);
    return;
  }
  if (run !== undefined && run.quantization.activations.length > 0) {
    throw new InputError(
      `run directory "${path}": its activations are quantized. Export it with --format qdq; model.onnx in it has them in float32.`,
    );
  }
  const imported = importModel(loaded);
  const remains = run === undefined ? undefined : removeMaps(imported, run.masks);
  const model = remains?.model ?? imported;
  const shapes =
    remains === undefined
      ? undefined
      : shapesOf(imported, remains, countMacs(imported.graph, [], remains).layers);
  await saveModel(model, output);
  const { size } = await stat(output);
  const { graph } = model;
  const parameters = [...graph.initializers.values()].reduce((sum, value) => sum + value.size, 0);
  const from = loaded.opsets.get("") ?? 0;
  if (json === true) {
    printJson({
      path,
      output,
      format,
      opset: OPSET,
      opsetBefore: from,
      nodes: graph.nodes.length,
      parameters,
      bytes: size,
      ...(shapes === undefined ? {} : { shapes }),
    });
    return;
  }
  print(
    `${output}: ${bytes(size)}, ${whole(graph.nodes.length)} nodes, ${whole(parameters)} parameters, operator set ${OPSET} (was ${from})`,
  );
  if (shapes === undefined) return;
  print();
  for (const line of shapeTable(shapes)) print(line);
}

async function tellQuantized(
  path: string,
  output: string,
  { model, kernels, exempt }: Quantized,
  json: boolean,
): Promise<void> {
  const { size } = await stat(output);
  const nodes = model.graph.nodes.length;
  if (json) {
    printJson({ path, output, format: "qdq", opset: OPSET, nodes, bytes: size, kernels, exempt });
    return;
  }
  print(`${output}: ${bytes(size)}, ${whole(nodes)} nodes, operator set ${OPSET}`);
  if (exempt.length > 0) {
    note(`what ${exempt.join(" and ")} read is not quantized: the first and the last layer are exempt`);
  }
  const rows = kernels.map(({ layer, op, reason }) => [layer, op ?? "float", reason ?? ""]);
  print();
  for (const line of table([{ title: "layer" }, { title: "kernel" }, { title: "why" }], rows)) print(line);
}
