/** Every granularity on both networks of the zoo: exact counts, exact zeros, and a report that the saved model confirms. */

import { describe, expect, test } from "vitest";
import { lenet300100, lenet5 } from "../../src/models/lenet.js";
import { decodeModel, encodeModelBytes } from "../../src/onnx/codec.js";
import type { Model } from "../../src/onnx/model.js";
import type { Tensor } from "../../src/onnx/tensor.js";
import { countPerGroup } from "../../src/prune/units.js";
import { prunableLayers } from "../../src/layers/layers.js";
import { kernels, maps, resolvePrune, weights } from "../../src/prune/spec.js";
import type { PruneSpec } from "../../src/prune/types.js";
import { evaluateModel } from "../../src/task/evaluate-model.js";
import { train } from "../../src/run/train.js";
import { tinyData } from "../support/tiny.js";

const DATA = tinyData({ side: 28, classes: 10, train: 32, rest: 20 });

function parameter(model: Model, name: string): Float32Array {
  return (model.graph.initializers.get(name) as Tensor<"float32">).array();
}

async function check(model: Model, prune: PruneSpec): Promise<void> {
  const layers = resolvePrune(prunableLayers(model.graph), prune);
  const schedule = "constant";
  const run = await train({ model, data: DATA, prune, schedule, epochs: 1, batch: 8, threads: 1 });
  expect([...run.masks.keys()]).toEqual(layers.map(({ weight }) => weight));
  const masks = [...run.masks.values()];
  const reloaded = decodeModel(encodeModelBytes(run.masked), "the masked model");
  const removed = decodeModel(encodeModelBytes(run.model), "the saved model");
  for (const [i, layer] of layers.entries()) {
    const mask = masks[i].array();
    expect(new Set(countPerGroup(layer, mask))).toEqual(new Set([layer.k]));
    const values = parameter(reloaded, layer.weight);
    expect(values.every((value, j) => mask[j] === 1 || Object.is(value, 0))).toBe(true);
    expect(values.some((value) => value !== 0)).toBe(true);
    if (layer.granularity === "maps" && layer.bias !== undefined) {
      const bias = parameter(reloaded, layer.bias);
      expect(bias.filter((value) => value !== 0)).toHaveLength(layer.k);
      const fanIn = mask.length / bias.length;
      expect(bias.every((value, map) => (value === 0) === (mask[map * fanIn] === 0))).toBe(true);
      expect(removed.graph.initializers.get(layer.weight)?.dims[0]).toBe(layer.k);
    }
    const kept = mask.reduce((sum, bit) => sum + bit, 0);
    expect(run.report.layers[i]).toMatchObject({ groups: layer.groups, n: layer.n, k: layer.k, kept });
  }
  const { test } = run.report.result;
  expect(await evaluateModel(removed, DATA.test, DATA, { threads: 1 })).toEqual(test);
  const masked = await evaluateModel(reloaded, DATA.test, DATA, { threads: 1 });
  expect(masked.accuracy).toBe(test.accuracy);
  expect(masked.loss).toBeCloseTo(test.loss, 5);
}

const LENET_5: readonly [string, PruneSpec][] = [
  ["weights", { conv2: weights({ k: 50 }), fc1: weights({ k: 32 }), fc2: weights({ k: 100 }) }],
  ["weights per kernel", { "conv*": weights({ k: 3, per: "kernel" }) }],
  ["2:4 tiles", { conv2: weights({ tile: [2, 4] }), fc2: weights({ tile: [1, 4] }) }],
  ["kernels", { conv2: kernels({ k: 5 }) }],
  ["maps", { "conv*": maps({ keep: 0.5 }), fc1: maps({ k: 100 }) }],
  ["weights, shared", { conv2: weights({ k: 50, share: 10 }), fc1: weights({ k: 32, share: 4 }) }],
  ["kernels, shared", { conv2: kernels({ k: 5, share: 2 }) }],
  ["one and all", { conv2: weights({ k: 1 }), fc2: weights({ k: 500 }) }],
];

const LENET_300_100: readonly [string, PruneSpec][] = [
  ["weights", { fc1: weights({ k: 40 }), fc2: weights({ k: 30 }) }],
  ["2:4 tiles", { "*": weights({ tile: [2, 4] }) }],
  ["maps", { fc1: maps({ k: 24 }), fc2: maps({ k: 50 }) }],
  ["weights, shared", { fc1: weights({ k: 40, share: 4 }), fc3: weights({ k: 10, share: 10 }) }],
];

describe("lenet-5", () => {
  test.each(LENET_5)("%s", (_, prune) => check(lenet5(), prune));
});

describe("lenet-300-100", () => {
  test.each(LENET_300_100)("%s", (_, prune) => check(lenet300100(), prune));
});
