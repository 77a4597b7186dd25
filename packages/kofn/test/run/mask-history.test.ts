/** The mask figures of a run's epochs and report, against an independent computation from its masks and logits. */

import type { EpochMetrics } from "@kofn/format/run/types.js";
import { describe, expect, test } from "vitest";
import type { Heatmap } from "../../src/metrics/heatmaps.js";
import { inclusionProbabilities } from "../../src/metrics/inclusion.js";
import type { Tensor } from "../../src/onnx/tensor.js";
import { kernels, maps, weights } from "../../src/prune/spec.js";
import { train } from "../../src/run/train.js";
import type { Checkpoint, TrainOptions } from "../../src/run/types.js";
import { interruptedAfter } from "../support/interrupted.js";
import { tinyData, tinyModel } from "../support/tiny.js";

function options(changes: Partial<TrainOptions> = {}): TrainOptions {
  return {
    model: tinyModel(),
    data: tinyData(),
    prune: { conv: weights({ k: 4 }), fc: weights({ k: 12 }) },
    optimizer: { kind: "adam", lr: 0.01 },
    epochs: 5,
    batch: 16,
    threads: 1,
    ...changes,
  };
}

const floats = ({ tensors }: Checkpoint, name: string): Float32Array =>
  (tensors.get(`current/${name}`) as Tensor<"float32">).array();

/** The indices of the k largest of each row; the first of equal ones. */
function largest(values: Float32Array, n: number, k: number): Set<number> {
  const kept = new Set<number>();
  for (let start = 0; start < values.length; start += n) {
    const order = Array.from({ length: n }, (_, i) => start + i).sort(
      (a, b) => values[b] - values[a] || a - b,
    );
    for (const unit of order.slice(0, k)) kept.add(unit);
  }
  return kept;
}

function common(a: ReadonlySet<number>, b: ReadonlySet<number>): number {
  return [...a].filter((unit) => b.has(unit)).length;
}

/** Confidence and diversity by their definition. */
function figures(pi: Float64Array, n: number, k: number): { confidence: number; diversity: number } {
  const h = (p: number): number => (p > 0 && p < 1 ? -p * Math.log2(p) - (1 - p) * Math.log2(1 - p) : 0);
  const rows = pi.length / n;
  const own = pi.reduce((sum, p) => sum + h(p), 0) / pi.length;
  let mean = 0;
  for (let i = 0; i < n; i++) {
    mean += h(pi.filter((_, at) => at % n === i).reduce((sum, p) => sum + p, 0) / rows) / n;
  }
  return { confidence: 1 - own / h(k / n), diversity: (mean - own) / h(k / n) };
}

/** A run with a checkpoint after each epoch but the last. */
async function traced(changes: Partial<TrainOptions> = {}) {
  const checkpoints: Checkpoint[] = [];
  const heatmaps: (readonly Heatmap[])[] = [];
  const run = await train({
    ...options(changes),
    onCheckpoint: (checkpoint) => {
      checkpoints.push(checkpoint);
      return Promise.resolve();
    },
    onEpoch: (_, pictures) => {
      heatmaps.push(pictures);
    },
  });
  return { run, checkpoints, heatmaps };
}

describe("the masks of epochs", () => {
  test.each<[string, Partial<TrainOptions>]>([
    ["k at its target", {}],
    ["k that shrinks", { sampler: { shrink: [0, 0.7] }, epochs: 6 }],
  ])("have the figures of their logits, weights and masks: %s", async (_, changes) => {
    const { run, checkpoints, heatmaps } = await traced(changes);
    for (const [layer, name, n] of [
      [0, "conv", 9],
      [1, "fc", 36],
    ] as const) {
      const chosen = new Set<number>();
      let before: ReadonlySet<number> | undefined;
      for (const [i, checkpoint] of checkpoints.entries()) {
        const line = run.metrics[i];
        const found = (line.layers ?? [])[layer];
        const logits = floats(checkpoint, `${name}.weight/logits`);
        const rows = logits.length / n;
        const k = line.k[name];
        expect(found).toMatchObject({ name, rows, n, k });
        expect(found).not.toHaveProperty("members");
        const kept = largest(logits, n, k);
        for (const unit of kept) chosen.add(unit);
        expect(found.neverChosen).toBe(rows * n - chosen.size);
        const magnitude = largest(floats(checkpoint, `${name}.weight`).map(Math.abs), n, k);
        expect(found.overlapMagnitude).toBeCloseTo(common(kept, magnitude) / kept.size, 12);
        if (before !== undefined) {
          const changed = kept.size + before.size - 2 * common(kept, before);
          expect(found.churn).toBeCloseTo(changed / (kept.size + before.size), 12);
        }
        before = kept;
        const pi = inclusionProbabilities(logits, rows, n, k, line.beta);
        if (k < n) {
          const { confidence, diversity } = figures(pi, n, k);
          expect(found.confidence).toBeCloseTo(confidence, 9);
          expect(found.diversity).toBeCloseTo(diversity, 9);
        }
        const { cells, height, width } = heatmaps[i][layer];
        expect([height, width]).toEqual([rows, n]);
        expect(
          Array.from(cells, (cell, unit) => (cell === 255 ? unit : -1)).filter((unit) => unit >= 0),
        ).toEqual([...kept].sort((a, b) => a - b));
      }
    }
  });

  test("change in the first epoch against those that training begins with", async () => {
    const still = { kind: "sgd", lr: 1e-12 } as const;
    const { metrics } = await train(options({ epochs: 1, sampler: { optimizer: still } }));
    expect(metrics[0].layers?.map(({ churn }) => churn)).toEqual([0, 0]);
    // k falls from n to its target within the epoch, and all units were kept before: (n - k) / (n + k).
    const shrunk = await train(options({ epochs: 1, sampler: { optimizer: still, shrink: [0, 0.1] } }));
    const churn = shrunk.metrics[0].layers?.map((layer) => layer.churn) ?? [];
    expect(churn[0]).toBeCloseTo((9 - 4) / (9 + 4), 12);
    expect(churn[1]).toBeCloseTo((36 - 12) / (36 + 12), 12);
  });

  test("are none in a dense run", async () => {
    const run = await train(options({ epochs: 1, prune: {} }));
    expect(run.metrics[0].layers).toEqual([]);
    expect(run.heatmaps).toEqual({ epochs: [[]], result: [] });
  });

  test("are one for layers that share it, by the first one's name", async () => {
    const { metrics, report } = await train(
      options({ epochs: 2, prune: { conv: maps({ k: 2 }), fc: weights({ k: 12 }) } }),
    );
    expect(metrics[1].layers?.map(({ name, rows, n, k }) => [name, rows, n, k])).toEqual([
      ["conv", 1, 4, 2],
      ["fc", 3, 36, 12],
    ]);
    expect(
      report.layers.map(({ inclusion = [] }) => inclusion.reduce((sum, count) => sum + count, 0)),
    ).toEqual([4, 3 * 36]);
  });

  test("are certain once they are frozen", async () => {
    const { metrics, report } = await train(options({ epochs: 4, freezeFrom: 0.5 }));
    const last = metrics[3];
    expect(last.beta).toBe(0);
    expect(last.layers?.map(({ confidence, churn }) => [confidence, churn])).toEqual([
      [1, 0],
      [1, 0],
    ]);
    expect(report.layers.map(({ confidence }) => confidence)).toEqual([1, 1]);
    expect(metrics[0].layers?.[0].confidence).toBeLessThan(1);
  });
});

describe("report.json", () => {
  test("has the figures of the best epoch's masks, and of all of the run's", async () => {
    const { run } = await traced({
      optimizer: { kind: "sgd", lr: 1, momentum: 0.9 },
      sampler: { beta: [0.5, 0.01] },
      schedule: "constant",
      epochs: 12,
      seed: 2,
    });
    const best = run.metrics.findLast((line) => line.best);
    const last = run.metrics.at(-1);
    expect(best?.epoch).toBeLessThan(12);
    for (const [i, layer] of run.report.layers.entries()) {
      const { confidence, diversity, softmaxConfidence, jensenShannon, overlapMagnitude } =
        best?.layers?.[i] ?? {};
      const expected = { confidence, diversity, softmaxConfidence, jensenShannon, overlapMagnitude };
      expect(layer).toMatchObject({ ...expected, neverChosen: last?.layers?.[i].neverChosen });
      expect(layer.inclusion).toHaveLength(20);
      expect(layer.inclusion?.reduce((sum, count) => sum + count, 0)).toBe(layer.groups * layer.n);
    }
    const masks = [...run.masks.values()].map((mask) => mask.array());
    expect(run.heatmaps.result.map(({ cells }) => cells.map((cell) => cell / 255))).toEqual(masks);
    expect(run.heatmaps.epochs[(best?.epoch ?? 0) - 1]).toEqual(run.heatmaps.result);
  });
});

describe("a run that goes on from a checkpoint", () => {
  const masksOf = (metrics: readonly EpochMetrics[]) => metrics.map(({ layers }) => layers);

  test.each<[string, Partial<TrainOptions>]>([
    ["weights", {}],
    [
      "k that shrinks, and kernels",
      { prune: { fc: weights({ k: 3 }), conv: kernels({ k: 1 }) }, sampler: { shrink: [0.1, 0.6] } },
    ],
  ])("has the figures of an uninterrupted one: %s", async (_, changes) => {
    const whole = await train(options(changes));
    for (const epoch of [1, 3]) {
      const resume = await interruptedAfter(epoch, options(changes));
      const resumed = await train(options({ ...changes, resume }));
      expect(masksOf(resumed.metrics)).toEqual(masksOf(whole.metrics));
      expect(resumed.report.layers).toEqual(whole.report.layers);
      expect(resumed.heatmaps.result).toEqual(whole.heatmaps.result);
      expect(resumed.heatmaps.epochs).toEqual(whole.heatmaps.epochs.slice(epoch));
    }
  });

  test("goes on from one of a version without mask figures, and counts from there", async () => {
    const checkpoint = await interruptedAfter(2, options());
    const tensors = new Map([...checkpoint.tensors].filter(([name]) => !name.startsWith("chosen/")));
    const metrics = checkpoint.metrics.map(({ layers, ...line }) => (expect(layers).toHaveLength(2), line));
    const whole = await train(options());
    const resumed = await train(options({ resume: { ...checkpoint, tensors, metrics } }));
    expect(resumed.report.result).toEqual(whole.report.result);
    expect(resumed.metrics[2].layers?.map(({ churn }) => churn)).toEqual(
      whole.metrics[2].layers?.map(({ churn }) => churn),
    );
    expect(resumed.metrics[2].layers?.[1].neverChosen).toBe(3 * 36 - 3 * 12);
  });

  test("refuses chosen units of another shape", async () => {
    const checkpoint = await interruptedAfter(1, options());
    const tensors = new Map(checkpoint.tensors);
    tensors.delete("chosen/fc.weight");
    await expect(train(options({ resume: { ...checkpoint, tensors } }))).rejects.toThrow(
      /it should hold the chosen units of "fc.weight" as uint8 \[3, 36\], but has none/,
    );
  });
});
