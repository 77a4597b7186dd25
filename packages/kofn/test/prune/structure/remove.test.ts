/** Channels that make no difference are removed, and the outputs stay the same. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { validate } from "../../../src/onnx/validate.js";
import type { Model } from "../../../src/onnx/model.js";
import { type Tensor, tensorFrom } from "../../../src/onnx/tensor.js";
import { lenet5 } from "../../../src/models/lenet.js";
import { removeDeadChannels } from "../../../src/prune/structure/remove.js";
import { Random } from "../../../src/random.js";
import { execute } from "../../support/execute.js";
import { randomlyMasked, randomNetwork } from "./networks.js";

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

describe("removeDeadChannels", () => {
  it("gives random masked networks smaller tensors and the same outputs", async () => {
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
      { numRuns: 40 },
    );
  }, 60_000);

  it("leaves a network in which every channel counts as it is", () => {
    const model = lenet5();
    expect(removeDeadChannels(model)).toBe(model);
  });
});
