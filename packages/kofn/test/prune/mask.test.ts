/** Masks on a model: exact zeros, and nothing else changed. */

import { weightMask } from "@kofn/format/file/units.js";
import { describe, expect, test } from "vitest";
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
  test("keeps the k largest of each group, or so many as it is told", () => {
    const [layer] = layersOf(lenet5(), { fc2: weights({ k: 3 }) });
    const mask = maskOfLogits(layer, logitsOf(layer));
    expect(weightMask(mask, layer.dims)).toEqual(mask.units);
    expect(mask.units).toHaveLength(5000);
    expect(mask.units.reduce((sum, bit) => sum + bit, 0)).toBe(30);
    const wider = maskOfLogits(layer, logitsOf(layer), 7);
    expect(wider.units.reduce((sum, bit) => sum + bit, 0)).toBe(70);
    expect(wider.units.every((bit, i) => bit >= mask.units[i])).toBe(true);
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

  test("has the given parameters, and exactly 0 where the mask does not keep them", () => {
    for (const { layer, ...mask } of masks) {
      expect(
        isSame(
          values(masked, layer.weight),
          Float32Array.from(weightMask(mask, layer.dims), (bit) => 2 * bit),
        ),
      ).toBe(true);
    }
    expect(values(masked, "conv1.weight").every((value) => value === 2)).toBe(true);
    expect(values(masked, "fc1.bias").every((value) => value === 2)).toBe(true);
  });

  test("removes the biases of maps that are removed", () => {
    expect(values(masked, "conv2.bias")).toEqual(Float32Array.from(masks[0].units, (bit) => 2 * bit));
  });

  test("keeps names, shapes and nodes, and changes neither the model nor the parameters", () => {
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
