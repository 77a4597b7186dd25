/** What the studio reads in a run's files. It does without all that older versions of kofn do not write. */

import { z } from "zod";
import type { LayerSeries, LayerValue } from "../api.js";

/** A number that may be absent, or null, as JSON has it for NaN. */
const number = z
  .number()
  .nullish()
  .catch(null)
  .transform((value) => value ?? null);
const text = z
  .string()
  .nullish()
  .catch(null)
  .transform((value) => value ?? null);
const count = z.number().int().nonnegative();

const EVALUATION = z.object({ loss: number, accuracy: number }).catch({ loss: null, accuracy: null });

type LayerNumbers = Record<LayerSeries | LayerValue, typeof number>;

const LAYER_NUMBERS: LayerNumbers = {
  confidence: number,
  diversity: number,
  churn: number,
  softmaxConfidence: number,
  jensenShannon: number,
  overlapMagnitude: number,
  neverChosen: number,
};

export const LINE_LAYER = z.object({
  name: z.string(),
  rows: count,
  n: count,
  k: count,
  members: z.array(z.string()).catch([]),
  ...LAYER_NUMBERS,
});
export type LineLayer = z.infer<typeof LINE_LAYER>;

/** A line of metrics.jsonl. */
export const LINE = z.object({
  epoch: count,
  train: EVALUATION,
  validation: EVALUATION,
  learningRate: number,
  tau: number,
  beta: number,
  seconds: number,
  best: z.boolean().catch(false),
  layers: z.array(LINE_LAYER).max(4096).optional(),
});
export type Line = z.infer<typeof LINE>;

/** config.json */
export const CONFIG = z.record(z.string(), z.unknown());
export type Config = z.infer<typeof CONFIG>;

/** report.json */
export const REPORT = z.object({
  model: text,
  seed: number,
  data: z.object({ name: text }).catch({ name: null }),
  result: z
    .object({ validation: EVALUATION, test: EVALUATION })
    .catch({ validation: { loss: null, accuracy: null }, test: { loss: null, accuracy: null } }),
  totals: z
    .object({
      weights: z.number(),
      kept: z.number(),
      compression: number,
      macs: number,
      macsKept: number,
      bytesDense: number,
      bytesPacked: number,
      bytesLimit: number,
    })
    .nullable()
    .catch(null),
  layers: z
    .array(z.object({ name: z.string(), inclusion: z.array(z.number()).optional().catch(undefined) }))
    .catch([]),
  training: z.object({ seconds: number }).catch({ seconds: null }),
});
export type Report = z.infer<typeof REPORT>;

/** running.json */
export const RUNNING = z.object({
  pid: z.number().int().positive(),
  host: z.string(),
  born: z.string().optional(),
  config: CONFIG.catch({}),
  epoch: number,
  epochs: number,
  step: number,
  steps: number,
  loss: number,
  samplesPerSecond: number,
  remainingSeconds: number,
});
export type Running = z.infer<typeof RUNNING>;

const side = z.number().int().min(1).max(1024);

/** The first line of heatmaps.bin. */
export const HEATMAP_HEADER = z.object({
  kofn: z.literal("heatmaps"),
  version: z.literal(1),
  layers: z
    .array(z.object({ name: z.string(), rows: count, n: count, height: side, width: side }))
    .min(1)
    .max(4096),
});
