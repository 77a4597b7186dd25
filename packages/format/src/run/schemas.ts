/** What the JSON in a run directory must look like to be read back; what is not known yet is let through. */

import { z } from "zod";
import { type HeatmapHeader, MOST_CELLS } from "./heatmaps.js";
import type { EpochMetrics, Owner, Report, RunInputs, Running } from "./types.js";
import { ALLOCATIONS, GRANULARITIES, METHODS, PROVIDERS, WEIGHT_FORMATS } from "./words.js";

const EVALUATION = z.looseObject({ loss: z.number(), accuracy: z.number() });

const RECALIBRATION = z.looseObject({
  batches: z.number(),
  before: EVALUATION,
  after: EVALUATION,
  kept: z.boolean(),
});

export const REPORT: z.ZodType<Report> = z.looseObject({
  kofn: z.string(),
  model: z.string(),
  seed: z.number(),
  method: z.enum(METHODS).exactOptional(),
  provider: z.enum(PROVIDERS),
  data: z.looseObject({
    name: z.string(),
    train: z.number(),
    validation: z.number(),
    test: z.number(),
    classes: z.array(z.string()).exactOptional(),
  }),
  result: z.looseObject({ validation: EVALUATION, test: EVALUATION }),
  recalibration: RECALIBRATION.exactOptional(),
  totals: z.looseObject({
    weights: z.number(),
    kept: z.number(),
    compression: z.number(),
    macs: z.number(),
    macsKept: z.number(),
    bytesDense: z.number(),
    bytesPacked: z.number(),
    bytesLimit: z.number(),
  }),
  budget: z
    .looseObject({
      of: z.enum(["weights", "macs"]),
      granularity: z.enum(GRANULARITIES),
      allocation: z.enum(ALLOCATIONS),
      round: z.number(),
      requested: z.number(),
      achieved: z.number(),
      total: z.number(),
      limit: z.number(),
      kept: z.number(),
    })
    .exactOptional(),
  layers: z.array(
    z.looseObject({
      name: z.string(),
      weight: z.string(),
      granularity: z.enum(GRANULARITIES),
      per: z.literal("kernel").exactOptional(),
      share: z.number().exactOptional(),
      group: z.string().exactOptional(),
      groups: z.number(),
      n: z.number(),
      k: z.number(),
      weights: z.number(),
      kept: z.number(),
      confidence: z.number(),
      diversity: z.number(),
      softmaxConfidence: z.number().exactOptional(),
      jensenShannon: z.number().exactOptional(),
      overlapMagnitude: z.number().exactOptional(),
      neverChosen: z.number().exactOptional(),
      inclusion: z.array(z.number()).exactOptional(),
    }),
  ),
  sizes: z
    .array(
      z.looseObject({
        name: z.string(),
        weight: z.string(),
        format: z.enum([...WEIGHT_FORMATS, "float32"]),
        bits: z.number(),
        kept: z.number(),
        bytes: z.looseObject({ weights: z.number(), indices: z.number(), scales: z.number() }),
      }),
    )
    .exactOptional(),
  shapes: z
    .array(
      z.looseObject({
        name: z.string(),
        weight: z.string(),
        before: z.array(z.number()),
        after: z.array(z.number()),
        macsBefore: z.number(),
        macsAfter: z.number(),
      }),
    )
    .exactOptional(),
  training: z.looseObject({
    epochs: z.number(),
    steps: z.number(),
    seconds: z.number(),
    samplesPerSecond: z.number(),
  }),
});

/** A number that may be absent, or null, as JSON has it for NaN. */
export const NUMBER_OR_NULL = z
  .number()
  .nullish()
  .catch(null)
  .transform((value) => value ?? null);

/** How some fields of a file are read; tsc names one that the file has not. */
export type Fields<T> = { readonly [Name in keyof T]?: z.ZodType };

const CELLS = z.int().min(1).max(MOST_CELLS);

/** The first line of heatmaps.bin. */
export const HEATMAP_HEADER: z.ZodType<HeatmapHeader> = z.looseObject({
  kofn: z.literal("heatmaps"),
  version: z.literal(1),
  layers: z
    .array(
      z.object({
        name: z.string(),
        rows: z.int().min(1),
        n: z.int().min(1),
        height: CELLS,
        width: CELLS,
      }),
    )
    .min(1),
});

export const METRICS: z.ZodType<EpochMetrics> = z.looseObject({
  epoch: z.number(),
  step: z.number(),
  train: EVALUATION,
  validation: EVALUATION,
  learningRate: z.number(),
  tau: z.number(),
  beta: z.number(),
  samplesPerSecond: z.number(),
  seconds: z.number(),
  k: z.record(z.string(), z.number()),
  layers: z
    .array(
      z.looseObject({
        name: z.string(),
        members: z.array(z.string()).exactOptional(),
        rows: z.number(),
        n: z.number(),
        k: z.number(),
        confidence: z.number(),
        diversity: z.number(),
        softmaxConfidence: z.number(),
        jensenShannon: z.number(),
        churn: z.number(),
        overlapMagnitude: z.number(),
        neverChosen: z.number(),
      }),
    )
    .exactOptional(),
  best: z.boolean(),
});

/** SHA-256 sums of what a run is made from; runs of older versions have none. */
const INPUTS: z.ZodType<RunInputs> = z.looseObject({
  kofn: z.string(),
  model: z.string(),
  data: z.string(),
  masks: z.string().exactOptional(),
});

export const CHECKPOINT_STATE = z.looseObject({
  metrics: z.array(METRICS),
  seconds: z.number(),
  inputs: INPUTS.exactOptional(),
});

/** What running.json says of the process that has a run directory open. */
export const OWNER = z.looseObject({
  pid: z.int().positive(),
  host: z.string(),
  born: z.string().optional(),
  /** When it opened the directory, as ISO 8601 has it. */
  started: z.string().optional(),
} satisfies Fields<Owner>);

/** running.json. What it does not say, or can't, as a loss that is NaN, is null; settings that are damaged are none. */
export const RUNNING = OWNER.extend({
  config: z.record(z.string(), z.unknown()).catch({}),
  epoch: NUMBER_OR_NULL,
  epochs: NUMBER_OR_NULL,
  step: NUMBER_OR_NULL,
  steps: NUMBER_OR_NULL,
  loss: NUMBER_OR_NULL,
  samplesPerSecond: NUMBER_OR_NULL,
  remainingSeconds: NUMBER_OR_NULL,
} satisfies Fields<Running>);
