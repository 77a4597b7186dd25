/** The LeNets: the shapes and sizes that papers give, initial weights fixed by the seed, valid models. */

import { describe, expect, test } from "vitest";
import { lenet300100, lenet5 } from "../../src/models/lenet.js";
import { encodeModelBytes } from "../../src/onnx/codec.js";
import { evaluateGraph } from "../../src/onnx/evaluate.js";
import { inferGraph } from "../../src/onnx/infer.js";
import type { Model } from "../../src/onnx/model.js";
import { type Tensor, tensor } from "../../src/onnx/tensor.js";
import { validate } from "../../src/onnx/validate.js";
import { prunableLayers } from "../../src/layers/layers.js";
import { double, execute } from "../support/execute.js";

const parameters = (model: Model): number =>
  [...model.graph.initializers.values()].reduce((sum, { size }) => sum + size, 0);

describe.each([
  {
    make: lenet300100,
    name: "lenet-300-100",
    count: 266_610,
    layers: { fc1: [300, 784], fc2: [100, 300], fc3: [10, 100] },
  },
  {
    make: lenet5,
    name: "lenet-5",
    count: 431_080,
    layers: { conv1: [20, 1, 5, 5], conv2: [50, 20, 5, 5], fc1: [500, 800], fc2: [10, 500] },
  },
])("$name", ({ make, name, count, layers }) => {
  test("is valid, and as large as it should be", () => {
    const model = make();
    validate(model);
    expect(model.graph.name).toBe(name);
    expect(parameters(model)).toBe(count);
    expect(Object.fromEntries(prunableLayers(model.graph).map((layer) => [layer.name, layer.dims]))).toEqual(
      layers,
    );
    expect(prunableLayers(model.graph).every(({ bias }) => bias !== undefined)).toBe(true);
    expect(inferGraph(model).get("logits")).toEqual({ dtype: "float32", shape: ["batch", 10] });
  });

  test("has the weights of its seed, within +-1/sqrt(fan-in)", () => {
    const bytes = (seed: number): Uint8Array => encodeModelBytes(make({ seed }));
    expect(Buffer.compare(bytes(1), bytes(1))).toBe(0);
    expect(Buffer.compare(bytes(1), bytes(2))).not.toBe(0);
    for (const { weight, dims } of prunableLayers(make().graph)) {
      const values = (make().graph.initializers.get(weight) as Tensor<"float32">).array();
      const bound = Math.fround(1 / Math.sqrt(values.length / dims[0]));
      const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      expect(largest).toBeLessThanOrEqual(bound);
      expect(largest).toBeGreaterThan(0.98 * bound);
    }
  });

  test("has as many classes as it is asked for", () => {
    expect(inferGraph(make({ classes: 26 })).get("logits")?.shape).toEqual(["batch", 26]);
  });

  test("runs on onnxruntime as it is defined, for any batch", async () => {
    const { graph } = make();
    for (const batch of [1, 3]) {
      const pixels = Float32Array.from({ length: batch * 784 }, (_, i) => ((i * 37) % 101) / 101);
      const feeds = new Map([["input", tensor("float32", [batch, 1, 28, 28], pixels)]]);
      const actual = (await execute(graph, feeds)).get("logits");
      const wide = {
        ...graph,
        inputs: [],
        initializers: new Map([...graph.initializers].map(([key, value]) => [key, double(value)])),
      };
      const exact = evaluateGraph(wide, new Map([...feeds].map(([key, value]) => [key, double(value)])));
      expect(actual?.dims).toEqual([batch, 10]);
      exact
        .get("logits")
        ?.numbers()
        .forEach((value, i) => {
          expect(actual?.numbers()[i]).toBeCloseTo(value, 5);
        });
    }
  });
});
