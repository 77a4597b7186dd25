/** Training: it learns, it is deterministic, it resumes exactly, it stops when told, and it refuses what it can't do. */

import type { EpochMetrics, Progress } from "@kofn/format/run/types.js";
import { describe, expect, test, vi } from "vitest";
import { InputError, KofnError } from "../../src/errors.js";
import { lenet5 } from "../../src/models/lenet.js";
import { encodeModelBytes } from "../../src/onnx/codec.js";
import { kernels, weights } from "../../src/prune/spec.js";
import { train } from "../../src/run/train.js";
import type { TrainOptions } from "../../src/run/types.js";
import { evaluateModel } from "../../src/task/evaluate-model.js";
import { interruptedAfter } from "../support/interrupted.js";
import { tinyData, tinyModel } from "../support/tiny.js";

const DATA = tinyData();

function options(changes: Partial<TrainOptions> = {}): TrainOptions {
  return {
    model: tinyModel(),
    data: DATA,
    prune: { conv: weights({ k: 4 }), fc: weights({ k: 12 }) },
    optimizer: { kind: "adam", lr: 0.01 },
    epochs: 4,
    batch: 16,
    threads: 1,
    ...changes,
  };
}

const isSame = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

async function bytesOf(changes: Partial<TrainOptions>): Promise<Uint8Array> {
  return encodeModelBytes((await train(options(changes))).model);
}

describe("train", () => {
  test("learns, and reports what it did", async () => {
    const epochs: EpochMetrics[] = [];
    const { report, metrics } = await train(
      options({
        epochs: 20,
        onEpoch: (line) => {
          epochs.push(line);
        },
      }),
    );
    expect(metrics).toEqual(epochs);
    expect(metrics.map(({ epoch, step }) => [epoch, step])).toEqual(
      Array.from({ length: 20 }, (_, i) => [i + 1, 6 * (i + 1)]),
    );
    expect(metrics[19].train.loss).toBeLessThan(0.7 * metrics[0].train.loss);
    expect(report.result.test.accuracy).toBeGreaterThan(0.9);
    const best = metrics.findLast((line) => line.best);
    expect(report.result.validation).toEqual(best?.validation);
    expect(report.training).toMatchObject({ epochs: 20, steps: 120 });
    expect(report.data).toEqual({
      name: "tiny",
      train: 96,
      validation: 48,
      test: 48,
      classes: ["0", "1", "2"],
    });
    expect(metrics[0].tau).toBeLessThan(5);
    expect(metrics[19].tau).toBe(0.5);
    expect(metrics[19].learningRate).toBeCloseTo(0, 12);
  });

  test("gives the model of the best epoch, which need not be the last", async () => {
    const optimizer = { kind: "sgd", lr: 1, momentum: 0.9 } as const;
    const run = await train(options({ optimizer, schedule: "constant", epochs: 12, seed: 2 }));
    const best = run.metrics.findLast((line) => line.best);
    expect(best?.epoch).toBeLessThan(12);
    expect(run.report.result.validation).toEqual(best?.validation);
    expect(await evaluateModel(run.model, DATA.validation, DATA, { threads: 1 })).toEqual(best?.validation);
  });

  test("trains a dense model, with SGD and every schedule", async () => {
    for (const schedule of ["constant", "cosine", "linear", "step"] as const) {
      const optimizer = { kind: "sgd", lr: 0.1, momentum: 0.9, nesterov: true, weightDecay: 1e-4 } as const;
      const { report, metrics } = await train(options({ prune: {}, optimizer, schedule, warmup: 0.1 }));
      expect(metrics[3].train.loss).toBeLessThan(metrics[0].train.loss);
      expect(report.layers).toEqual([]);
      expect(report.totals.compression).toBe(1);
    }
  });

  test("trains with the entropy regulariser, which makes masks more certain", async () => {
    const confidence = async (entropy: number): Promise<number> => {
      const { report } = await train(options({ epochs: 10, sampler: { entropy } }));
      return report.layers[1].confidence;
    };
    expect(await confidence(0.1)).toBeGreaterThan(await confidence(0));
  });

  test("keeps to a budget, and reports what was asked for and what is kept", async () => {
    const prune = { conv: weights({ k: 4 }) };
    const { report, model, masks } = await train(options({ prune, budget: { weights: 4 }, epochs: 1 }));
    const kept =
      model.graph.initializers
        .get("fc.weight")
        ?.numbers()
        .filter((value) => value !== 0).length ?? 0;
    expect(report.totals.weights).toBe(4 * 9 + 3 * 36);
    expect(report.totals.kept).toBe(16 + kept);
    expect(report.totals.compression).toBeGreaterThanOrEqual(4);
    expect(report.budget).toEqual({
      of: "weights",
      granularity: "weights",
      allocation: "erk",
      round: 1,
      requested: 0.25,
      achieved: report.totals.kept / report.totals.weights,
      total: 144,
      limit: 36,
      kept: report.totals.kept,
    });
    expect([...masks.keys()]).toEqual(["conv.weight", "fc.weight"]);
  });

  test("uses the first samples alone if it is limited", async () => {
    const { report, metrics } = await train(options({ limit: 40, epochs: 1 }));
    expect(report.data.train).toBe(40);
    expect(metrics[0].step).toBe(2);
  });

  test("tells its progress", async () => {
    const seen: Progress[] = [];
    const onProgress = (progress: Progress): void => {
      seen.push(progress);
    };
    const data = tinyData({ train: 8_000 });
    let time = 0;
    const clock = vi.spyOn(performance, "now").mockImplementation(() => (time += 1));
    await train(options({ data, epochs: 2, batch: 8, onProgress }));
    clock.mockRestore();
    expect(seen.length).toBeGreaterThan(0);
    const last = seen[seen.length - 1];
    expect(last).toMatchObject({ epochs: 2, steps: 2000 });
    for (const { step, loss, samplesPerSecond, remainingSeconds } of seen) {
      expect(step).toBeLessThanOrEqual(2000);
      expect(loss).toBeGreaterThan(0);
      expect(samplesPerSecond).toBeGreaterThan(0);
      expect(remainingSeconds).toBeGreaterThanOrEqual(0);
    }
  });
});

describe("determinism", () => {
  test("gives the same bytes for the same options, and others for another seed", async () => {
    const first = await bytesOf({ epochs: 2 });
    expect(isSame(await bytesOf({ epochs: 2 }), first)).toBe(true);
    expect(isSame(await bytesOf({ epochs: 2, seed: 2 }), first)).toBe(false);
  });

  test("does not change the model that it is given", async () => {
    const model = tinyModel();
    await train(options({ model, epochs: 1 }));
    expect(isSame(encodeModelBytes(model), encodeModelBytes(tinyModel()))).toBe(true);
  });

  test.each<[string, Partial<TrainOptions>]>([
    ["Adam", {}],
    ["k that shrinks", { sampler: { shrink: [0.1, 0.6] } }],
    ["SGD without state", { optimizer: { kind: "sgd", lr: 0.1 } }],
    [
      "an entropy regulariser and kernels",
      { prune: { fc: weights({ k: 3 }), conv: kernels({ k: 1 }) }, sampler: { entropy: 0.01 } },
    ],
  ])("goes on from any checkpoint as if it had never stopped: %s", async (_, changes) => {
    const whole = await train(options(changes));
    const expected = encodeModelBytes(whole.model);
    for (const epoch of [1, 3]) {
      const resume = await interruptedAfter(epoch, options(changes));
      const resumed = await train(options({ ...changes, resume }));
      expect(isSame(encodeModelBytes(resumed.model), expected)).toBe(true);
      expect(resumed.report.result).toEqual(whole.report.result);
      expect(resumed.metrics.map(({ train }) => train)).toEqual(whole.metrics.map(({ train }) => train));
    }
  });

  test("refuses the checkpoint of another run", async () => {
    const resume = await interruptedAfter(1, options({}));
    const others = options({
      prune: { conv: weights({ k: 4 }) },
      optimizer: { kind: "sgd", lr: 0.1, momentum: 0.9 },
      resume,
    });
    await expect(train(others)).rejects.toThrow(/the checkpoint does not fit the run: it should hold/);
  });
});

describe("k that shrinks", () => {
  test("falls from n to its target, is reported per epoch, and only then is an epoch the best", async () => {
    const { metrics, report } = await train(options({ epochs: 10, sampler: { shrink: [0.2, 0.7] } }));
    const k = metrics.map((line) => line.k.fc);
    expect(k.slice(0, 2)).toEqual([36, 36]);
    expect(k.toSorted((a, b) => b - a)).toEqual(k);
    expect(new Set(k).size).toBeGreaterThan(4);
    expect(k.slice(7)).toEqual([12, 12, 12]);
    expect(metrics.filter(({ best }) => best).every(({ k }) => k.fc === 12 && k.conv === 4)).toBe(true);
    expect(report.layers.map(({ k }) => k)).toEqual([4, 12]);
  });
});

describe("what stops a run", () => {
  test("a signal: train throws its reason", async () => {
    const abort = new AbortController();
    const reason = new Error("enough");
    let epochs = 0;
    const onEpoch = (): void => {
      epochs++;
      abort.abort(reason);
    };
    await expect(train(options({ onEpoch, signal: abort.signal }))).rejects.toBe(reason);
    expect(epochs).toBe(1);
  });

  test.each<[string, Partial<TrainOptions>]>([
    ["weights", { optimizer: { kind: "sgd", lr: 1e30 } }],
    [
      "weights in the last step",
      { optimizer: { kind: "sgd", lr: 3e38 }, epochs: 1, limit: 16, schedule: "constant" },
    ],
    ["logits", { sampler: { optimizer: { kind: "adam", lr: 2e38 } }, schedule: "constant" }],
  ])("divergence of the %s", async (_, changes) => {
    const failure = train(options(changes));
    await expect(failure).rejects.toThrow(/training diverged/);
    await expect(failure).rejects.toSatisfy((error) => error instanceof KofnError && error.exitCode === 1);
  });
});

describe("what train refuses", () => {
  const refused: readonly [Partial<TrainOptions>, RegExp][] = [
    [{ batch: 97 }, /a batch of 97 is more than the 96 training samples/],
    [{ batch: 17, limit: 16 }, /a batch of 17 is more than the 16 training samples/],
    [
      { model: lenet5() },
      /"lenet-5" takes images of \[1, 28, 28\], but those of data set tiny are \[1, 8, 8\]/,
    ],
    [{ data: tinyData({ classes: 5 }) }, /model "tiny" has 3 classes, but data set tiny has 5/],
    [{ threads: 0 }, /threads: expected a whole number of at least 1, got 0/],
    [{ epochs: 0 }, /epochs: expected a whole number of at least 1, got 0/],
    [{ batch: 1.5 }, /batch: expected a whole number of at least 1, got 1.5/],
    [{ seed: -1 }, /seed: expected a whole number of at least 0, got -1/],
    [{ limit: 0 }, /limit: expected a whole number of at least 1, got 0/],
    [{ warmup: 1 }, /warmup: expected a number of at least 0 and below 1, got 1/],
    [
      { sampler: { tau: [5, 0] } },
      /sampler\.tau: expected \[A, B\], two temperatures of at least 0.01, got \[5,0\]/,
    ],
    [
      { sampler: { beta: [-1, 0] } },
      /sampler\.beta: expected \[A, B\], noise scales of at least 0, got \[-1,0\]/,
    ],
    [{ sampler: { entropy: NaN } }, /sampler\.entropy: expected a number of at least 0, got NaN/],
    [{ sampler: { shrink: [0.5, 0.2] } }, /sampler\.shrink: expected \[A, B\], two shares of training/],
    [{ optimizer: { kind: "adam", lr: -1 } }, /the optimizer's lr must be at least 0, got -1/],
    [{ prune: { fc9: weights({ k: 1 }) } }, /no layer matches "fc9"/],
  ];
  test.each(refused.map(([changes, message]) => ({ what: Object.keys(changes).join(), changes, message })))(
    "$what: $message",
    async ({ changes, message }) => {
      let epochs = 0;
      const onEpoch = (): void => {
        epochs++;
      };
      const failure = train(options({ ...changes, onEpoch }));
      await expect(failure).rejects.toThrow(message);
      await expect(failure).rejects.toBeInstanceOf(InputError);
      expect(epochs).toBe(0);
    },
  );
});
