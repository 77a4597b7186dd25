/** The folder that a training run leaves: checked before training, filled while it goes, read back afterwards. */

import { randomBytes } from "node:crypto";
import { appendFileSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { mkdir, readdir, readFile, rm, rmdir, stat, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import {
  HEATMAPS,
  LIVE_ENTRIES,
  MASKED_MODEL,
  PAGE,
  QUANTIZATION,
  QUANTIZED_MODEL,
  RUN_FILES,
} from "@kofn/format/run/files.js";
import { CHECKPOINT_STATE, METRICS, REPORT } from "@kofn/format/run/schemas.js";
import type { EpochMetrics, Report } from "@kofn/format/run/types.js";
import type { z } from "zod";
import { InputError, messageOf } from "../errors.js";
import { writeAtomically } from "../files/atomic.js";
import { isFolder } from "../files/folder.js";
import { saveModel } from "../files/models.js";
import { exportTrained } from "../integers/export-trained.js";
import { prunableLayers } from "../layers/layers.js";
import { appendHeatmaps, encodeHeatmaps, type Heatmap, truncateHeatmaps } from "../metrics/heatmaps.js";
import type { Model } from "../onnx/model.js";
import { decodeSafetensors, encodeSafetensors } from "../onnx/safetensors.js";
import { type Tensor, tensor } from "../onnx/tensor.js";
import { checkConfig, type Config } from "../options/config.js";
import { decodeQuantization, encodeQuantization } from "../quantize/file.js";
import type { Quantization } from "../quantize/types.js";
import { reportPage } from "../report/page.js";
import type { Checkpoint } from "./types.js";

/** In a run directory: the run's state after its last epoch but one, or the last that was finished before it was stopped. */
const CHECKPOINT = join("checkpoint", "state.safetensors");
/** The tensor of a checkpoint's file that is no tensor, but JSON: what is in a Checkpoint besides tensors. */
const CHECKPOINT_JSON = "json";

/** All that may lie in a run directory and is replaced with it. */
const RUN_ENTRIES: ReadonlySet<string> = new Set([
  ...Object.values(RUN_FILES),
  MASKED_MODEL,
  QUANTIZATION,
  QUANTIZED_MODEL,
  HEATMAPS,
  PAGE,
  "checkpoint",
]);

/** All that a finished run leaves. */
export interface RunContents {
  readonly model: Model;
  /** The model at the shapes of the masks; the same object where no maps were removed. */
  readonly masked: Model;
  readonly report: Report;
  readonly masks: ReadonlyMap<string, Tensor<"uint8">>;
  readonly metrics: readonly EpochMetrics[];
  readonly config: Config;
  readonly quantization: Quantization;
  readonly heatmaps: RunHeatmaps;
}

/** Pictures of a run's masks, one for each mask. */
export interface RunHeatmaps {
  /** Of each epoch; those before a checkpoint that the run went on from are not here. */
  readonly epochs: readonly (readonly Heatmap[])[];
  /** Of the masks that the run ends with. */
  readonly result: readonly Heatmap[];
}

/** A finished run, read back. */
export interface StoredRun extends Omit<RunContents, "model" | "masked" | "heatmaps"> {
  /** The run directory. */
  readonly path: string;
  /** The path of model.onnx. */
  readonly modelPath: string;
  /** The path of the model whose weights have the masks' shapes: model.masked.onnx, or model.onnx without `maps`. */
  readonly maskedPath: string;
}

export interface RunDirectoryOptions {
  /** Replace the run that the folder holds. Other files in it stay. Default false. */
  readonly overwrite?: boolean;
}

/**
 * Makes sure that a run can be written to a folder, so that it does not fail after hours of training. Leaves no trace:
 * the folder is made, and an old run in it replaced, when the first result is written.
 *
 * @throws InputError if the folder can't be made or written, holds a run already, or holds other things and no run.
 * @example
 * const directory = await prepareRunDirectory("runs/a");
 * await directory.finish({ model, report, masks, metrics, config });
 */
export async function prepareRunDirectory(
  path: string,
  { overwrite = false }: RunDirectoryOptions = {},
): Promise<RunDirectory> {
  const folder = resolve(path);
  const entries = await entriesOf(folder, path);
  const holdsRun = isRun(entries);
  if (holdsRun && !overwrite) {
    const state = entries.includes(RUN_FILES.report) ? "a run" : "a run that was not finished";
    throw new InputError(
      `run directory "${path}": the folder already holds ${state}. Choose another folder, replace the run (--overwrite; overwrite: true in the library), or go on with one that was stopped (--resume).`,
    );
  }
  if (entries.length > 0 && !holdsRun) {
    const found = entries.slice(0, 3).join(", ") + (entries.length > 3 ? ", ..." : "");
    throw new InputError(
      `run directory "${path}": the folder is not empty and holds no run (found ${found}). Choose a new or an empty folder.`,
    );
  }
  await checkWritable(folder, path);
  return new RunDirectory(folder);
}

/** A run that was stopped, ready to go on. */
export interface StoppedRun {
  readonly directory: RunDirectory;
  readonly config: Config;
  /** Absent if it was stopped before its first checkpoint: then it begins anew. */
  readonly checkpoint: Checkpoint | undefined;
}

/**
 * Opens the folder of a run that was stopped or killed.
 *
 * @throws InputError if the folder holds no run, or a finished one, or its config or checkpoint is damaged.
 * @example
 * const { directory, config, checkpoint } = await reopenRunDirectory("runs/a");
 */
export async function reopenRunDirectory(path: string): Promise<StoppedRun> {
  const folder = resolve(path);
  const entries = await entriesOf(folder, path);
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
  const config = await readConfig(join(folder, RUN_FILES.config));
  const file = join(folder, CHECKPOINT);
  const checkpoint = (await exists(file)) ? readCheckpoint(await readBytes(file), file) : undefined;
  const directory = new RunDirectory(folder);
  directory.resume(checkpoint?.metrics ?? []);
  return { directory, config, checkpoint };
}

function readCheckpoint(bytes: Uint8Array, source: string): Checkpoint {
  const tensors = new Map(decodeSafetensors(bytes, source));
  const json = tensors.get(CHECKPOINT_JSON);
  if (json === undefined) throw new InputError(`${source}: expected a checkpoint, but it lacks "json".`);
  tensors.delete(CHECKPOINT_JSON);
  const state = checked(CHECKPOINT_STATE, parseJson(new TextDecoder().decode(json.bytes), source), source);
  return { tensors, ...state };
}

/** Names in a folder, but for those that a process leaves that was killed before its first epoch; none if it does not exist yet. */
async function entriesOf(folder: string, path: string): Promise<string[]> {
  try {
    return (await readdir(folder)).filter((name) => !isLive(name));
  } catch (error) {
    if (codeOf(error) === "ENOENT") return [];
    throw unusable(path, error);
  }
}

/** Whether a folder holds a run, be it one that was killed while its first file was written. */
function isRun(entries: readonly string[]): boolean {
  if (entries.includes(RUN_FILES.config) && entries.includes(RUN_FILES.metrics)) return true;
  return entries.length > 0 && entries.every(belongsToRun);
}

/** Whether a name is one of a run's, or of the temporary files from which they are renamed. */
function belongsToRun(name: string): boolean {
  const final = finalName(name);
  return RUN_ENTRIES.has(final) || /^\.kofn-[0-9a-f]{12}$/.test(final);
}

/** Whether a name is one of the files of a process that trains. */
function isLive(name: string): boolean {
  return LIVE_ENTRIES.has(finalName(name));
}

/** The name that a temporary file is to get. */
function finalName(name: string): string {
  return name.replace(/(\.\d+\.\d+)?\.tmp$/, "");
}

/**
 * Makes the folder and a file in it, and removes what it made. Another run may do the same beside it: a folder that it
 * takes away in between is made again.
 */
async function checkWritable(folder: string, path: string, attempts = 5): Promise<void> {
  const probe = join(folder, `.kofn-${randomBytes(6).toString("hex")}.tmp`);
  const made: string[] = [];
  try {
    for (const missing of await missingFolders(folder)) if (await makeFolder(missing)) made.push(missing);
    await writeFile(probe, "");
    await rm(probe);
  } catch (error) {
    if (codeOf(error) !== "ENOENT" || attempts === 1) throw unusable(path, error);
    await checkWritable(folder, path, attempts - 1);
  } finally {
    // A folder that is no longer empty has come to belong to somebody else.
    for (const empty of made.reverse()) await rmdir(empty).catch(() => undefined);
  }
}

/** @returns whether the folder was made here; false if it is there by now. */
async function makeFolder(folder: string): Promise<boolean> {
  try {
    await mkdir(folder);
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST" && (await isFolder(folder))) return false;
    throw error;
  }
}

/** The folders that must be made so that `folder` exists, outermost first. (A recursive mkdir never ends in /proc.) */
async function missingFolders(folder: string): Promise<string[]> {
  const missing: string[] = [];
  for (let at = folder; !(await exists(at)); at = dirname(at)) missing.unshift(at);
  return missing;
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return false;
    throw error;
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOTDIR: "the path, or a part of it, is a file and no folder",
  EEXIST: "the path, or a part of it, is a file and no folder",
  ENOENT: "a folder can't be made there",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EROFS: "the file system is read-only",
  ENAMETOOLONG: "the name is too long",
  ENOSPC: "the disk is full",
};

function unusable(path: string, error: unknown): InputError {
  const reason = REASONS[codeOf(error) ?? ""] ?? messageOf(error);
  return new InputError(`run directory "${path}": can't write there: ${reason}. Choose another folder.`, {
    cause: error,
  });
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

/** A folder that is ready for a run. Made by {@link prepareRunDirectory}. */
export class RunDirectory {
  /** The folder's absolute path. */
  readonly path: string;
  #begun = false;

  constructor(path: string) {
    this.path = path;
  }

  /** Whether anything of the run has been written. */
  get begun(): boolean {
    return this.#begun;
  }

  /**
   * Appends an epoch to heatmaps.bin and metrics.jsonl. The first call makes the folder, removes the run that it held, and writes config.json.
   */
  recordEpoch(metrics: EpochMetrics, config: Config, heatmaps: readonly Heatmap[] = []): void {
    if (!this.#begun) {
      this.#begin();
      writeFileSync(join(this.path, RUN_FILES.config), jsonDocument(config));
    }
    appendHeatmaps(join(this.path, HEATMAPS), metrics.epoch, heatmaps);
    appendFileSync(join(this.path, RUN_FILES.metrics), jsonLine(metrics));
  }

  /** Goes on with the run that the folder holds, of which these epochs count. */
  resume(metrics: readonly EpochMetrics[]): void {
    this.#begun = true;
    writeFileSync(join(this.path, RUN_FILES.metrics), metrics.map(jsonLine).join(""));
    truncateHeatmaps(join(this.path, HEATMAPS), metrics.length);
  }

  /** Replaces the checkpoint, atomically. */
  async checkpoint({ tensors, metrics, seconds }: Checkpoint): Promise<void> {
    const json = new TextEncoder().encode(JSON.stringify({ metrics, seconds }));
    const state = new Map(tensors).set(CHECKPOINT_JSON, tensor("uint8", [json.length], json));
    const file = join(this.path, CHECKPOINT);
    await mkdir(dirname(file), { recursive: true });
    await writeAtomically(file, [encodeSafetensors(state)]);
  }

  /**
   * Writes all files of a finished run, each atomically, and report.json last.
   *
   * @throws KofnError if a file can't be written.
   */
  async finish(contents: RunContents): Promise<void> {
    const { model, masked, report, masks, metrics, config, quantization, heatmaps } = contents;
    if (!this.#begun) this.#begin();
    await this.#write("config", jsonDocument(config));
    await this.#write("metrics", metrics.map(jsonLine).join(""));
    await this.#write("masks", encodeSafetensors(masks));
    if (heatmaps.result.length > 0 && heatmaps.epochs.length === metrics.length) {
      await writeAtomically(join(this.path, HEATMAPS), [encodeHeatmaps(heatmaps.epochs)]);
    }
    await saveModel(model, join(this.path, RUN_FILES.model));
    if (masked !== model) await saveModel(masked, join(this.path, MASKED_MODEL));
    if (quantization.weights.length > 0 || quantization.activations.length > 0) {
      await writeAtomically(join(this.path, QUANTIZATION), [encodeQuantization(quantization)]);
      await saveModel(exportTrained(masked, quantization).model, join(this.path, QUANTIZED_MODEL));
    }
    const layers = prunableLayers(masked.graph);
    const page = reportPage({ report, metrics, config, heatmaps: heatmaps.result, layers });
    await writeAtomically(join(this.path, PAGE), [new TextEncoder().encode(page)]);
    await this.#write("report", jsonDocument(report));
  }

  #begin(): void {
    mkdirSync(this.path, { recursive: true });
    for (const name of readdirSync(this.path).filter(belongsToRun)) {
      rmSync(join(this.path, name), { recursive: true, force: true });
    }
    this.#begun = true;
  }

  #write(file: keyof typeof RUN_FILES, content: string | Uint8Array): Promise<void> {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    return writeAtomically(join(this.path, RUN_FILES[file]), [bytes]);
  }
}

function jsonDocument(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

function jsonLine(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
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

async function readConfig(path: string): Promise<Config> {
  const config = checkConfig(await readJson(path));
  if ("config" in config) return config.config;
  const { path: at, message } = config.problem;
  throw new InputError(`${path}: ${pathPrefix(at)}${message}.`);
}

async function readJson(path: string): Promise<unknown> {
  return parseJson(await readText(path), path);
}

async function readText(path: string): Promise<string> {
  return new TextDecoder().decode(await readBytes(path));
}

async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new InputError(`${path}: can't read the file: ${messageOf(error)}.`, { cause: error });
  }
}

function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new InputError(`${where}: expected JSON, but it is damaged: ${messageOf(error)}.`, {
      cause: error,
    });
  }
}

function checked<T>(schema: z.ZodType<T>, value: unknown, where: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new InputError(`${where}: ${pathPrefix(issue.path)}${issue.message}.`);
}

function pathPrefix(path: readonly PropertyKey[]): string {
  return path.length === 0 ? "" : `${path.map(String).join(".")}: `;
}
