/** Fine-tuning: defaults for trained models, logits from magnitudes, batch normalisation, distillation. */

import { describe, expect, test } from "vitest";
import { prunableLayers } from "../../src/layers/layers.js";
import { encodeModelBytes } from "../../src/onnx/codec.js";
import { evaluateGraph } from "../../src/onnx/evaluate.js";
import { type Tensor, tensorFrom } from "../../src/onnx/tensor.js";
import { optimizerOf } from "../../src/optim/optimizer.js";
import { configOf, optionsOf } from "../../src/options/settings.js";
import type { DistillOptions } from "../../src/options/types.js";
import { resolvePrune, weights } from "../../src/prune/spec.js";
import { train } from "../../src/run/train.js";
import type { Checkpoint, TrainOptions } from "../../src/run/types.js";
import { compileStep } from "../../src/step/graph.js";
import { planStep } from "../../src/step/plan.js";
import { initialValues } from "../../src/train/initial-values.js";
import { evaluateModel } from "../../src/task/evaluate-model.js";
import { normalisedModel } from "../support/normalised.js";
import { tinyData, tinyModel } from "../support/tiny.js";

const DATA = tinyData();

function options(changes: Partial<TrainOptions> = {}): TrainOptions {
  return {
    model: normalisedModel(),
    data: DATA,
    prune: { conv: weights({ k: 4 }) },
    pretrained: true,
    optimizer: { kind: "adam", lr: 0.02 },
    epochs: 6,
    batch: 16,
    threads: 1,
    ...changes,
  };
}

describe("defaults for a pretrained model", () => {
  test("begin with magnitudes, shrink k, and have rates of their own", () => {
    const config = configOf(optionsOf({ threads: 1 }, true));
    const fresh = configOf(optionsOf({ threads: 1 }));
    expect(config).toMatchObject({ init: "magnitude", shrink: [0, 0.5] });
    expect(fresh).toMatchObject({ init: "normal", shrink: [0, 0] });
    expect(config.lr).toBeLessThan(fresh.lr ?? 0);
    expect(configOf(optionsOf({ optimizer: "sgd" }, true))).toMatchObject({
      optimizer: "sgd",
      momentum: 0.9,
    });
    expect(configOf(optionsOf(config))).toEqual(config);
  });

  test("give way to what is asked for", () => {
    const asked = { init: "normal", shrink: [0.1, 0.2], lr: 0.5, epochs: 3 } as const;
    expect(configOf(optionsOf(asked, true))).toMatchObject(asked);
  });

  test("logits of magnitudes have one scale in every group, and leave the weights alone", () => {
    const model = tinyModel();
    const [layer] = resolvePrune(prunableLayers(model.graph), { fc: weights({ k: 5 }) });
    const weight = (model.graph.initializers.get("fc.weight") as Tensor<"float32">).array();
    for (let i = 0; i < layer.n; i++) weight[i] *= 10;
    const plan = planStep(model, { batch: 1, layers: [layer], weights: "host", sampling: "host" });
    const initial = initialValues(plan, [layer.n], "magnitude", 1);
    expect(initial.get("fc.weight")).toEqual(weight);
    for (let row = 0; row < layer.groups; row++) {
      const logits = [...(initial.get("fc.weight/logits") ?? [])].slice(row * layer.n, (row + 1) * layer.n);
      const magnitudes = weight.slice(row * layer.n, (row + 1) * layer.n).map(Math.abs);
      const mean = logits.reduce((sum, x) => sum + x, 0) / layer.n;
      const variance = logits.reduce((sum, x) => sum + (x - mean) ** 2, 0) / layer.n;
      expect(mean).toBeCloseTo(0, 5);
      expect(Math.sqrt(variance)).toBeCloseTo(0.5, 4);
      const order = (values: ArrayLike<number>): number[] =>
        Array.from({ length: layer.n }, (_, i) => i).sort((a, b) => values[b] - values[a]);
      expect(order(logits)).toEqual(order(magnitudes));
    }
  });
});

describe("fine-tuning with batch normalisation", () => {
  test("keeps the better of the running and the measured statistics, and says which", async () => {
    const { report, model } = await train(options());
    const { recalibration, result } = report;
    expect(recalibration?.batches).toBe(6);
    const { before, after, kept } = recalibration ?? { before: result.test, after: result.test, kept: false };
    expect(kept).toBe(
      after.accuracy > before.accuracy || (after.accuracy === before.accuracy && after.loss < before.loss),
    );
    expect(result.validation).toEqual(kept ? after : before);
    expect(await evaluateModel(model, DATA.validation, DATA, { threads: 1 })).toEqual(result.validation);
    expect(result.validation.accuracy).toBeGreaterThan(0.6);
  });

  test("leaves statistics alone that are frozen", async () => {
    const given = normalisedModel();
    const { report, model } = await train(
      options({ model: given, batchNorm: "frozen", epochs: 1, sampler: { shrink: [0, 0] } }),
    );
    expect(report.recalibration).toBeUndefined();
    const name = "second.var";
    expect(model.graph.initializers.get(name)?.numbers()).toEqual(
      given.graph.initializers.get(name)?.numbers(),
    );
    expect(model.graph.initializers.get("second.weight")?.numbers()).not.toEqual(
      given.graph.initializers.get("second.weight")?.numbers(),
    );
  });

  test("goes on from a checkpoint to the same bytes, running statistics and teacher included", async () => {
    const changes = { distill: { weight: 0.5, temperature: 2 } };
    const checkpoints: Checkpoint[] = [];
    const onCheckpoint = (checkpoint: Checkpoint): Promise<void> => {
      checkpoints.push(checkpoint);
      return Promise.resolve();
    };
    const whole = await train(options({ ...changes, onCheckpoint }));
    expect(checkpoints[1].tensors.has("current/second.var")).toBe(true);
    const resumed = await train(options({ ...changes, resume: checkpoints[1] }));
    const isSame = Buffer.compare(encodeModelBytes(resumed.model), encodeModelBytes(whole.model)) === 0;
    expect(isSame).toBe(true);
    expect(resumed.report.recalibration).toEqual(whole.report.recalibration);
  });
});

describe("distillation", () => {
  const model = tinyModel();
  const BATCH = 4;
  const images = tensorFrom(
    "float32",
    [BATCH, 1, 8, 8],
    Array.from({ length: BATCH * 64 }, (_, i) => ((i * 29) % 64) / 64),
  );

  /** The bias of fc after a step of rate 1 from parameters whose fc.bias is changed. */
  function biasAfter(bias: readonly number[], distill: DistillOptions | undefined): readonly number[] {
    const sgd = optimizerOf({ kind: "sgd", lr: 1 });
    const base = { batch: BATCH, layers: [], weights: sgd, sampling: "host" } as const;
    const step = compileStep(model, { ...base, ...(distill === undefined ? {} : { distill }) });
    const feeds = new Map<string, Tensor>([
      [step.images.name, images],
      [step.labels.name, tensorFrom("int64", [BATCH], [0, 1, 2, 1])],
      ["weights/rate", tensorFrom("float32", [], [1])],
    ]);
    for (const { name } of step.tensors) {
      const value = model.graph.initializers.get(name);
      if (value !== undefined) feeds.set(name, value);
    }
    feeds.set("fc.bias", tensorFrom("float32", [3], bias));
    const updated = step.tensors.find(({ name }) => name === "fc.bias")?.updated ?? "";
    return evaluateGraph(step.model.graph, feeds, [updated]).get(updated)?.numbers() ?? [];
  }

  const logitsAt = (bias: readonly number[]): number[][] => {
    const own = model.graph.initializers.get("fc.bias")?.numbers() ?? [];
    const logits =
      evaluateGraph(model.graph, new Map([["input", images]]), ["fc"])
        .get("fc")
        ?.numbers() ?? [];
    return Array.from({ length: BATCH }, (_, row) => own.map((b, c) => logits[3 * row + c] - b + bias[c]));
  };
  const softmax = (row: readonly number[], temperature: number): number[] => {
    const e = row.map((z) => Math.exp(z / temperature));
    return e.map((x) => x / e.reduce((sum, y) => sum + y, 0));
  };

  test("pulls the softened answers towards the teacher's", () => {
    const own = model.graph.initializers.get("fc.bias")?.numbers() ?? [];
    const bias = [1, -1, 0.5];
    const temperature = 3;
    const [student, teacher] = [logitsAt(bias), logitsAt(own)];
    // d/dbias of T^2 KL, the mean over the batch: T (softmax(student / T) - softmax(teacher / T))
    const expected = bias.map((value, c) => {
      const gaps = student.map(
        (row, i) => softmax(row, temperature)[c] - softmax(teacher[i], temperature)[c],
      );
      return value - (temperature * gaps.reduce((sum, gap) => sum + gap, 0)) / BATCH;
    });
    biasAfter(bias, { weight: 1, temperature }).forEach((value, c) => {
      expect(value).toBeCloseTo(expected[c], 5);
    });
  });

  test("leaves the labels their share", () => {
    const own = model.graph.initializers.get("fc.bias")?.numbers() ?? [];
    const plain = biasAfter(own, undefined);
    // The student is its teacher: only the labels' share of the gradient is left.
    biasAfter(own, { weight: 0.75, temperature: 2 }).forEach((value, c) => {
      expect(value - own[c]).toBeCloseTo(0.25 * (plain[c] - own[c]), 6);
    });
  });

  test("is refused with a share or temperature out of range", async () => {
    for (const distill of [
      { weight: 0, temperature: 2 },
      { weight: 1.5, temperature: 2 },
      { weight: 0.5, temperature: 0 },
    ]) {
      await expect(train(options({ distill }))).rejects.toThrow(
        /^distill: expected \{ weight, temperature \}, .*, got \{"weight":/,
      );
    }
  });
});
