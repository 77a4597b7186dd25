/** What the server tells the page: the JSON of each answer and event. */

import type { HeatmapLayer } from "@kofn/format/run/heatmaps.js";
import type { MaskMetrics } from "@kofn/format/run/types.js";

/**
 * How a run stands: "running" (a process trains it), "stopped" (none does, and it was not finished) or "finished" (it has
 * a report).
 */
export type RunState = "running" | "stopped" | "finished";

/** How far the process that trains a run is. */
export interface RunProgress {
  readonly epoch: number;
  readonly epochs: number;
  readonly step: number;
  readonly steps: number;
  readonly loss: number | null;
  readonly samplesPerSecond: number | null;
  readonly remainingSeconds: number | null;
}

/** A row of the list of runs. */
export interface RunSummary {
  /** Made of the path; the same after the server has been started anew. */
  readonly id: string;
  /** Below the folder that is served; "." for the folder itself. */
  readonly path: string;
  readonly state: RunState;
  /** Changes when {@link RunDetails} does in more than its summary. */
  readonly revision: string;
  /** Whether a request to stop waits to be seen by the process. */
  readonly stopping: boolean;
  readonly model: string | null;
  readonly data: string | null;
  readonly seed: number | null;
  /** Epochs done, and asked for. */
  readonly epochs: number;
  readonly plannedEpochs: number | null;
  /** Of the best epoch on the validation split; fractions. */
  readonly validationAccuracy: number | null;
  /** Of the report. */
  readonly testAccuracy: number | null;
  /** Weights over kept weights. */
  readonly compression: number | null;
  readonly bytesPacked: number | null;
  readonly seconds: number | null;
  /** When a file of the run last changed, in milliseconds since 1970. */
  readonly changed: number;
  readonly progress: RunProgress | null;
  /** How many problems its files have. */
  readonly problems: number;
}

/** GET /api/runs */
export interface RunList {
  /** The folder that is served, as it was named. */
  readonly folder: string;
  /** What keeps the folder from being read, if anything does. */
  readonly problem: string | null;
  /** Where events go on from here. */
  readonly eventId: string;
  readonly runs: readonly RunSummary[];
}

/** Columns of metrics.jsonl, one entry per epoch; null where a line lacks the value. */
export interface EpochColumns {
  readonly epoch: readonly number[];
  readonly trainLoss: readonly (number | null)[];
  readonly trainAccuracy: readonly (number | null)[];
  readonly validationLoss: readonly (number | null)[];
  readonly validationAccuracy: readonly (number | null)[];
  readonly learningRate: readonly (number | null)[];
  readonly tau: readonly (number | null)[];
  readonly beta: readonly (number | null)[];
  /** Mean confidence of the layers' masks. */
  readonly confidence: readonly (number | null)[];
  /** Indexes of the epochs that were the best so far. */
  readonly best: readonly number[];
}

/** The metrics of masks that are shown over time. */
export const LAYER_SERIES = ["confidence", "diversity", "churn"] as const satisfies (keyof MaskMetrics)[];
export type LayerSeries = (typeof LAYER_SERIES)[number];

/** What else is known of a layer's mask. */
export const LAYER_VALUES = [
  "softmaxConfidence",
  "jensenShannon",
  "overlapMagnitude",
  "neverChosen",
] as const satisfies (keyof MaskMetrics)[];
export type LayerValue = (typeof LAYER_VALUES)[number];

/** A row of the table of layers: the newest values, and short series for sparklines. */
export interface LayerRow {
  readonly name: string;
  readonly rows: number;
  readonly n: number;
  readonly k: number;
  /** Layers that share this mask, itself included; empty if it is one's own. */
  readonly members: readonly string[];
  readonly last: Readonly<Record<LayerSeries | LayerValue, number | null>>;
  /** At most 64 values, spread evenly over the epochs. */
  readonly spark: Readonly<Record<LayerSeries, readonly (number | null)[]>>;
  /** From the report: how many units have an inclusion probability in each of 20 bins from 0 to 1. */
  readonly inclusion: readonly number[] | null;
}

export interface Heatmaps {
  /** How many epochs there are: records of the file. */
  readonly epochs: number;
  readonly layers: readonly HeatmapLayer[];
}

/** GET /api/runs/ID */
export interface RunDetails {
  readonly summary: RunSummary;
  /** Settings, as config.json has them. */
  readonly config: Readonly<Record<string, unknown>> | null;
  readonly epochs: EpochColumns;
  /** Empty for runs whose metrics.jsonl has no layers. */
  readonly layers: readonly LayerRow[];
  /** Null where the run has no heatmaps. */
  readonly heatmaps: Heatmaps | null;
  readonly totals: RunTotals | null;
  readonly hasReportPage: boolean;
  /** What is wrong with the run's files, for people. */
  readonly problems: readonly string[];
}

/** From the report. */
export interface RunTotals {
  readonly weights: number;
  readonly kept: number;
  readonly macs: number | null;
  readonly macsKept: number | null;
  readonly bytesDense: number | null;
  readonly bytesPacked: number | null;
  readonly bytesLimit: number | null;
}

/** GET /api/runs/ID/layers/INDEX */
export interface LayerHistory {
  readonly name: string;
  readonly epoch: readonly number[];
  readonly series: Readonly<Record<LayerSeries | LayerValue, readonly (number | null)[]>>;
}

/** The event "runs" of GET /api/events. */
export interface RunsChanged {
  readonly changed: readonly RunSummary[];
  /** Ids of runs that are gone. */
  readonly removed: readonly string[];
  readonly problem: string | null;
}

/** The body of an answer with a status from 400 on. */
export interface Problem {
  readonly problem: string;
}
