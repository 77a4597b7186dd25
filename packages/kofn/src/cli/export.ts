/** `kofn export`: writes a model to a file: that of a run without what its masks leave unused, or an imported one. */

import type { Command } from "commander";
import { stat } from "node:fs/promises";
import { InputError } from "../errors.js";
import { importModel } from "../import/import.js";
import { countMacs } from "../metrics/macs.js";
import { loadModel, saveModel } from "../onnx/file.js";
import { OPSET } from "../onnx/model.js";
import { removeMaps } from "../prune/structure/remove.js";
import { shapesOf } from "../train/report.js";
import { isFolder, readRun } from "../train/run-directory.js";
import { shapeTable } from "./summary.js";
import { bytes, print, printJson, whole } from "./terminal.js";

const EXAMPLES = `
Examples:
  kofn export runs/a -o pruned.onnx
  kofn export old.onnx --format onnx -o new.onnx`;

export function addExportCommand(program: Command): void {
  program
    .command("export")
    .summary("write a model to a file")
    .description(
      `Writes the model of a run directory, without the channels that its masks leave without effect, or that of an ONNX file of any operator set from 9 to ${OPSET}, with operator set ${OPSET}. What it computes stays the same.`,
    )
    .argument("<path>", "run directory, or .onnx file")
    .requiredOption("-o, --output <file>", "file to write")
    .option("--format <name>", "onnx (default: onnx)")
    .option("--json", "print what was written as JSON")
    .addHelpText("after", EXAMPLES)
    .action(exportCommand);
}

interface ExportFlags {
  readonly output: string;
  readonly format?: string;
  readonly json?: true;
}

async function exportCommand(path: string, { output, format = "onnx", json }: ExportFlags): Promise<void> {
  if (format !== "onnx") throw new InputError(`--format: expected onnx, got "${format}".`);
  if (await isFolder(output)) {
    throw new InputError(`--output: expected a file, but "${output}" is a folder. Name a file in it.`);
  }
  const run = (await isFolder(path)) ? await readRun(path) : undefined;
  const loaded = await loadModel(run?.maskedPath ?? path);
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
