/** The same training step on onnxruntime's native build and on its WebAssembly build. */

import type { Provider } from "@kofn/format/run/words.js";
import { describe, expect, test } from "vitest";
import { lenet300100 } from "../../src/models/lenet.js";
import type { Model } from "../../src/onnx/model.js";
import { kernels, weights } from "../../src/prune/spec.js";
import type { PruneSpec } from "../../src/prune/types.js";
import { train } from "../../src/run/train.js";
import { tinyData, tinyModel } from "../support/tiny.js";

const STEPS = 20;

/** The loss of each step: epochs of one step. */
async function losses(model: Model, side: number, prune: PruneSpec, provider: Provider): Promise<number[]> {
  const data = tinyData({ side, classes: 3, train: 32, rest: 8 });
  const { metrics, report } = await train({
    model,
    data,
    prune,
    provider,
    epochs: STEPS,
    batch: 32,
    threads: 1,
  });
  expect(report.provider).toBe(provider);
  return metrics.map((line) => line.train.loss);
}

describe("cpu and wasm", () => {
  test.each<[string, () => Model, number, PruneSpec]>([
    ["a convolutional network", tinyModel, 8, { conv: kernels({ k: 1 }), fc: weights({ k: 12 }) }],
    ["convolutions that fill blocks of channels", () => tinyModel(16), 8, { conv: weights({ k: 6 }) }],
    ["lenet-300-100", () => lenet300100({ classes: 3 }), 28, { fc1: weights({ k: 40 }) }],
  ])(`give the same losses over ${STEPS} steps: %s`, async (_, model, side, prune) => {
    const cpu = await losses(model(), side, prune, "cpu");
    const wasm = await losses(model(), side, prune, "wasm");
    expect(cpu).toHaveLength(STEPS);
    expect(cpu[STEPS - 1]).toBeLessThan(cpu[0]);
    wasm.forEach((loss, step) => {
      expect(Math.abs(loss - cpu[step]), `step ${step + 1}`).toBeLessThan(1e-4);
    });
  });
});
