/** Tells by digests whether a run that goes on still has the model and the data that it was begun with, not only their names. */

import { createHash, type Hash } from "node:crypto";
import type { RunInputs } from "@kofn/format/run/types.js";
import type { Dataset, Split } from "../data/types.js";
import { InputError } from "../errors.js";
import { encodeModel } from "../onnx/codec.js";
import type { Model } from "../onnx/model.js";
import { encodeSafetensors } from "../onnx/safetensors.js";
import type { GivenMasks } from "../prune/given-masks.js";
import { VERSION } from "../version.js";

/** So many images of a split that is decoded on demand are looked at. */
const SAMPLES = 64;

/**
 * Digests of what a run is made from.
 *
 * - The model: graph, weights and operator sets, those in files beside it included; not what its metadata say.
 * - The data: size of the images, classes, and of each split all labels and, where images are in memory, all their bytes. Where
 *   they are decoded on demand: names and encoded sizes of all, as far as the data set knows them, and the pixels of 64,
 *   spread evenly. So a changed image that has the same size may go unnoticed there.
 * - Masks that were given, all of them.
 *
 * @example
 * const { model, data } = await digestInputs(zoo.lenet5(), await datasets.mnist());
 */
export async function digestInputs(model: Model, data: Dataset, masks?: GivenMasks): Promise<RunInputs> {
  return {
    kofn: VERSION,
    model: digestModel(model),
    data: await digestData(data),
    ...(masks === undefined ? {} : { masks: sha256().update(encodeSafetensors(masks)).digest("hex") }),
  };
}

/** Where a user finds what digests are of. */
export type InputNames = Readonly<Record<"model" | "data", string>> & { readonly masks?: string | undefined };

/**
 * @param before digests of what the run was begun with.
 * @param path the run directory.
 * @throws InputError naming what has changed.
 */
export function checkInputs(before: RunInputs, now: RunInputs, names: InputNames, path: string): void {
  const changed = (["model", "data", "masks"] as const).filter((key) => before[key] !== now[key]);
  if (changed.length === 0) return;
  const found = changed.map(
    (key) => `${key} ${names[key] ?? ""} (SHA-256 ${start(now[key])}, was ${start(before[key])})`,
  );
  const version =
    before.kofn === now.kofn ? "" : ` or are read otherwise by kofn ${now.kofn} (was ${before.kofn})`;
  throw new InputError(
    `--resume goes on with what the run in "${path}" was begun with, but these have changed since${version}: ${found.join(", ")}. ` +
      `Put back what was there, or begin a new run.`,
  );
}

function start(digest = "none"): string {
  return digest.slice(0, 12);
}

function digestModel({ opsets, graph, unknown }: Model): string {
  const content = { irVersion: 0, producerName: "", producerVersion: "", opsets, graph, metadata: new Map() };
  const hash = sha256();
  for (const chunk of encodeModel(unknown === undefined ? content : { ...content, unknown }))
    hash.update(chunk);
  return hash.digest("hex");
}

async function digestData(data: Dataset): Promise<string> {
  const { channels, height, width, classes } = data;
  const splits = [data.train, data.validation, data.test];
  const counts = splits.map(({ count }) => count);
  const hash = sha256().update(JSON.stringify({ channels, height, width, classes, counts }));
  for (const split of splits) await addSplit(hash, split, channels * height * width);
  return hash.digest("hex");
}

/** @param size bytes of a decoded image. */
async function addSplit(hash: Hash, { count, images, labels }: Split, size: number): Promise<void> {
  hash.update(labels);
  if (images instanceof Uint8Array) {
    hash.update(images);
    return;
  }
  if (images.digest !== undefined) hash.update(await images.digest());
  const samples = Math.min(SAMPLES, count);
  const numbers = Uint32Array.from({ length: samples }, (_, i) => Math.floor((i * count) / samples));
  const pixels = new Uint8Array(samples * size);
  await images.decode(numbers, pixels);
  hash.update(pixels);
}

function sha256(): Hash {
  return createHash("sha256");
}
