/** The models that PyTorch exported import, and compute what PyTorch computed. */

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { ResidentSplit } from "../../src/data/types.js";
import { importModel } from "../../src/import/import.js";
import { encodeModelBytes } from "../../src/onnx/codec.js";
import { loadModel } from "../../src/files/models.js";
import { OPSET } from "../../src/onnx/model.js";
import { tensor } from "../../src/onnx/tensor.js";
import { validate } from "../../src/onnx/validate.js";
import { prunableLayers } from "../../src/layers/layers.js";
import { weights } from "../../src/prune/spec.js";
import { Random } from "../../src/random.js";
import { train } from "../../src/run/train.js";
import { sharedFolder } from "../support/fixtures.js";
import { largestDifference, runModel, uniform } from "./support.js";

const folder = sharedFolder("fixtures");
const floatsOf = (path: string): Float32Array => new Float32Array(Uint8Array.from(readFileSync(path)).buffer);

const BLOCKS = Array.from({ length: 9 }, (_, i) => [
  `l.${i}.c1`,
  `l.${i}.c2`,
  ...(i === 3 || i === 6 ? [`l.${i}.sc.0`] : []),
]).flat();

const LAYERS: Readonly<Record<string, readonly string[]>> = {
  "lenet5-mnist": ["conv1", "conv2", "fc1", "fc2"],
  "resnet20-cifar10": ["c", ...BLOCKS, "f"],
  "resnet20-cifar10-folded": ["c", ...BLOCKS, "f"],
  "small-mobile-random": ["stem.0", "dw.0", "dw.3", "se.1", "se.3", "br", "f"],
  "tiny-attention-random": ["p", "q", "o", "m.0", "m.2", "f"],
};

describe.skipIf(folder === undefined).each(Object.entries(LAYERS))("%s", (name, layers) => {
  const path = `${folder ?? ""}/${name}`;

  test("computes the same, for any batch", async () => {
    const model = await loadModel(`${path}.onnx`);
    const imported = importModel(model);
    validate(imported);
    expect(imported.opsets).toEqual(new Map([["", OPSET]]));
    const [, ...dims] = (model.graph.inputs[0].type?.shape ?? []).map(Number);
    const input = floatsOf(`${path}.input.bin`);
    const logits = (await runModel(imported, tensor("float32", [4, ...dims], input))).get("logits");
    expect(
      largestDifference(logits, tensor("float32", [4, 10], floatsOf(`${path}.logits.bin`))),
    ).toBeLessThan(1e-5);
    for (const batch of [1, 4]) {
      const x = uniform([batch, ...dims], batch);
      const [before, after] = await Promise.all([runModel(model, x), runModel(imported, x)]);
      expect(largestDifference(after.get("logits"), before.get("logits"))).toBeLessThan(1e-5);
    }
  });

  test("trains", async () => {
    const model = await loadModel(`${path}.onnx`);
    const [, channels, height, width] = (model.graph.inputs[0].type?.shape ?? []).map(Number);
    const random = new Random(1, name);
    const split = (count: number): ResidentSplit => {
      const images = Uint8Array.from({ length: count * channels * height * width }, () => random.below(256));
      return { count, images, labels: Uint16Array.from({ length: count }, (_, i) => i % 10) };
    };
    const classes = Array.from({ length: 10 }, (_, i) => String(i));
    const splits = { train: split(8), validation: split(4), test: split(4) };
    const data = { name: "noise", channels, height, width, classes, ...splits };
    const last = layers.at(-1) ?? "";
    const run = await train({
      model,
      data,
      epochs: 2,
      batch: 4,
      threads: 1,
      optimizer: { kind: "sgd", lr: 1e-3 },
      prune: { "*": weights({ keep: 0.5 }), [last]: "none" },
      normalize: "none",
    });
    expect(run.report.training.steps).toBe(4);
    expect(run.report.layers.map((layer) => layer.name)).toEqual(layers.slice(0, -1));
    const trained = await runModel(run.model, uniform([3, channels, height, width], 1));
    expect(trained.get("logits")?.dims).toEqual([3, 10]);
  });

  test("has layers called after the modules, each node a name, and imports again as it is", async () => {
    const imported = importModel(await loadModel(`${path}.onnx`));
    expect(prunableLayers(imported.graph).map((layer) => layer.name)).toEqual(layers);
    const names = imported.graph.nodes.map((node) => node.name);
    expect(new Set(names).size).toBe(names.length);
    expect(names).not.toContain("");
    expect(Buffer.compare(encodeModelBytes(importModel(imported)), encodeModelBytes(imported))).toBe(0);
  });
});
