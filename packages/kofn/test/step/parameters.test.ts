/** Which stored tensors are trained: weights wherever they are, and no constants of formulas or of the input. */

import { describe, expect, test } from "vitest";
import { importModel } from "../../src/import/import.js";
import { Builder } from "../../src/onnx/builder.js";
import { loadModel } from "../../src/files/models.js";
import { emptyGraph, int, ints, tensorAttribute } from "../../src/onnx/model.js";
import { sizeOf, tensorFrom } from "../../src/onnx/tensor.js";
import { storedTensors, trainable } from "../../src/step/parameters.js";
import { modelOf } from "../support/execute.js";
import { sharedFolder } from "../support/fixtures.js";

const folder = sharedFolder("fixtures");

/** A graph from images [2, 3, 4, 4] to what `body` makes of them; `store` adds an initializer, `constant` a Constant node. */
function graphOf(
  body: (
    b: Builder,
    x: string,
    store: (name: string, dims: readonly number[], value?: number) => string,
    constant: (name: string, dims: readonly number[]) => string,
  ) => string,
) {
  const b = new Builder(emptyGraph("hand-made"));
  const values = (dims: readonly number[], value: number) =>
    tensorFrom("float32", dims, new Float32Array(sizeOf(dims)).fill(value));
  const x = b.input("x", "float32", [2, 3, 4, 4]);
  const store = (name: string, dims: readonly number[], value = 0.5): string =>
    b.initializer(name, values(dims, value));
  const constant = (name: string, dims: readonly number[]): string =>
    b.op("Constant", [], { value: tensorAttribute(values(dims, 0.5)) }, name);
  b.output(body(b, x, store, constant));
  return b.graph;
}

const conv = (b: Builder, x: string, weight: string, ...bias: string[]): string =>
  b.op("Conv", [x, weight, ...bias], { kernel_shape: ints([1, 1]) });

describe("trainable", () => {
  test("takes weights, biases, scales and slopes, of one number too", () => {
    const graph = graphOf((b, x, store) => {
      const convolved = conv(b, x, store("w", [1, 3, 1, 1]), store("b", [1]));
      const bent = b.op("PRelu", [convolved, store("slope", [1, 1, 1])]);
      const normal = b.op("InstanceNormalization", [bent, store("scale", [1]), store("shift", [1])]);
      const flat = b.op("Flatten", [normal]);
      return b.add(b.op("MatMul", [flat, store("m", [16, 1])]), store("c", [1]));
    });
    expect(trainable(graph)).toEqual(["w", "b", "slope", "scale", "shift", "m", "c"]);
    expect(storedTensors(graph).fixed).toEqual([]);
  });

  test("leaves the normalisation of the input alone, also where its channels are taken apart", () => {
    const graph = graphOf((b, x, store) => {
      const taken = b.op("Gather", [x, b.vector([2, 1, 0])], { axis: int(1) });
      const shifted = b.sub(taken, store("mean", [1, 3, 1, 1]));
      const scaled = b.div(shifted, store("std", [1, 3, 1, 1]));
      const convolved = conv(b, scaled, store("w", [4, 3, 1, 1]));
      return b.mul(convolved, store("gain", [1, 4, 1, 1]));
    });
    expect(trainable(graph)).toEqual(["w", "gain"]);
    expect(storedTensors(graph).fixed).toEqual([
      { name: "mean", reason: "shifts or scales the input" },
      { name: "std", reason: "shifts or scales the input" },
    ]);
  });

  test("takes the scale of a normalisation that is written out, and not its epsilon and exponent", () => {
    const graph = graphOf((b, x, store) => {
      const centred = b.sub(x, b.op("ReduceMean", [x, b.vector([-1])]));
      const squares = b.op("Pow", [centred, store("two", [1], 2)]);
      const variance = b.op("ReduceMean", [squares, b.vector([-1])]);
      const deviation = b.op("Sqrt", [b.add(variance, store("epsilon", [1]))]);
      return b.add(b.mul(b.div(centred, deviation), store("scale", [4])), store("shift", [4]));
    });
    expect(trainable(graph)).toEqual(["scale", "shift"]);
    expect(storedTensors(graph).fixed).toEqual([
      { name: "two", reason: "bound, exponent or size of a formula" },
      { name: "epsilon", reason: "single number" },
    ]);
  });

  test("takes position tables, and class tokens that are expanded to the batch", () => {
    const graph = graphOf((b, x, store) => {
      const patches = b.op("Reshape", [conv(b, x, store("w", [4, 3, 1, 1])), b.vector([0, 4, 16])]);
      const tokens = b.transpose(patches, [0, 2, 1]);
      const batch = b.op("Shape", [tokens], { start: int(0), end: int(1) });
      const shape = b.op("Concat", [batch, b.vector([1, 4])], { axis: int(0) });
      const token = b.op("Expand", [store("token", [1, 1, 4]), shape]);
      const all = b.op("Concat", [token, tokens], { axis: int(1) });
      const placed = b.op("Gather", [
        store("table", [40, 4]),
        b.vector(Array.from({ length: 17 }, (_, i) => i)),
      ]);
      return b.add(b.reshape(all, [2, 17, 4]), placed);
    });
    expect(trainable(graph)).toEqual(["w", "token", "table"]);
  });

  test("takes single numbers that are named like a module's parameter, as a factor or summand alone", () => {
    const graph = graphOf((b, x, store) => {
      const convolved = conv(b, x, store("w", [4, 3, 1, 1]));
      const gated = b.mul(convolved, store("blocks.0.gate", [1], 0));
      const scaled = b.div(gated, store("/attn/Sqrt_output_0", [1]));
      return b.op("Pow", [b.op("Abs", [scaled]), store("pool.p", [1], 2.5)]);
    });
    expect(trainable(graph)).toEqual(["w", "blocks.0.gate"]);
    expect(storedTensors(graph).fixed.map(({ name }) => name)).toEqual(["/attn/Sqrt_output_0", "pool.p"]);
  });

  test("takes slopes and powers that were learnt, and no bounds", () => {
    const graph = graphOf((b, x, store) => {
      const bounded = b.op("Clip", [
        conv(b, x, store("w", [3, 3, 1, 1])),
        store("least", [], -1),
        store("most", [], 1),
      ]);
      const least = b.op("Max", [bounded, store("floor", [3, 1, 1])]);
      const squared = b.op("Pow", [least, store("squares", [3, 1, 1], 2)]);
      return b.op("Pow", [squared, store("power", [3, 1, 1], 1.7)]);
    });
    expect(trainable(graph)).toEqual(["w", "power"]);
  });

  test("leaves what Constant nodes make alone, before and after an export", () => {
    const graph = graphOf((b, x, store, constant) => {
      const convolved = conv(b, x, constant("filters", [4, 3, 1, 1]));
      const doubled = b.add(constant("12", [4, 1, 1]), constant("13", [1]));
      const shifted = b.add(b.op("Relu", [convolved]), doubled);
      const learnt = b.mul(store("factor", [4, 1, 1]), constant("/Constant_1_output_0", [1]));
      const table = b.mul(shifted, learnt);
      const pooled = b.op("Flatten", [b.op("GlobalAveragePool", [table])]);
      return b.add(b.op("MatMul", [pooled, constant("m", [4, 3])]), constant("bias", [3]));
    });
    const imported = importModel(modelOf(graph));
    const expected = ["filters", "m", "bias", "factor/Mul"];
    const { parameters, fixed } = storedTensors(imported.graph);
    expect([...parameters].sort()).toEqual([...expected].sort());
    expect(fixed).toEqual([{ name: "12/Add/Constant", reason: "made by a Constant node" }]);
    expect(storedTensors(importModel(imported).graph)).toEqual({ parameters, fixed });
  });

  test("leaves running statistics out, and what nothing uses", () => {
    const graph = graphOf((b, x, store) => {
      store("unused", [3]);
      const [scale, bias, mean, variance] = ["s", "t", "m", "v"].map((name) => store(name, [3]));
      return b.op("BatchNormalization", [x, scale, bias, mean, variance]);
    });
    expect(trainable(graph)).toEqual(["s", "t"]);
    expect(storedTensors(graph).fixed.map(({ name }) => name)).toEqual(["unused"]);
  });
});

describe.skipIf(folder === undefined)("trainable, of exported classifiers", () => {
  // Parameters as PyTorch counts them; those of the folded network without its batch normalisation.
  test.each([
    ["lenet5-mnist", 431_080, 0],
    ["resnet20-cifar10", 272_474, 0],
    ["resnet20-cifar10-folded", 271_690, 0],
    ["tiny-attention-random", 10_986, 8],
  ])("finds the parameters of %s", async (name, count, constants) => {
    const { graph } = importModel(await loadModel(`${folder ?? ""}/${name}.onnx`));
    const { parameters, fixed } = storedTensors(graph);
    expect(parameters.reduce((sum, each) => sum + (graph.initializers.get(each)?.size ?? 0), 0)).toBe(count);
    expect(fixed).toHaveLength(constants);
  });
});
