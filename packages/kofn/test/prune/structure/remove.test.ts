/** Channels that make no difference are removed, and the outputs stay the same. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { importModel } from "../../../src/import/import.js";
import { countMacs } from "../../../src/prune/macs.js";
import { loadModel } from "../../../src/files/models.js";
import { validate } from "../../../src/onnx/validate.js";
import type { Model } from "../../../src/onnx/model.js";
import { type Tensor, tensorFrom } from "../../../src/onnx/tensor.js";
import { lenet5 } from "../../../src/models/lenet.js";
import { resnet20 } from "../../../src/models/resnet.js";
import { removeDeadChannels } from "../../../src/prune/structure/remove.js";
import { Random } from "../../../src/random.js";
import { execute } from "../../support/execute.js";
import { sharedFolder } from "../../support/fixtures.js";
import { Net, randomlyMasked, randomNetwork } from "./networks.js";

async function logits({ graph }: Model, images: Tensor): Promise<Float32Array> {
  const results = await execute(graph, new Map([[graph.inputs[0].name, images]]));
  return (results.get(graph.outputs[0].name) as Tensor<"float32">).array();
}

function randomImages(model: Model, batch: number): Tensor {
  const random = new Random(3, "images");
  const dims = [batch, ...(model.graph.inputs[0].type?.shape?.slice(1).map(Number) ?? [])];
  return tensorFrom(
    "float32",
    dims,
    Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => random.normal()),
  );
}

/** The largest difference between the outputs of two models, relative to the largest output. */
async function difference(a: Model, b: Model, batch: number): Promise<number> {
  const images = randomImages(a, batch);
  const [left, right] = [await logits(a, images), await logits(b, images)];
  expect(left).toHaveLength(right.length);
  const scale = left.reduce((max, value) => Math.max(max, Math.abs(value)), 1);
  return left.reduce((max, value, i) => Math.max(max, Math.abs(value - right[i])), 0) / scale;
}

const dimsOf = (model: Model, name: string): readonly number[] | undefined =>
  model.graph.initializers.get(name)?.dims;

/** The model with weights, biases and statistics that are all random: fresh ones are 0 and 1. */
function scrambled(model: Model): Model {
  const random = new Random(7, "scrambled");
  const initializers = new Map<string, Tensor>();
  for (const [name, value] of model.graph.initializers) {
    const isVector = value.dtype === "float32" && value.dims.length === 1;
    const values = value.numbers().map((one) => (isVector ? one + 0.3 * random.uniform() + 0.05 : one));
    initializers.set(name, isVector ? tensorFrom("float32", value.dims, values) : value);
  }
  return { ...model, graph: { ...model.graph, initializers } };
}

/** Two 1x1 convolutions with a ReLU between, of which the first has an empty map, and the second ignores one. */
function structuredNet(): Model {
  const net = new Net(5);
  const a = net.conv(net.input, 4, { kernel: 1, name: "a" });
  const b = net.conv(net.relu(a), 4, { kernel: 1, name: "b" });
  const model = net.head(net.relu(b), true);
  const zero = (name: string, isZero: (index: number) => boolean): void => {
    const value = model.graph.initializers.get(name);
    if (value === undefined) throw new Error(`no ${name}`);
    const values = value.numbers().map((one, i) => (isZero(i) ? 0 : Math.abs(one)));
    model.graph.initializers.set(name, tensorFrom("float32", value.dims, values));
  };
  zero("a.weight", (i) => Math.floor(i / 3) === 1);
  zero("a.bias", () => false);
  zero("b.weight", (i) => i % 4 === 2);
  return model;
}

describe("removeDeadChannels", () => {
  test("gives random masked networks smaller tensors and the same outputs", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.nat(), async (network, masks) => {
        const model = randomNetwork(network);
        const { masked, kept } = randomlyMasked(model, masks);
        const removed = removeDeadChannels(masked);
        validate(removed);
        // A part that a Split or Slice takes out keeps one channel even if all of its own are masked.
        const hasParts = model.graph.nodes.some(({ op }) => op === "Split" || op === "Slice");
        for (const [group, count] of kept) {
          for (const { layer, units } of group.layers) {
            const outputs = dimsOf(removed, layer.weight)?.[layer.transposed ? 1 : 0];
            if (!hasParts) expect(outputs).toBeLessThanOrEqual((units.length / group.n) * count);
            expect(outputs).toBeGreaterThan(0);
          }
        }
        for (const batch of [1, 4]) expect(await difference(masked, removed, batch)).toBeLessThan(1e-5);
      }),
      // A seed, as one network in thousands amplifies float32's rounding beyond 1e-5.
      { numRuns: 40, seed: 7 },
    );
  }, 60_000);

  test.each([
    ["resnet-20", resnet20()],
    ["lenet-5", lenet5()],
  ])(
    "of %s every mask makes tensors smaller",
    async (_, model) => {
      const { masked, kept } = randomlyMasked(scrambled(model), 4);
      const removed = removeDeadChannels(masked);
      validate(removed);
      for (const [group, count] of kept) {
        for (const { layer, units } of group.layers) {
          const outputs = dimsOf(removed, layer.weight)?.[layer.transposed ? 1 : 0];
          expect(outputs).toBe((units.length / group.n) * count);
        }
      }
      for (const batch of [1, 4]) expect(await difference(masked, removed, batch)).toBeLessThan(1e-5);
    },
    30_000,
  );

  test("takes away what masks of weights and kernels leave unused", async () => {
    const model = structuredNet();
    const removed = removeDeadChannels(model);
    // Map 1 of "a" has no weights left and gives its bias; map 2 is read by no kernel of "b".
    expect(dimsOf(removed, "a.weight")).toEqual([2, 3, 1, 1]);
    expect(dimsOf(removed, "b.weight")).toEqual([4, 2, 1, 1]);
    expect(dimsOf(removed, "b.bias")).toBeUndefined();
    expect(await difference(model, removed, 4)).toBeLessThan(1e-5);
  });

  test("leaves a network in which every channel counts as it is", () => {
    const model = lenet5();
    expect(removeDeadChannels(model)).toBe(model);
  });
});

const fixtures = sharedFolder("fixtures");

describe
  .skipIf(fixtures === undefined)
  .each(["lenet5-mnist", "resnet20-cifar10", "resnet20-cifar10-folded", "small-mobile-random"])(
  "of the exported %s",
  (name) => {
    test("masked maps are removed, and the outputs stay the same", async () => {
      const model = importModel(await loadModel(`${fixtures ?? ""}/${name}.onnx`));
      const before = countMacs(model.graph).macs;
      for (const seed of [1, 2]) {
        const { masked, kept } = randomlyMasked(model, seed);
        expect(kept.size).toBeGreaterThan(2);
        const removed = removeDeadChannels(masked);
        validate(removed);
        for (const [group, count] of kept) {
          for (const { layer, units } of group.layers) {
            const outputs = dimsOf(removed, layer.weight)?.[layer.transposed ? 1 : 0];
            expect(outputs).toBeLessThanOrEqual((units.length / group.n) * count);
          }
        }
        expect(countMacs(removed.graph).macs).toBeLessThan(before);
        for (const batch of [1, 4]) expect(await difference(masked, removed, batch)).toBeLessThan(1e-5);
      }
    }, 30_000);
  },
);
