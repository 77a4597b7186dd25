/** The zoo: parameter counts as published, layer names, initial weights fixed by the seed, logits as PyTorch computes them. */

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { ZOO, zoo } from "../../src/models/zoo.js";
import { encodeModelBytes } from "../../src/onnx/codec.js";
import { loadModel } from "../../src/files/models.js";
import type { Model } from "../../src/onnx/model.js";
import { type Tensor, tensor } from "../../src/onnx/tensor.js";
import { prunableLayers } from "../../src/layers/layers.js";
import { execute } from "../support/execute.js";
import { sharedFolder } from "../support/fixtures.js";

/** Elements of all tensors but running statistics and scalars. */
function trained({ graph }: Model): number {
  let sum = 0;
  for (const [name, { dims, size }] of graph.initializers) {
    if (dims.length > 0 && !/running_(mean|var)$/.test(name)) sum += size;
  }
  return sum;
}

const weightOf = ({ graph }: Model, name: string): Float32Array =>
  (graph.initializers.get(name) as Tensor<"float32">).array();

describe.each([
  {
    make: zoo.lenet300100,
    name: "lenet-300-100",
    count: 266_610,
    layers: 3,
    some: ["fc1", "fc3"],
    classes: 10,
  },
  { make: zoo.lenet5, name: "lenet-5", count: 431_080, layers: 4, some: ["conv1", "fc2"], classes: 10 },
  {
    make: zoo.vgg16bn,
    name: "vgg-16-bn",
    count: 14_728_266,
    layers: 14,
    some: ["features.0", "features.3", "features.7", "features.40", "classifier"],
    classes: 10,
  },
  {
    make: zoo.resnet20,
    name: "resnet-20",
    count: 272_474,
    layers: 22,
    some: ["conv1", "layer1.0.conv1", "layer2.0.downsample.0", "layer3.2.conv2", "fc"],
    classes: 10,
  },
  {
    make: zoo.resnet32,
    name: "resnet-32",
    count: 466_906,
    layers: 34,
    some: ["layer3.4.conv2"],
    classes: 10,
  },
  {
    make: zoo.resnet56,
    name: "resnet-56",
    count: 855_770,
    layers: 58,
    some: ["layer3.8.conv2"],
    classes: 10,
  },
  {
    make: zoo.resnet18,
    name: "resnet-18",
    count: 11_689_512,
    layers: 21,
    some: ["conv1", "layer1.1.conv2", "layer4.0.downsample.0", "fc"],
    classes: 1000,
  },
  {
    make: zoo.resnet50,
    name: "resnet-50",
    count: 25_557_032,
    layers: 54,
    some: ["conv1", "layer1.0.downsample.0", "layer3.5.conv3", "fc"],
    classes: 1000,
  },
  {
    make: zoo.mobilenetV2,
    name: "mobilenet-v2",
    count: 3_504_872,
    layers: 53,
    some: [
      "features.0.0",
      "features.1.conv.0.0",
      "features.1.conv.1",
      "features.2.conv.1.0",
      "features.17.conv.2",
      "features.18.0",
      "classifier.1",
    ],
    classes: 1000,
  },
])("$name", ({ make, name, count, layers, some, classes }) => {
  const model = make();

  test("has the published number of parameters, and layers by their usual names", () => {
    expect(ZOO[name as keyof typeof ZOO]).toBe(make);
    expect(model.graph.name).toBe(name);
    expect(trained(model)).toBe(count);
    const names = prunableLayers(model.graph).map((layer) => layer.name);
    expect(names).toHaveLength(layers);
    expect(names).toEqual(expect.arrayContaining(some));
    expect(model.graph.outputs[0].type?.shape).toEqual(["batch", classes]);
  });
});

describe.each([zoo.vgg16bn, zoo.resnet20, zoo.mobilenetV2])("$name", (make) => {
  test("has as many classes and channels as it is asked for, and runs at any batch", async () => {
    const { graph } = make({ classes: 26, channels: 1 });
    const [size] = graph.inputs[0].type?.shape?.slice(2).map(Number) ?? [];
    expect(prunableLayers(graph)[0].dims[1]).toBe(1);
    for (const batch of [1, 3]) {
      const pixels = Float32Array.from({ length: batch * size * size }, (_, i) => ((i * 37) % 101) / 101);
      const feeds = new Map([["input", tensor("float32", [batch, 1, size, size], pixels)]]);
      const logits = (await execute(graph, feeds)).get("logits");
      expect(logits?.dims).toEqual([batch, 26]);
      expect(logits?.numbers().every((value) => Number.isFinite(value))).toBe(true);
      expect(new Set(logits?.numbers().slice(0, 26)).size).toBe(26);
    }
  });
});

describe("resnet-20", () => {
  test("has the weights of its seed, of variance 2 / fan-in", () => {
    const bytes = (seed: number): Uint8Array => encodeModelBytes(zoo.resnet20({ seed }));
    expect(Buffer.compare(bytes(1), bytes(1))).toBe(0);
    expect(Buffer.compare(bytes(1), bytes(2))).not.toBe(0);
    const model = zoo.resnet20();
    for (const { weight, dims } of prunableLayers(model.graph).slice(0, -1)) {
      const values = weightOf(model, weight);
      const variance = values.reduce((sum, value) => sum + value ** 2, 0) / values.length;
      const expected = 2 / (values.length / dims[0]);
      expect(Math.abs(variance / expected - 1)).toBeLessThan(4.5 * Math.sqrt(2 / values.length));
    }
  });

  const fixtures = sharedFolder("fixtures");
  test.skipIf(fixtures === undefined)("computes what PyTorch computes with the same weights", async () => {
    const path = `${fixtures ?? ""}/resnet20-cifar10`;
    const source = await loadModel(`${path}.onnx`);
    const model = zoo.resnet20();
    for (const name of model.graph.initializers.keys()) {
      const value = source.graph.initializers.get(fixtureName(name));
      if (value === undefined) throw new Error(`the fixture has no tensor for ${name}`);
      model.graph.initializers.set(name, value);
    }
    const floats = (file: string): Float32Array<ArrayBuffer> =>
      new Float32Array(Uint8Array.from(readFileSync(file)).buffer);
    const input = tensor("float32", [4, 3, 32, 32], floats(`${path}.input.bin`));
    const logits = (await execute(model.graph, new Map([["input", input]]))).get("logits")?.numbers() ?? [];
    const expected = floats(`${path}.logits.bin`);
    expect(logits).toHaveLength(expected.length);
    logits.forEach((value, i) => {
      expect(value).toBeCloseTo(expected[i], 4);
    });
  });
});

/** The name in the fixture of a tensor of resnet-20. Biases that are equal were stored once. */
function fixtureName(name: string): string {
  return name
    .replace(
      /^layer(\d)\.(\d)\./,
      (_, stage: string, block: string) => `l.${3 * Number(stage) - 3 + Number(block)}.`,
    )
    .replace("downsample.1.bias", "b2.bias")
    .replace("downsample.", "sc.")
    .replace(/^conv1\./, "c.")
    .replace(/^bn1\./, "b.")
    .replace(/^fc\./, "f.")
    .replace("conv", "c")
    .replace("bn", "b");
}

describe("the zoo", () => {
  test("has the same networks under both kinds of names", () => {
    expect(Object.values(ZOO)).toEqual(Object.values(zoo));
  });
});
