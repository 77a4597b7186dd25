/** Reads run directories back: finished runs, and those to go on with. */

import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { MASKED_MODEL, QUANTIZATION, RUN_FILES } from "@kofn/format/run/files.js";
import { METRICS, REPORT } from "@kofn/format/run/schemas.js";
import { InputError, messageOf } from "../errors.js";
import { codeOf } from "../files/reason.js";
import { decodeSafetensors } from "../onnx/safetensors.js";
import type { Tensor } from "../onnx/tensor.js";
import { checkConfig, type Config } from "../options/config.js";
import { decodeQuantization } from "../quantize/file.js";
import { CHECKPOINT, decodeCheckpoint } from "./checkpoint.js";
import { RunDirectory } from "./directory.js";
import { entriesOf, isRun, removeLeftovers } from "./folder.js";
import { checked, parseJson, pathPrefix, readBytes, readJson, readText } from "./json.js";
import { lockFolder } from "./lock.js";
import type { Checkpoint, StoredRun } from "./types.js";

/** A run that was stopped, ready to go on. */
export interface StoppedRun {
  readonly directory: RunDirectory;
  readonly config: Config;
  /** Absent if it was stopped before its first checkpoint: then it begins anew. */
  readonly checkpoint: Checkpoint | undefined;
}

/**
 * Opens the folder of a run that was stopped or killed, to go on with it. It is this process's until it is closed or the process
 * ends; nothing in it changes before the next epoch is recorded.
 *
 * @throws InputError if the folder holds no run, or a finished one, or its config or checkpoint is damaged, or if another
 * process has it open.
 * @example
 * const { directory, config, checkpoint } = await reopenRunDirectory("runs/a");
 */
export async function reopenRunDirectory(path: string): Promise<StoppedRun> {
  checkStopped(await entriesOf(resolve(path), path), path);
  const lock = lockFolder(path);
  try {
    // As it stands now that nobody else writes there.
    checkStopped(await entriesOf(lock.folder, path), path);
    const config = await readConfig(join(lock.folder, RUN_FILES.config));
    const file = join(lock.folder, CHECKPOINT);
    const checkpoint = existsSync(file) ? decodeCheckpoint(await readBytes(file), file) : undefined;
    removeLeftovers(lock.folder);
    return { directory: new RunDirectory(lock, checkpoint?.metrics ?? []), config, checkpoint };
  } catch (error) {
    lock.release();
    throw error;
  }
}

function checkStopped(entries: readonly string[], path: string): void {
  if (entries.includes(RUN_FILES.report)) {
    throw new InputError(
      `run directory "${path}": the run is finished; there is nothing to resume. To train anew, choose another folder or --overwrite.`,
    );
  }
  if (!entries.includes(RUN_FILES.config)) {
    throw new InputError(
      `run directory "${path}": expected a run that was stopped, but there is none (no ${RUN_FILES.config}). Begin it without --resume.`,
    );
  }
}

/**
 * Reads a finished run; the model stays in its file.
 *
 * @throws InputError if the folder holds no run, or one that was not finished, or a file of it is damaged.
 * @example
 * const { report, masks } = await readRun("runs/a");
 */
export async function readRun(path: string): Promise<StoredRun> {
  const entries = await readdir(path).catch((error: unknown) => {
    const reason = codeOf(error) === "ENOENT" ? "there is no such folder" : messageOf(error);
    throw new InputError(`run directory "${path}": can't read it: ${reason}.`, { cause: error });
  });
  const missing = Object.values(RUN_FILES).filter((name) => !entries.includes(name));
  if (missing.length > 0) {
    const state = isRun(entries)
      ? "the run in it was not finished"
      : "expected a folder that kofn train has written";
    throw new InputError(`run directory "${path}": ${state}. Missing: ${missing.join(", ")}.`);
  }
  const file = (name: keyof typeof RUN_FILES): string => join(path, RUN_FILES[name]);
  const config = await readConfig(file("config"));
  const report = checked(REPORT, await readJson(file("report")), file("report"));
  const lines = (await readText(file("metrics"))).split("\n").filter((line) => line !== "");
  const metrics = lines.map((line, i) => {
    const where = `${file("metrics")}:${i + 1}`;
    return checked(METRICS, parseJson(line, where), where);
  });
  return {
    path,
    modelPath: file("model"),
    maskedPath: entries.includes(MASKED_MODEL) ? join(path, MASKED_MODEL) : file("model"),
    report,
    config,
    metrics,
    quantization: entries.includes(QUANTIZATION)
      ? decodeQuantization(await readBytes(join(path, QUANTIZATION)), join(path, QUANTIZATION))
      : { weights: [], activations: [] },
    masks: masksIn(decodeSafetensors(await readBytes(file("masks")), file("masks")), file("masks")),
  };
}

/**
 * Loads masks alone, as masks.safetensors of a run directory has them.
 *
 * @throws InputError if the file can't be read, is damaged, or holds other tensors.
 * @example
 * const masks = await loadMasks("runs/a/masks.safetensors");
 */
export async function loadMasks(path: string): Promise<Map<string, Tensor<"uint8">>> {
  return masksIn(decodeSafetensors(await readBytes(path), path), path);
}

function masksIn(tensors: ReadonlyMap<string, Tensor>, source: string): Map<string, Tensor<"uint8">> {
  const masks = new Map<string, Tensor<"uint8">>();
  for (const [name, mask] of tensors) {
    if (mask.dtype !== "uint8") {
      throw new InputError(
        `${source}: expected masks of type uint8, but that of "${name}" is ${mask.dtype}.`,
      );
    }
    masks.set(name, mask as Tensor<"uint8">);
  }
  return masks;
}

export async function readConfig(path: string): Promise<Config> {
  const config = checkConfig(await readJson(path));
  if ("config" in config) return config.config;
  const { path: at, message } = config.problem;
  throw new InputError(`${path}: ${pathPrefix(at)}${message}.`);
}
