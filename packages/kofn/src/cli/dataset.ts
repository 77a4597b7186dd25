/** Loads the data set that a command was given, and shows how decoding goes. */

import { resolve } from "node:path";
import { createLogUpdate } from "log-update";
import { DATASET_NAMES, loadDataset } from "../datasets/registry.js";
import type { Dataset } from "../data/types.js";
import { whole } from "../figures.js";
import type { Model } from "../onnx/model.js";
import { classifierOf } from "../task/classifier.js";
import type { Config } from "../options/config.js";
import { interruptible } from "./interrupt.js";
import { note } from "./terminal.js";

const REDRAW_MS = 100;
/** Decoding that takes longer is told of when it is done. */
const QUICK_MS = 2000;

/**
 * @param model what images of any size are brought to the input of.
 * @throws InputError if the data set can't be read.
 */
export async function commandData(
  config: Config & { readonly data: string },
  model: Model,
): Promise<Dataset> {
  const dir = config["data-dir"];
  const [channels, height, width, ...more] = classifierOf(model).dims;
  const fits = more.length === 0 && width > 0;
  const live = process.stderr.isTTY ? createLogUpdate(process.stderr) : undefined;
  const begin = performance.now();
  let drawn = begin;
  let decoded = 0;
  try {
    return await interruptible(
      async (signal) => {
        const data = await loadDataset(config.data, {
          ...(dir === undefined ? {} : { dir }),
          ...(fits ? { size: { channels, height, width } } : {}),
          skipBadImages: config["skip-bad-images"] ?? false,
          signal,
          onNote: note,
          onProgress: (done, total) => {
            decoded = total;
            const now = performance.now();
            if (now - drawn < REDRAW_MS) return;
            drawn = now;
            live?.(`decoding images: ${whole(done)} of ${whole(total)}`);
          },
        });
        signal.throwIfAborted();
        return data;
      },
      () => "nothing was written.",
    );
  } finally {
    live?.clear();
    live?.done();
    const seconds = (performance.now() - begin) / 1000;
    if (decoded > 0 && seconds * 1000 > QUICK_MS)
      note(`decoded ${whole(decoded)} images in ${seconds.toFixed(1)} s`);
  }
}

/** How a config names a data set, from whatever folder it is read. */
export function storedDataName(name: string): string {
  return DATASET_NAMES.some((known) => known === name) ? name : resolve(name);
}
