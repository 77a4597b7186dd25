/** `kofn export`: writes a model, imported and so in the newest operator set, to a file. */

import type { Command } from "commander";
import { stat } from "node:fs/promises";
import { InputError } from "../errors.js";
import { importModel } from "../import/import.js";
import { loadModel, saveModel } from "../onnx/file.js";
import { OPSET } from "../onnx/model.js";
import { isFolder, readRun } from "../train/run-directory.js";
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
      `Writes the model of a run directory, or of an ONNX file of any operator set from 9 to ${OPSET}, with operator set ${OPSET}. What it computes stays the same.`,
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
  const source = (await isFolder(path)) ? (await readRun(path)).modelPath : path;
  const loaded = await loadModel(source);
  const model = importModel(loaded);
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
    });
    return;
  }
  print(
    `${output}: ${bytes(size)}, ${whole(graph.nodes.length)} nodes, ${whole(parameters)} parameters, operator set ${OPSET} (was ${from})`,
  );
}
