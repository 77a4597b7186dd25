/** A run directory as it stands: read anew where its files have changed. */

import { createHash } from "node:crypto";
import type { Stats } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { HEATMAPS, LIVE_FILES, PAGE, RUN_FILES } from "@kofn/format/run/files.js";
import type { HeatmapFile } from "@kofn/format/run/heatmaps.js";
import { RUNNING } from "@kofn/format/run/schemas.js";
import type { z } from "zod";
import type { LayerHistory, RunDetails, RunState, RunSummary } from "../api.js";
import { codeOf, messageOf } from "./errors.js";
import { readCells, readHeatmapIndex } from "./heatmaps.js";
import { createInside, openInside } from "./inside.js";
import { readJson } from "./json-file.js";
import { isAlive } from "./liveness.js";
import { MetricsFile } from "./metrics-file.js";
import { CONFIG, type Config, REPORT, type Report, type Running } from "./schemas.js";

/** These change what {@link RunDetails} holds, but for its summary. */
const CONTENT = [RUN_FILES.config, RUN_FILES.metrics, RUN_FILES.report, HEATMAPS, PAGE] as const;

/** All that the studio looks at. */
const WATCHED = [...CONTENT, LIVE_FILES.running, LIVE_FILES.stop] as const;
type RunFile = (typeof WATCHED)[number];

/** A name for the state of a file; "" if there is none. */
type Signature = string;

/** A file whose content is kept until it changes. */
interface Kept<T> {
  readonly signature: Signature;
  readonly value: T | undefined;
  readonly problem: string | undefined;
}

const NOTHING = { signature: "", value: undefined, problem: undefined } as const;

export class Run {
  readonly id: string;
  /** Below the folder that is served; "." for that folder itself. */
  readonly path: string;
  /** The absolute path. */
  readonly folder: string;
  readonly #root: string;
  readonly #metrics: MetricsFile;
  #metricsSignature: Signature = "";
  #config: Kept<Config> = NOTHING;
  #report: Kept<Report> = NOTHING;
  #running: Kept<Running> = NOTHING;
  #heatmaps: Kept<HeatmapFile> = NOTHING;
  #revision = "";
  #changed = 0;
  #alive = false;
  #stopping = false;
  #hasPage = false;

  /** @param root the real path of the folder that is served. */
  constructor(root: string, path: string) {
    this.id = createHash("sha256").update(path).digest("hex").slice(0, 16);
    this.path = path;
    this.folder = join(root, path);
    this.#root = root;
    this.#metrics = new MetricsFile(root, join(this.folder, RUN_FILES.metrics));
  }

  get state(): RunState {
    if (this.#alive) return "running";
    return this.#report.value === undefined ? "stopped" : "finished";
  }

  /** Looks whether files have changed, and reads those that have. */
  async refresh(): Promise<void> {
    const stats = new Map<RunFile, Stats>();
    for (const file of WATCHED) {
      const found = await stat(join(this.folder, file)).catch(() => undefined);
      if (found !== undefined) stats.set(file, found);
    }
    const signature = (file: RunFile): Signature => signatureOf(stats.get(file));
    const read = async <T>(before: Kept<T>, file: RunFile, schema: z.ZodType<T>): Promise<Kept<T>> => {
      if (signature(file) === before.signature) return before;
      return kept(signature(file), () => readJson(this.#root, join(this.folder, file), schema));
    };
    this.#config = await read(this.#config, RUN_FILES.config, CONFIG);
    this.#report = await read(this.#report, RUN_FILES.report, REPORT);
    this.#running = await read(this.#running, LIVE_FILES.running, RUNNING);
    this.#alive = this.#running.value !== undefined && isAlive(this.#running.value);
    this.#stopping = this.#alive && stats.has(LIVE_FILES.stop);
    this.#hasPage = stats.has(PAGE);
    if (signature(HEATMAPS) !== this.#heatmaps.signature) {
      const path = join(this.folder, HEATMAPS);
      this.#heatmaps = await kept(signature(HEATMAPS), () => readHeatmapIndex(this.#root, path));
    }
    if (signature(RUN_FILES.metrics) !== this.#metricsSignature) {
      this.#metricsSignature = signature(RUN_FILES.metrics);
      await this.#metrics.refresh();
    }
    this.#revision = createHash("sha256").update(CONTENT.map(signature).join()).digest("hex").slice(0, 16);
    this.#changed = Math.max(
      0,
      ...CONTENT.map((file) => stats.get(file)?.mtimeMs ?? 0),
      ...(CONTENT.some((file) => stats.has(file)) ? [] : [stats.get(LIVE_FILES.running)?.mtimeMs ?? 0]),
    );
  }

  summary(): RunSummary {
    const history = this.#metrics.history;
    const report = this.#report.value;
    const running = this.#alive ? this.#running.value : undefined;
    const config = this.#settings();
    return {
      id: this.id,
      path: this.path,
      state: this.state,
      revision: this.#revision,
      stopping: this.#stopping,
      model: report?.model ?? textOf(config?.model),
      data: report?.data.name ?? textOf(config?.data),
      seed: report?.seed ?? numberOf(config?.seed),
      epochs: history.length,
      plannedEpochs: numberOf(config?.epochs),
      validationAccuracy: report?.result.validation.accuracy ?? history.validationAccuracy,
      testAccuracy: report?.result.test.accuracy ?? null,
      compression: report?.totals?.compression ?? null,
      bytesPacked: report?.totals?.bytesPacked ?? null,
      seconds: report?.training.seconds ?? history.seconds,
      changed: this.#changed,
      progress: running === undefined ? null : progressOf(running),
      problems: this.#problems().length,
    };
  }

  details(): RunDetails {
    const heatmaps = this.#heatmaps.value;
    return {
      summary: this.summary(),
      config: this.#settings() ?? null,
      epochs: this.#metrics.history.columns(),
      layers: this.#metrics.history.layerRows(this.#report.value),
      heatmaps: heatmaps === undefined ? null : { epochs: heatmaps.epochs, layers: heatmaps.layers },
      totals: this.#report.value?.totals ?? null,
      hasReportPage: this.#hasPage,
      problems: this.#problems(),
    };
  }

  layer(index: number): LayerHistory | undefined {
    return this.#metrics.history.layerHistory(index);
  }

  /** Cells of all layers in an epoch (from 0), or of one; undefined if there are none. */
  async cells(epoch: number, layer?: number): Promise<Uint8Array | undefined> {
    const index = this.#heatmaps.value;
    if (index === undefined) return undefined;
    return readCells(this.#root, join(this.folder, HEATMAPS), index, epoch, layer);
  }

  /** The content of report.html. */
  async reportPage(): Promise<Buffer> {
    const file = await openInside(this.#root, join(this.folder, PAGE));
    try {
      return await file.readFile();
    } finally {
      await file.close();
    }
  }

  /** Asks the process that trains the run to stop after its current step. */
  async requestStop(): Promise<void> {
    try {
      await createInside(this.#root, this.folder, LIVE_FILES.stop);
    } catch (error) {
      // Asked before, and not seen yet.
      if (codeOf(error) !== "EEXIST") throw error;
    }
    this.#stopping = true;
  }

  /** config.json; before the first epoch, what the process says that trains the run. */
  #settings(): Config | undefined {
    return this.#config.value ?? this.#running.value?.config;
  }

  #problems(): string[] {
    const begun = this.#metricsSignature !== "";
    return [
      ...this.#metrics.problems,
      ...(this.#metrics.cut && !this.#alive
        ? [`${RUN_FILES.metrics}: the last line was not written to its end`]
        : []),
      ...(begun && this.#config.signature === ""
        ? [`${RUN_FILES.config}: there is none, so settings are not known`]
        : []),
      ...problemOf(RUN_FILES.config, this.#config),
      ...problemOf(RUN_FILES.report, this.#report),
      ...problemOf(LIVE_FILES.running, this.#running),
      ...problemOf(HEATMAPS, this.#heatmaps),
    ];
  }
}

function signatureOf(stats: Stats | undefined): Signature {
  return stats === undefined ? "" : `${stats.ino}:${stats.size}:${stats.mtimeMs}`;
}

async function kept<T>(signature: Signature, read: () => Promise<T>): Promise<Kept<T>> {
  if (signature === "") return NOTHING;
  try {
    return { signature, value: await read(), problem: undefined };
  } catch (error) {
    return { signature, value: undefined, problem: messageOf(error) };
  }
}

function problemOf(file: RunFile, { problem }: Kept<unknown>): string[] {
  return problem === undefined ? [] : [`${file}: can't be read: ${problem}`];
}

function progressOf({
  epoch,
  epochs,
  step,
  steps,
  loss,
  samplesPerSecond,
  remainingSeconds,
}: Running): RunSummary["progress"] {
  if (epoch === null || epochs === null || step === null || steps === null) return null;
  return { epoch, epochs, step, steps, loss, samplesPerSecond, remainingSeconds };
}

function textOf(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

function numberOf(value: unknown): number | null {
  return typeof value === "number" ? value : null;
}
