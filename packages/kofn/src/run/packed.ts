/** What a .kofn file has of a run, read from its directory. */

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { RUN_FILES } from "@kofn/format/run/files.js";
import { InputError } from "../errors.js";
import { loadModel } from "../files/models.js";
import { withoutQuantizedActivations } from "../integers/simulate.js";
import { prunedContents } from "../pack/contents.js";
import { HASH_BYTES } from "../pack/info-section.js";
import type { KofnContents } from "../pack/types.js";
import type { StoredRun } from "./types.js";
import { provenanceOf } from "./provenance.js";

/**
 * Reads what a run's .kofn file is to have.
 *
 * @throws InputError if a file of the run can't be read, or the files are not of one run.
 * @example
 * const { bytes } = encodeKofn(await runContents(await readRun("runs/a")));
 */
export async function runContents(run: StoredRun): Promise<KofnContents> {
  const { report, masks, quantization, path } = run;
  const model = withoutQuantizedActivations(await loadModel(run.maskedPath), quantization.activations);
  const layers = report.layers.map((layer) => ({ ...layer, share: layer.share ?? 1 }));
  for (const { weight } of layers) {
    const { dims = [] } = model.graph.initializers.get(weight) ?? {};
    const found = masks.get(weight)?.dims.join(", ") ?? "none";
    if (found === dims.join(", ")) continue;
    throw new InputError(
      `run directory "${path}": expected a mask of [${dims.join(", ")}] for "${weight}" in ${RUN_FILES.masks}, found ${found}. The files are not of one run.`,
    );
  }
  const config = createHash("sha256").update(await readFile(join(path, RUN_FILES.config)));
  const hash = config.digest("hex").slice(0, 2 * HASH_BYTES);
  const contents = prunedContents(
    { model, masks, layers, quantization },
    provenanceOf(report, hash),
    report.data.classes ?? [],
  );
  const hasMaps = layers.some(({ granularity }) => granularity === "maps");
  for (const { weight, n, k } of hasMaps ? [] : layers) {
    const mask = contents.masks.get(weight);
    if (mask?.layout.n === n && mask.counts.every((count) => count === k)) continue;
    throw new InputError(
      `run directory "${path}": ${RUN_FILES.masks} does not keep ${k} of ${n} in every group of "${weight}", as report.json says.`,
    );
  }
  return contents;
}
