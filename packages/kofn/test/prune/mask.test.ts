/** Masks on a model: exact zeros, and nothing else changed. */

import { describe, expect, it } from "vitest";
import { lenet5 } from "../../src/models/lenet.js";
import type { Model } from "../../src/onnx/model.js";
import { sizeOf, type Tensor } from "../../src/onnx/tensor.js";
import { maskedModel, maskOfLogits } from "../../src/prune/mask.js";
import { prunableLayers } from "../../src/layers/layers.js";
import { maps, resolvePrune, weights } from "../../src/prune/spec.js";
import type { PrunedLayer, PruneSpec } from "../../src/prune/types.js";
import { Random } from "../../src/random.js";

const layersOf = (model: Model, spec: PruneSpec): PrunedLayer[] =>
  resolvePrune(prunableLayers(model.graph), spec);

function logitsOf(layer: PrunedLayer): Float32Array {
  const random = new Random(5, layer.weight);
  return Float32Array.from({ length: layer.groups * layer.n }, () => random.normal());
}

function values(model: Model, name: string): Float32Array {
  return (model.graph.initializers.get(name) as Tensor<"float32">).array();
}

const isSame = (a: ArrayBufferView, b: ArrayBufferView): boolean =>
  Buffer.compare(bytesOf(a), bytesOf(b)) === 0;
const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

describe("maskOfLogits", () => {
  it("keeps the k largest of each group, or so many as it is told", () => {
    const [layer] = layersOf(lenet5(), { fc2: weights({ k: 3 }) });
    const { units, mask } = maskOfLogits(layer, logitsOf(layer));
    expect(mask).toEqual(units);
    expect(mask).toHaveLength(5000);
    expect(mask.reduce((sum, bit) => sum + bit, 0)).toBe(30);
    const wider = maskOfLogits(layer, logitsOf(layer), 7);
    expect(wider.mask.reduce((sum, bit) => sum + bit, 0)).toBe(70);
    expect(wider.mask.every((bit, i) => bit >= mask[i])).toBe(true);
  });
});

describe("maskedModel", () => {
  const model = lenet5();
  const layers = layersOf(model, { conv2: maps({ k: 20 }), fc1: weights({ k: 32 }) });
  const masks = layers.map((layer) => maskOfLogits(layer, logitsOf(layer)));
  const parameters = new Map(
    [...model.graph.initializers].map(([name, { dims }]) => [name, new Float32Array(sizeOf(dims)).fill(2)]),
  );
  const masked = maskedModel(model, parameters, masks);

  it("has the given parameters, and exactly 0 where the mask does not keep them", () => {
    for (const { layer, mask } of masks) {
      expect(
        isSame(
          values(masked, layer.weight),
          Float32Array.from(mask, (bit) => 2 * bit),
        ),
      ).toBe(true);
    }
    expect(values(masked, "conv1.weight").every((value) => value === 2)).toBe(true);
    expect(values(masked, "fc1.bias").every((value) => value === 2)).toBe(true);
  });

  it("removes the biases of maps that are removed", () => {
    expect(values(masked, "conv2.bias")).toEqual(Float32Array.from(masks[0].units, (bit) => 2 * bit));
  });

  it("keeps names, shapes and nodes, and changes neither the model nor the parameters", () => {
    expect([...masked.graph.initializers].map(([name, { dims }]) => [name, dims])).toEqual(
      [...model.graph.initializers].map(([name, { dims }]) => [name, dims]),
    );
    expect(masked.graph.nodes).toBe(model.graph.nodes);
    const untouched = lenet5();
    for (const name of model.graph.initializers.keys()) {
      expect(isSame(values(model, name), values(untouched, name))).toBe(true);
      expect(parameters.get(name)?.every((value) => value === 2)).toBe(true);
    }
  });
});
