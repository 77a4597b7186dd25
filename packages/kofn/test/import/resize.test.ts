/** Resize as exporters write it: sizes computed from shapes, any batch, channels that pass through, and no parameters. */

import { describe, expect, test } from "vitest";
import { importModel } from "../../src/import/import.js";
import { Builder } from "../../src/onnx/builder.js";
import { emptyGraph, getInts, int, ints, type Model, string } from "../../src/onnx/model.js";
import { tensorFrom } from "../../src/onnx/tensor.js";
import { removeDeadChannels } from "../../src/prune/structure/remove.js";
import { storedTensors, trainable } from "../../src/step/parameters.js";
import { modelOf } from "../support/execute.js";
import { largestDifference, runModel, uniform } from "./support.js";

/** conv 4@3x3, resized by what `resize` appends, conv 2@1x1, mean of each map. */
function resized(batch: string | number, resize: (b: Builder, maps: string) => string): Model {
  const b = new Builder(emptyGraph("resized"));
  const type = { dtype: "float32", shape: [batch, 3, 6, 6] } as const;
  b.graph.inputs.push({ name: "x", type });
  b.graph.valueTypes.set("x", type);
  const weight = (name: string, dims: readonly number[]): string =>
    b.initializer(name, uniform(dims, dims[0]));
  const maps = b.op("Conv", ["x", weight("first", [4, 3, 3, 3])], { kernel_shape: ints([3, 3]) }, "maps");
  const convolved = b.op("Conv", [resize(b, maps), weight("second", [2, 4, 1, 1])], {
    kernel_shape: ints([1, 1]),
  });
  b.output(b.op("Flatten", [b.op("GlobalAveragePool", [b.op("Relu", [convolved])])], {}, "y"));
  return modelOf(b.graph);
}

/** As PyTorch writes `interpolate(x, size=(7, 9))`: batch and channels are read from the shape. */
function toSizes(b: Builder, maps: string): string {
  const kept = b.op("Slice", [b.op("Shape", [maps]), b.vector([0]), b.vector([2]), b.vector([0])]);
  const sizes = b.op("Concat", [kept, b.vector([7, 9])], { axis: int(0) });
  return b.op("Resize", [maps, "", "", sizes], { mode: string("linear") }, "wide");
}

function byScales(b: Builder, maps: string): string {
  const scales = b.initializer("scales", tensorFrom("float32", [4], [1, 1, 2, 1.5]));
  return b.op("Resize", [maps, "", scales], {}, "wide");
}

describe("Resize", () => {
  test.each(["batch", 1])("takes any batch where its sizes follow from shapes (batch %s)", async (batch) => {
    const model = resized(batch, toSizes);
    const imported = importModel(model);
    const node = imported.graph.nodes.find(({ op }) => op === "Resize");
    expect(node && getInts(node, "axes")).toEqual([2, 3]);
    expect(imported.graph.nodes.some(({ op }) => op === "Shape" || op === "Concat")).toBe(false);
    const one = uniform([1, 3, 6, 6], 1);
    const three = tensorFrom(
      "float32",
      [3, 3, 6, 6],
      [0, 1, 2].flatMap(() => one.numbers()),
    );
    const expected = (await runModel(model, one)).get("y")?.numbers() ?? [];
    const found = (await runModel(imported, three)).get("y");
    const repeated = tensorFrom(
      "float32",
      [3, 2],
      [0, 1, 2].flatMap(() => expected),
    );
    expect(largestDifference(found, repeated)).toBeLessThan(1e-6);
  });

  test("has scales that are no parameters", () => {
    const { graph } = importModel(resized("batch", byScales));
    expect(trainable(graph)).toEqual(["first", "second"]);
    const [scales] = storedTensors(graph).fixed;
    expect(graph.initializers.get(scales.name)?.numbers()).toEqual([2, 1.5]);
  });

  test("passes channels on, so that maps are removed through it", async () => {
    const model = importModel(resized("batch", byScales));
    model.graph.initializers.set(
      "first",
      tensorFrom("float32", [4, 3, 3, 3], dead(uniform([4, 3, 3, 3], 1).numbers())),
    );
    const smaller = removeDeadChannels(model);
    expect(smaller.graph.initializers.get("first")?.dims).toEqual([3, 3, 3, 3]);
    expect(smaller.graph.initializers.get("second")?.dims).toEqual([2, 3, 1, 1]);
    const x = uniform([2, 3, 6, 6], 4);
    const [before, after] = await Promise.all([runModel(model, x), runModel(smaller, x)]);
    expect(largestDifference(after.get("y"), before.get("y"))).toBeLessThan(1e-5);
  });

  test.each([
    ["cubic", { mode: string("cubic") }, 'mode "cubic" is not among nearest, linear'],
    ["antialias", { mode: string("linear"), antialias: int(1) }, "antialias is not supported"],
  ])("is refused by name: %s", (_, attributes, message) => {
    const model = resized("batch", byScales);
    for (const node of model.graph.nodes) {
      if (node.op === "Resize") node.attributes = new Map(Object.entries(attributes));
    }
    expect(() => importModel(model)).toThrow(`node "wide" (Resize): ${message}`);
  });
});

/** The filters of four maps, those of the third 0. */
function dead(values: number[]): number[] {
  return values.map((value, i) => (Math.floor(i / 27) === 2 ? 0 : value));
}
