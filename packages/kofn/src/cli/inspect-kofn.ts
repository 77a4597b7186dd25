/** `kofn inspect FILE.kofn`: what the file holds, and what each part of it takes. */

import { stat } from "node:fs/promises";
import { FORMAT_VERSION } from "@kofn/format/file/header.js";
import { formatNormalization } from "../data/normalization.js";
import { percent, whole } from "../figures.js";
import type { ValueInfo } from "../onnx/model.js";
import { accountOf } from "../pack/accounting.js";
import { NO_CONFIG } from "../pack/info-section.js";
import { loadKofn } from "../files/kofn.js";
import { recordedNormalization } from "../task/normalize.js";
import { accountTable } from "./account-table.js";
import { print, printJson } from "./terminal.js";

/** @param describe an input or output as a line. */
export async function inspectKofn(
  path: string,
  isJson: boolean,
  describe: (value: ValueInfo) => string,
): Promise<void> {
  const { model, provenance, labels, quantization, tensors } = await loadKofn(path);
  const { size } = await stat(path);
  const { graph } = model;
  const account = accountOf(model, tensors, size);
  const normalization = recordedNormalization(model);
  const activations = quantization.activations.length;
  if (isJson) {
    printJson({
      path,
      format: FORMAT_VERSION,
      model: graph.name,
      bytes: size,
      provenance,
      labels,
      ...(normalization === undefined ? {} : { normalization }),
      inputs: graph.inputs.map(({ name, type }) => ({ name, ...type })),
      outputs: graph.outputs.map(({ name, type }) => ({ name, ...type })),
      nodes: graph.nodes.length,
      quantizedActivations: activations,
      ...account,
    });
    return;
  }
  const { kofn, data, seed, config, accuracy } = provenance;
  print(`model    ${graph.name} (${whole(graph.nodes.length)} nodes), .kofn version ${FORMAT_VERSION}`);
  for (const value of graph.inputs) print(`input    ${describe(value)}`);
  for (const value of graph.outputs) print(`output   ${describe(value)}`);
  if (normalization !== undefined) print(`pixels   normalised by ${formatNormalization(normalization)}`);
  if (labels.length > 0) print(`classes  ${labels.join(", ")}`);
  if (activations > 0) print(`integers ${whole(activations)} activations are quantized`);
  const trained = data === "" ? "" : `, trained on ${data} with seed ${whole(seed)}`;
  const hash = config === NO_CONFIG ? "" : `, config ${config}`;
  print(`from     kofn ${kofn}${trained}${hash}`);
  if (accuracy !== undefined) print(`test     accuracy ${percent(accuracy)}`);
  print();
  for (const line of accountTable(account)) print(line);
}
