/** What the studio reads in a run's files. It does without all that older versions of kofn do not write. */

import { type Fields, NUMBER_OR_NULL as number, type RUNNING } from "@kofn/format/run/schemas.js";
import type { EpochMetrics, MaskMetrics, Report as WholeReport } from "@kofn/format/run/types.js";
import { z } from "zod";
import type { LayerSeries, LayerValue } from "../api.js";

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
} satisfies Fields<MaskMetrics>);
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
} satisfies Fields<EpochMetrics>);
export type Line = z.infer<typeof LINE>;

/** config.json */
export const CONFIG = z.record(z.string(), z.unknown());
export type Config = z.infer<typeof CONFIG>;

export type Running = z.infer<typeof RUNNING>;

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
    } satisfies Fields<WholeReport["totals"]>)
    .nullable()
    .catch(null),
  layers: z
    .array(z.object({ name: z.string(), inclusion: z.array(z.number()).optional().catch(undefined) }))
    .catch([]),
  training: z.object({ seconds: number }).catch({ seconds: null }),
} satisfies Fields<WholeReport>);
export type Report = z.infer<typeof REPORT>;
