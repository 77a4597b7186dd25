/** `kofn export FILE.kofn`: the model of a .kofn file as ONNX, without loss; and masks alone, of a file or a run. */

import { stat } from "node:fs/promises";
import { InputError } from "../errors.js";
import { bytes, whole } from "../figures.js";
import { writeAtomically } from "../files/atomic.js";
import { isFolder } from "../files/folder.js";
import { isKofnFile, loadKofn } from "../files/kofn.js";
import { saveModel } from "../files/models.js";
import { OPSET } from "../onnx/model.js";
import { encodeSafetensors } from "../onnx/safetensors.js";
import { weightMasks } from "../pack/contents.js";
import { modelOfKofn } from "../pack/file.js";
import { readRun } from "../run/read.js";
import { print, printJson } from "./terminal.js";

/** Writes the model of a .kofn file. */
export async function exportKofn(path: string, output: string, isJson: boolean): Promise<void> {
  const model = modelOfKofn(await loadKofn(path));
  await saveModel(model, output);
  const { size } = await stat(output);
  const nodes = model.graph.nodes.length;
  if (isJson) printJson({ path, output, format: "onnx", opset: OPSET, nodes, bytes: size });
  else print(`${output}: ${bytes(size)}, ${whole(nodes)} nodes, operator set ${OPSET}`);
}

/** Writes the masks of a run or a .kofn file: a uint8 tensor of 0 and 1 for each pruned weight. */
export async function exportMasks(path: string, output: string, isJson: boolean): Promise<void> {
  const isRun = await isFolder(path);
  if (!isRun && !(await isKofnFile(path))) {
    throw new InputError(
      `--format masks: expected a run directory or a .kofn file, which have masks, got "${path}".`,
    );
  }
  const masks = isRun ? (await readRun(path)).masks : weightMasks(await loadKofn(path));
  await writeAtomically(output, [encodeSafetensors(masks)]);
  const { size } = await stat(output);
  if (isJson) printJson({ path, output, format: "masks", masks: [...masks.keys()], bytes: size });
  else print(`${output}: ${bytes(size)}, masks of ${[...masks.keys()].join(", ") || "no weight"}`);
}
