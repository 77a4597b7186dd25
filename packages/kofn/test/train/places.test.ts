/** The two executors of a plan: a trainer whose steps are one graph each learns what one learns that draws and updates on the host. */

import { describe, expect, test } from "vitest";
import { InputError } from "../../src/errors.js";
import type { Model } from "../../src/onnx/model.js";
import { withDefaults } from "../../src/options/with-defaults.js";
import { planPrune } from "../../src/prune/plan.js";
import { kernels, maps, weights } from "../../src/prune/spec.js";
import type { PruneSpec } from "../../src/prune/types.js";
import { planQuantization } from "../../src/quantize/plan.js";
import { int } from "../../src/quantize/spec.js";
import type { TrainOptions } from "../../src/run/types.js";
import { Trainer, type TrainerOptions } from "../../src/train/trainer.js";
import { normalisedModel } from "../support/normalised.js";
import { tinyData, tinyModel } from "../support/tiny.js";

const DATA = tinyData();

interface Trained {
  readonly losses: readonly number[];
  readonly state: ReadonlyMap<string, readonly number[]>;
}

async function trained(
  model: Model,
  prune: PruneSpec,
  place: "host" | "graph",
  changes: Partial<TrainOptions>,
): Promise<Trained> {
  const settings = withDefaults({
    batch: 16,
    epochs: 4,
    threads: 1,
    optimizer: { kind: "sgd", lr: 0.05, momentum: 0.9, weightDecay: 0.01 },
    // Noise is the only thing in which the two differ on purpose.
    sampler: { beta: [0, 0], tau: [2, 0.5], entropy: 0.001 },
    ...changes,
  });
  const layers = planPrune(model.graph, prune);
  const trainer = await Trainer.create(model, DATA, 96, layers, settings, { place });
  try {
    const losses: number[] = [];
    for (let epoch = 1; epoch <= settings.epochs; epoch++) losses.push((await trainer.epoch(epoch)).loss);
    const state = [...trainer.state.snapshot()].map(([name, value]) => [name, value.numbers()] as const);
    return { losses, state: new Map(state) };
  } finally {
    await trainer.close();
  }
}

describe("a trainer", () => {
  test.each<[string, () => Model, PruneSpec, Partial<TrainOptions>]>([
    ["dense", tinyModel, {}, {}],
    ["weights", tinyModel, { conv: weights({ k: 4 }), fc: weights({ k: 12 }) }, {}],
    ["kernels, shared weights", tinyModel, { conv: kernels({ k: 1 }), fc: weights({ k: 7, share: 3 }) }, {}],
    ["maps", tinyModel, { conv: maps({ k: 2 }) }, {}],
    ["mixed images", tinyModel, { fc: weights({ k: 12 }) }, { augment: { mixup: 0.5 } }],
    ["a teacher", tinyModel, { fc: weights({ k: 12 }) }, { distill: { weight: 0.5, temperature: 2 } }],
    ["batch normalisation", normalisedModel, {}, {}],
  ])("learns the same in the graph and on the host: %s", async (_, model, prune, changes) => {
    const [host, graph] = [
      await trained(model(), prune, "host", changes),
      await trained(model(), prune, "graph", changes),
    ];
    graph.losses.forEach((loss, i) => {
      expect(loss).toBeCloseTo(host.losses[i], 4);
    });
    expect([...graph.state.keys()].sort()).toEqual([...host.state.keys()].sort());
    for (const [name, values] of graph.state) {
      const other = host.state.get(name) ?? [];
      const worst = Math.max(...values.map((value, i) => Math.abs(value - other[i])));
      expect(worst, name).toBeLessThan(1e-3);
    }
  });

  test("draws noise in the graph that is a function of the seed", async () => {
    const noisy = { sampler: { beta: [0.5, 0.5] as const } };
    const run = (seed: number): Promise<Trained> =>
      trained(tinyModel(), { fc: weights({ k: 12 }) }, "graph", { ...noisy, seed });
    const [a, again, other] = [await run(1), await run(1), await run(2)];
    expect(again).toEqual(a);
    expect(other.losses).not.toEqual(a.losses);
  });

  test("refuses what the graph can't do", async () => {
    const model = tinyModel();
    const layers = planPrune(model.graph, { fc: weights({ k: 12 }) });
    const options: TrainerOptions = { place: "graph" };
    const create = (changes: Partial<TrainOptions>, more: TrainerOptions = {}): Promise<Trainer> =>
      Trainer.create(model, DATA, 96, layers, withDefaults({ batch: 16, ...changes }), {
        ...options,
        ...more,
      });
    const quantization = planQuantization(model.graph, { "*": int(4) });
    await expect(create({}, { quantization })).rejects.toThrow(InputError);
    const shrinking = await create({ sampler: { shrink: [0, 0.5] } });
    await expect(shrinking.epoch(1)).rejects.toThrow(/keeps k = 36 .*can shrink where the host samples/);
    await shrinking.close();
  });
});
