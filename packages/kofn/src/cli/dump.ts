/** `--dump`: writes the graphs of a run's steps, as ONNX files and as text. */

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { InputError, messageOf } from "../errors.js";
import { saveModel } from "../files/models.js";
import { printGraph } from "../onnx/print.js";
import type { RunGraphs } from "../run/types.js";
import { note } from "./terminal.js";

/**
 * Writes `imported`, `step` and `lowered`, each as .onnx and .txt.
 *
 * @throws InputError if the folder can't be made or written.
 */
export async function dumpGraphs(folder: string, graphs: RunGraphs): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    for (const name of ["imported", "step", "lowered"] as const) {
      await saveModel(graphs[name], join(folder, `${name}.onnx`));
      await writeFile(join(folder, `${name}.txt`), `${printGraph(graphs[name])}\n`);
    }
  } catch (error) {
    throw new InputError(
      `--dump ${folder}: expected a folder that can be written, but ${messageOf(error)}. Choose another folder.`,
      { cause: error },
    );
  }
  note(
    `the graphs of a step are in ${folder}: imported, step (differentiated) and lowered, as .onnx and .txt`,
  );
}
