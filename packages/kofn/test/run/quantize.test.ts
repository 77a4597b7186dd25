/** Runs that quantize: codes, masks, determinism, resuming, and freezing. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { encodeModelBytes } from "../../src/onnx/codec.js";
import { loadModel } from "../../src/files/models.js";
import type { Model } from "../../src/onnx/model.js";
import { tensor, type Tensor } from "../../src/onnx/tensor.js";
import { modelOfKofn } from "../../src/pack/file.js";
import { runContents } from "../../src/run/packed.js";
import { maps, weights } from "../../src/prune/spec.js";
import { topKMask } from "../../src/prune/topk.js";
import { exportTrained } from "../../src/integers/export-trained.js";
import { fusedKernels } from "../../src/files/fused-kernels.js";
import { binary, int, int8, ternary, uint8 } from "../../src/quantize/spec.js";
import type { ActivationRule, WeightRule } from "../../src/quantize/types.js";
import { evaluateModel } from "../../src/task/evaluate-model.js";
import { readRun } from "../../src/run/read.js";
import { train } from "../../src/run/train.js";
import type { Checkpoint, TrainOptions } from "../../src/run/types.js";
import { largestDifference, runModel, uniform } from "../import/support.js";
import { interruptedAfter } from "../support/interrupted.js";
import { tinyData, tinyModel } from "../support/tiny.js";

const DATA = tinyData();
const folder = mkdtempSync(join(tmpdir(), "kofn-quantize-"));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

function options(changes: Partial<TrainOptions> = {}): TrainOptions {
  return {
    model: tinyModel(),
    data: DATA,
    prune: { conv: weights({ k: 4 }), fc: weights({ k: 12 }) },
    quantize: { "*": int(4) },
    optimizer: { kind: "adam", lr: 0.01 },
    epochs: 4,
    batch: 16,
    threads: 1,
    ...changes,
  };
}

const valuesIn = (model: Model, name: string): Float32Array =>
  (model.graph.initializers.get(name) as Tensor<"float32">).array();

describe("quantized activations", () => {
  test.each<[string, ActivationRule, readonly number[]]>([
    ["uint8", uint8(), [128, 0]],
    ["int8", int8(), [0, -128]],
    // The sign of pixels says nothing.
    ["binary", binary(), [0]],
  ])("%s: the model quantizes them where a layer reads them", async (_, rule, zeroPoints) => {
    const ofImages = zeroPoints.length === 2 ? { "activations.conv": rule } : {};
    const quantize = { "*": int8(), "activations.fc": rule, ...ofImages };
    const { model, quantization, metrics, report } = await train(options({ quantize, epochs: 16 }));
    expect(quantization.activations.map(({ zeroPoint }) => zeroPoint)).toEqual(zeroPoints);
    expect(quantization.activations.at(-1)?.layer).toBe("fc");
    for (const { tensor, scale } of quantization.activations) {
      expect(model.graph.nodes.some(({ inputs }) => inputs[0] === tensor)).toBe(true);
      expect(scale).toBeGreaterThan(0);
    }
    expect(report.result.test.accuracy).toBeGreaterThan(0.6);
    const best = metrics.findLast((line) => line.best);
    expect(await evaluateModel(model, DATA.validation, DATA, { threads: 1 })).toEqual(best?.validation);
  });

  test.each<[string, NonNullable<TrainOptions["prune"]>]>([
    ["weights", { conv: weights({ k: 4 }), fc: weights({ k: 12 }) }],
    ["maps", { conv: maps({ k: 3 }), fc: weights({ k: 12 }) }],
  ])(
    "give the model, and its .kofn file, the logits of the export in integers (%s pruned)",
    async (name, prune) => {
      const quantize = { "*": int(3), "activations.*": uint8() };
      const run = await train(options({ prune, quantize }));
      const { model, masked, quantization } = run;
      const exported = exportTrained(masked, quantization);
      expect(await fusedKernels(exported)).toEqual([
        { layer: "conv", op: "QLinearConv" },
        { layer: "fc", op: "QGemm" },
      ]);
      const x = uniform([64, 1, 8, 8], 5);
      const path = join(folder, `integers, ${name} pruned`);
      await run.save(path);
      const packed = modelOfKofn(await runContents(await readRun(path)));
      const [expected, ...others] = await Promise.all(
        [exported.model, model, packed].map((one) => runModel(one, x)),
      );
      for (const actual of others) {
        expect(largestDifference(actual.get("fc"), expected.get("fc"))).toBeLessThan(1e-5);
      }
    },
  );

  test("learns their scales, which are the same after going on from a checkpoint", async () => {
    const changes = { quantize: { "activations.fc": uint8() }, quantizeFrom: 0.3 };
    const whole = await train(options(changes));
    const resume = await interruptedAfter(2, options(changes));
    const resumed = await train(options({ ...changes, resume }));
    expect(resumed.quantization).toEqual(whole.quantization);
    expect(encodeModelBytes(resumed.model)).toEqual(encodeModelBytes(whole.model));
    const shorter = await train(
      options({ ...changes, schedule: "constant", optimizer: { kind: "sgd", lr: 0.1 } }),
    );
    expect(shorter.quantization.activations[0].scale).not.toBe(whole.quantization.activations[0].scale);
  });
});

describe("frozen masks", () => {
  /** Masks, by name, of the checkpoints of a run. */
  async function masksOfEpochs(changes: Partial<TrainOptions>): Promise<Uint8Array[][]> {
    const epochs: Uint8Array[][] = [];
    const layers = [
      { logits: "current/conv.weight/logits", rows: 4, n: 9, k: 4 },
      { logits: "current/fc.weight/logits", rows: 3, n: 36, k: 12 },
    ];
    const onCheckpoint = ({ tensors }: Checkpoint): Promise<void> => {
      epochs.push(
        layers.map(({ logits, rows, n, k }) =>
          topKMask((tensors.get(logits) as Tensor<"float32">).array(), rows, n, k),
        ),
      );
      return Promise.resolve();
    };
    await train(options({ ...changes, epochs: 8, onCheckpoint }));
    return epochs;
  }

  test("change no bit, and change without freezing", async () => {
    const sampler = { optimizer: { kind: "adam", lr: 0.3 } } as const;
    const [, , , fourth, ...rest] = await masksOfEpochs({ sampler, freezeFrom: 0.5, schedule: "constant" });
    for (const later of rest) expect(later).toEqual(fourth);
    const [, , , before, ...after] = await masksOfEpochs({ sampler, schedule: "constant" });
    expect(after.at(-1)).not.toEqual(before);
  });

  test("let nothing outside them come back, with momentum and weight decay", async () => {
    const optimizer = { kind: "sgd", lr: 0.05, momentum: 0.9, weightDecay: 0.01 } as const;
    const run = await train(options({ optimizer, freezeFrom: 0.5, quantizeFrom: 0.5, epochs: 8 }));
    expect(run.metrics.findLastIndex(({ best }) => best)).toBeGreaterThanOrEqual(3);
    for (const [weight, mask] of run.masks) {
      const values = valuesIn(run.model, weight);
      mask.array().forEach((bit, i) => {
        if (bit === 0) expect(Object.is(values[i], 0)).toBe(true);
      });
    }
    expect(
      run.masks
        .get("fc.weight")
        ?.array()
        .reduce((sum, bit) => sum + bit, 0),
    ).toBe(36);
  });

  test("can't be asked for while k shrinks", async () => {
    const sampler = { shrink: [0, 0.6] } as const;
    await expect(train(options({ sampler, freezeFrom: 0.5 }))).rejects.toThrow(
      "masks can't be frozen after 50% of training (freezeFrom, --freeze-from), as k shrinks until 60% of it",
    );
  });
});

describe("quantized weights", () => {
  test.each<[string, WeightRule, number]>([
    ["int8", int8(), 127],
    ["int4", int(4), 7],
    ["int2", int(2), 1],
    ["ternary", ternary(), 1],
    ["binary", binary(), 1],
    ["int8 by dpp", int(8, { method: "dpp" }), 127],
    ["binary by dpp", binary({ method: "dpp" }), 1],
  ])("%s: the model holds codes times scales, and learns", async (_, rule, most) => {
    const { model, masks, quantization, metrics, report } = await train(
      options({ quantize: { "*": rule }, epochs: 16 }),
    );
    expect(quantization.weights.map(({ layer }) => layer)).toEqual(["conv", "fc"]);
    for (const { weight, scale, codes, axis } of quantization.weights) {
      expect(axis).toBe(0);
      const mask = masks.get(weight)?.array() ?? new Uint8Array();
      const values = valuesIn(model, weight);
      const inner = codes.length / scale.length;
      codes.forEach((code, i) => {
        expect(Math.abs(code)).toBeLessThanOrEqual(most);
        expect(values[i]).toBe(Math.fround(code * scale[Math.floor(i / inner)]));
        if (mask[i] === 0) expect(code).toBe(0);
        else if (rule.format === "binary") expect(Math.abs(code)).toBe(1);
      });
    }
    expect(report.result.test.accuracy).toBeGreaterThan(0.6);
    const best = metrics.findLast((line) => line.best);
    expect(await evaluateModel(model, DATA.validation, DATA, { threads: 1 })).toEqual(best?.validation);
  });

  test("begins after the share of training that is asked for, and keeps no epoch from before", async () => {
    const { metrics } = await train(options({ quantizeFrom: 0.5 }));
    expect(metrics.map(({ best }) => best).slice(0, 2)).toEqual([false, false]);
    expect(metrics.some(({ best }) => best)).toBe(true);
    const float = await train(options({ quantize: {} }));
    expect(metrics[1].train).toEqual(float.metrics[1].train);
    expect(metrics[3].train).not.toEqual(float.metrics[3].train);
  });

  test("is the same from the same seed, and after going on from a checkpoint, before and after quantization begins", async () => {
    const changes = { quantizeFrom: 0.4, freezeFrom: 0.7 };
    const whole = await train(options(changes));
    const bytes = encodeModelBytes(whole.model);
    expect(encodeModelBytes((await train(options(changes))).model)).toEqual(bytes);
    for (const epoch of [1, 2, 3]) {
      const resume = await interruptedAfter(epoch, options(changes));
      const resumed = await train(options({ ...changes, resume }));
      expect(encodeModelBytes(resumed.model)).toEqual(bytes);
      expect(resumed.quantization).toEqual(whole.quantization);
    }
  });

  test.each<[string, Partial<TrainOptions>]>([
    ["whose maps are cut", { prune: { conv: maps({ k: 2 }) } }],
    ["whose activations are quantized", { quantize: { "*": int8(), "activations.*": uint8() } }],
  ])("of a run %s are saved as a model in integers, which computes the same", async (name, changes) => {
    const run = await train(options({ epochs: 2, quantizeFrom: 0, ...changes }));
    await run.save(join(folder, name));
    const [model, quantized] = await Promise.all(
      ["model.onnx", "model.quantized.onnx"].map((file) => loadModel(join(folder, name, file))),
    );
    for (const { weight } of run.quantization.weights) {
      expect(model.graph.initializers.has(weight)).toBe(true);
      expect(quantized.graph.initializers.has(weight)).toBe(false);
    }
    const x = tensor(
      "float32",
      [5, 1, 8, 8],
      Float32Array.from({ length: 320 }, (_, i) => (i % 7) / 7),
    );
    const [expected, actual] = await Promise.all([runModel(model, x), runModel(quantized, x)]);
    const difference = largestDifference([...actual.values()][0], [...expected.values()][0]);
    expect(difference).toBeLessThan(1e-4);
  });

  test("is saved with the run and read back", async () => {
    const run = await train(options({ epochs: 1 }));
    await run.save(join(folder, "run"));
    const stored = await readRun(join(folder, "run"));
    expect(stored.quantization).toEqual(run.quantization);
    expect(stored.config).toMatchObject({ quantize: ["*=int4"], "quantize-from": 0.3 });
  });
});
