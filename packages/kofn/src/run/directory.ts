/** Writes the folder that a training run leaves, from the first epoch on. */

import { appendFileSync, readdirSync, rmSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import {
  HEATMAPS,
  MASKED_MODEL,
  PAGE,
  QUANTIZATION,
  QUANTIZED_MODEL,
  RUN_FILES,
} from "@kofn/format/run/files.js";
import type { EpochMetrics, Owner, Running } from "@kofn/format/run/types.js";
import { InputError } from "../errors.js";
import { writeAtomically, writeAtomicallySync } from "../files/atomic.js";
import { saveModel } from "../files/models.js";
import { exportTrained } from "../integers/export-trained.js";
import { prunableLayers } from "../layers/layers.js";
import { appendHeatmaps, encodeHeatmaps, type Heatmap, truncateHeatmaps } from "../metrics/heatmaps.js";
import { encodeSafetensors } from "../onnx/safetensors.js";
import type { Config } from "../options/config.js";
import { encodeQuantization } from "../quantize/file.js";
import { reportPage } from "../report/page.js";
import { CHECKPOINT, encodeCheckpoint } from "./checkpoint.js";
import { belongsToRun, entriesOf, isRun, removeLeftovers } from "./folder.js";
import { type FolderLock, lockFolder } from "./lock.js";
import type { Checkpoint, RunContents, RunDirectoryOptions } from "./types.js";

/**
 * Opens a folder for a new run, and makes sure that it can be written, so that this does not fail after hours of training. The
 * folder is this process's until it is closed or the process ends; an old run in it is replaced when the first result is
 * written. Closed before that, it leaves no trace.
 *
 * @throws InputError if the folder can't be made or written, holds a run already, or holds other things and no run, or if
 * another process has it open.
 * @example
 * const directory = await prepareRunDirectory("runs/a");
 * try {
 *   await directory.finish({ model, report, masks, metrics, config });
 * } finally {
 *   directory.close();
 * }
 */
export async function prepareRunDirectory(
  path: string,
  { overwrite = false }: RunDirectoryOptions = {},
): Promise<RunDirectory> {
  checkForeign(await entriesOf(resolve(path), path), path);
  const lock = lockFolder(path);
  try {
    // As it stands now that nobody else writes there.
    const entries = await entriesOf(lock.folder, path);
    checkForeign(entries, path);
    if (!overwrite) checkFree(entries, path);
    removeLeftovers(lock.folder);
    return new RunDirectory(lock);
  } catch (error) {
    lock.release();
    throw error;
  }
}

function checkForeign(entries: readonly string[], path: string): void {
  if (entries.length === 0 || isRun(entries)) return;
  const found = entries.slice(0, 3).join(", ") + (entries.length > 3 ? ", ..." : "");
  throw new InputError(
    `run directory "${path}": the folder is not empty and holds no run (found ${found}). Choose a new or an empty folder.`,
  );
}

function checkFree(entries: readonly string[], path: string): void {
  if (entries.length === 0) return;
  const state = entries.includes(RUN_FILES.report) ? "a run" : "a run that was not finished";
  throw new InputError(
    `run directory "${path}": the folder already holds ${state}. Choose another folder, replace the run (--overwrite; overwrite: true in the library), or go on with one that was stopped (--resume).`,
  );
}

/** A folder that is open for a run. Made by {@link prepareRunDirectory} or, to go on, by `reopenRunDirectory`. */
export class RunDirectory {
  /** The folder's absolute path. */
  readonly path: string;
  readonly #lock: FolderLock;
  /** Of a run that goes on: the epochs that count. */
  readonly #before: readonly EpochMetrics[] | undefined;
  #begun = false;

  constructor(lock: FolderLock, before?: readonly EpochMetrics[]) {
    this.path = lock.folder;
    this.#lock = lock;
    this.#before = before;
  }

  /** Whether the folder holds anything of the run. */
  get begun(): boolean {
    return this.#begun || this.#before !== undefined;
  }

  /** Says in running.json how far the run is. */
  tell(more: Omit<Running, keyof Owner>): void {
    this.#lock.tell(more);
  }

  /** Lets others have the folder. */
  close(): void {
    this.#lock.release();
  }

  /**
   * Appends an epoch to heatmaps.bin and metrics.jsonl. The first call removes the run that the folder held and writes
   * config.json, or removes what a run that goes on has of later epochs.
   *
   * @throws KofnError if config.json or metrics.jsonl can't be written.
   */
  recordEpoch(metrics: EpochMetrics, config: Config, heatmaps: readonly Heatmap[] = []): void {
    this.#begin(config);
    appendHeatmaps(join(this.path, HEATMAPS), metrics.epoch, heatmaps);
    appendFileSync(join(this.path, RUN_FILES.metrics), jsonLine(metrics));
  }

  /** Replaces the checkpoint, atomically. */
  async checkpoint(checkpoint: Checkpoint): Promise<void> {
    const file = join(this.path, CHECKPOINT);
    await mkdir(dirname(file), { recursive: true });
    await writeAtomically(file, [encodeCheckpoint(checkpoint)]);
  }

  /**
   * Writes all files of a finished run, each atomically, and report.json last.
   *
   * @throws KofnError if a file can't be written.
   */
  async finish(contents: RunContents): Promise<void> {
    const { model, masked, report, masks, metrics, config, quantization, heatmaps } = contents;
    this.#begin(config);
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

  #begin(config: Config): void {
    if (this.#begun) return;
    if (this.#before === undefined) this.#replace(config);
    else this.#goOn(this.#before);
    this.#begun = true;
  }

  #replace(config: Config): void {
    const old = readdirSync(this.path).filter(belongsToRun);
    // Without a report, what is left of the old run counts as unfinished, should this process be killed meanwhile.
    for (const name of [RUN_FILES.report, ...old]) {
      rmSync(join(this.path, name), { recursive: true, force: true });
    }
    writeAtomicallySync(join(this.path, RUN_FILES.config), jsonDocument(config));
  }

  #goOn(metrics: readonly EpochMetrics[]): void {
    writeAtomicallySync(join(this.path, RUN_FILES.metrics), metrics.map(jsonLine).join(""));
    truncateHeatmaps(join(this.path, HEATMAPS), metrics.length);
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
