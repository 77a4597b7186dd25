/** What import makes of models besides old operators: batches, layouts, endings, and what it refuses. */

import { describe, expect, test } from "vitest";
import { importModel } from "../../src/import/import.js";
import { Builder } from "../../src/onnx/builder.js";
import { evaluateGraph } from "../../src/onnx/evaluate.js";
import { emptyGraph, int, ints, type Model, type Node } from "../../src/onnx/model.js";
import { tensorFrom } from "../../src/onnx/tensor.js";
import { layerName } from "../../src/layers/layer-name.js";
import { classifierOf } from "../../src/task/classifier.js";
import { obstaclesIn } from "../../src/step/trainability.js";
import { train } from "../../src/run/train.js";
import { modelOf } from "../support/execute.js";
import { tinyData, tinyModel } from "../support/tiny.js";
import { largestDifference, runModel, uniform } from "./support.js";

const node = (
  op: string,
  inputs: string[],
  outputs: string[],
  attributes: Node["attributes"] = new Map(),
): Node => {
  return { op, domain: "", name: "", inputs, outputs, attributes };
};

/** x [batch, 2, 3] reshaped as PyTorch does it: Shape, Gather, Unsqueeze and Concat before the Reshape. */
function shapeSubgraph(batch: string | number): Model {
  const graph = emptyGraph("view");
  graph.inputs.push({ name: "x", type: { dtype: "float32", shape: [batch, 2, 3] } });
  graph.outputs.push({ name: "y", type: { dtype: "float32", shape: undefined } });
  graph.initializers.set("zero", tensorFrom("int64", [], [0]));
  graph.initializers.set("first", tensorFrom("int64", [1], [0]));
  graph.initializers.set("rest", tensorFrom("int64", [2], [3, 2]));
  graph.nodes.push(
    node("Shape", ["x"], ["shape"]),
    node("Gather", ["shape", "zero"], ["size"]),
    node("Unsqueeze", ["size", "first"], ["size1"]),
    node("Concat", ["size1", "rest"], ["target"], new Map([["axis", int(0)]])),
    node("Reshape", ["x", "target"], ["y"]),
  );
  return modelOf(graph);
}

/** The tiny model with something behind its logits. */
function ending(op: "Softmax" | "LogSoftmax"): Model {
  const model = tinyModel();
  const [{ name, type }] = model.graph.outputs;
  model.graph.nodes.push(node(op, [name], ["scores"], new Map([["axis", int(-1)]])));
  model.graph.outputs = [{ name: "scores", type }];
  return model;
}

/** The tiny model as TensorFlow would have it: images with their channels last. */
function channelsLast(): Model {
  const model = tinyModel();
  const [{ name }] = model.graph.inputs;
  const turn = node("Transpose", ["images"], [name], new Map([["perm", ints([0, 3, 1, 2])]]));
  model.graph.inputs = [{ name: "images", type: { dtype: "float32", shape: ["batch", 8, 8, 1] } }];
  model.graph.nodes.unshift(turn);
  return model;
}

describe("batches", () => {
  test("a shape subgraph becomes a constant that takes any batch", async () => {
    const model = shapeSubgraph("batch");
    const imported = importModel(model);
    expect(imported.graph.nodes.map(({ op }) => op)).toEqual(["Reshape"]);
    const [{ inputs }] = imported.graph.nodes;
    expect(imported.graph.initializers.get(inputs[1])?.numbers()).toEqual([0, 3, 2]);
    for (const batch of [1, 5]) {
      const x = uniform([batch, 2, 3], batch);
      const [before, after] = await Promise.all([runModel(model, x), runModel(imported, x)]);
      expect(largestDifference(before.get("y"), after.get("y"))).toBe(0);
    }
  });

  test("a fixed batch is opened, and left where something depends on it", async () => {
    const opened = importModel(shapeSubgraph(1));
    expect(opened.graph.inputs[0].type?.shape).toEqual(["batch", 2, 3]);
    expect(opened.graph.outputs[0].type?.shape).toEqual(["batch", 3, 2]);
    expect((await runModel(opened, uniform([4, 2, 3], 1))).get("y")?.dims).toEqual([4, 3, 2]);
    const mixing = shapeSubgraph(2);
    mixing.graph.initializers.set("rest", tensorFrom("int64", [2], [6, 2]));
    mixing.graph.nodes.splice(0, 5, node("Reshape", ["x", "rest"], ["y"]));
    expect(importModel(mixing).graph.inputs[0].type?.shape).toEqual([2, 2, 3]);
  });
});

describe("pools", () => {
  test("of which ceil_mode leaves out a last window are as large as onnxruntime infers them to be", async () => {
    const b = new Builder(emptyGraph("ceil"));
    b.input("x", "float32", [2, 1, 5, 5]);
    const [kernel, pads] = [ints([2, 2]), ints([1, 1, 1, 1])];
    const pooled = b.op("MaxPool", ["x"], { kernel_shape: kernel, strides: kernel, pads, ceil_mode: int(1) });
    const flat = b.op("Flatten", [pooled], { axis: int(1) });
    b.output(b.op("Gemm", [flat, b.initializer("w", uniform([9, 4], 1))], {}, "y"));
    b.graph.valueTypes.clear();
    const model = modelOf(b.graph);
    const x = uniform([2, 1, 5, 5], 2);
    await expect(runModel(model, x)).rejects.toThrow(/mismatch/);
    const expected = evaluateGraph(model.graph, new Map([["x", x]])).get("y");
    const actual = (await runModel(importModel(model), x)).get("y");
    expect(largestDifference(actual, expected)).toBeLessThan(1e-6);
  });
});

describe("classifiers", () => {
  test.each(["Softmax", "LogSoftmax"] as const)(
    "train on the logits before a last %s, and keep it",
    async (op) => {
      const options = { data: tinyData(), epochs: 2, batch: 16, threads: 1 };
      const plain = await train({ ...options, model: tinyModel() });
      const run = await train({ ...options, model: ending(op) });
      expect(run.report.result).toEqual(plain.report.result);
      expect(run.model.graph.nodes.at(-1)?.op).toBe(op);
      expect(run.model.graph.outputs[0].name).toBe("scores");
    },
  );

  test("that take channels last train as others do, and keep their input", async () => {
    const options = { data: tinyData(), epochs: 2, batch: 16, threads: 1 };
    const big = channelsLast();
    expect(classifierOf(big).dims).toEqual([1, 8, 8]);
    const plain = await train({ ...options, model: tinyModel() });
    const run = await train({ ...options, model: big });
    expect(run.report.result.test.accuracy).toBeCloseTo(plain.report.result.test.accuracy, 6);
    expect(run.model.graph.inputs[0].type?.shape).toEqual(["batch", 8, 8, 1]);
  });

  test("are refused by rank, number of outputs, and weights that are no numbers", async () => {
    const deep = tinyModel();
    deep.graph.outputs[0].type = { dtype: "float32", shape: ["batch", 3, 1, 1] };
    expect(() => classifierOf(deep)).toThrow(
      /one output of logits \[batch, classes\], got one "fc" \[batch, 3, 1, 1\]/,
    );
    const two = tinyModel();
    two.graph.outputs.push({ name: "pool", type: undefined });
    expect(() => classifierOf(two)).toThrow(/got 2: "fc" .*, "pool"/);
    const broken = tinyModel();
    const weight = broken.graph.initializers.get("conv.weight")?.numbers() ?? [];
    weight[1] = NaN;
    weight[5] = -Infinity;
    broken.graph.initializers.set("conv.weight", tensorFrom("float32", [4, 1, 3, 3], weight));
    await expect(train({ model: broken, data: tinyData() })).rejects.toThrow(
      /found NaN or infinity in "conv.weight" \(2 of 36\)/,
    );
  });

  test("name every node that no gradient passes, and none beside the way", () => {
    const b = new Builder(emptyGraph("mod"));
    const x = b.input("x", "float32", [2, 3]);
    const two = b.initializer("two", tensorFrom("float32", [], [2]));
    const harmless = b.op("Mod", [x, two], { fmod: int(1) }, "harmless");
    const weighted = b.mul(harmless, b.initializer("w", tensorFrom("float32", [3], [1, 2, 3])), "weighted");
    b.output(b.op("Mod", [weighted, two], { fmod: int(1) }, "y"));
    expect(obstaclesIn(b.graph, ["w"]).map((found) => found.node.name)).toEqual(["y"]);
  });
});

describe("refused", () => {
  const refusal = (change: (model: Model) => void): string => {
    const model = tinyModel();
    change(model);
    try {
      importModel(model);
    } catch (error) {
      return (error as Error).message;
    }
    throw new Error("nothing was thrown");
  };

  test("other operator sets", () => {
    for (const opset of [8, 22]) {
      const message = refusal(({ opsets }) => opsets.set("", opset));
      expect(message).toBe(
        `model "tiny": kofn imports operator sets (ai.onnx) 9 to 21, but the model has ${opset}; export it with opset_version=21`,
      );
    }
  });

  test("operators that kofn does not know, all of them, and quantized weights", () => {
    const message = refusal(({ graph }) => {
      graph.nodes.push(
        { ...node("GridSample", ["input"], ["a"]), name: "warp" },
        node("NonZero", ["input"], ["b"]),
      );
      graph.nodes.push({ ...node("DequantizeLinear", ["fc.weight", "s"], ["c"]), name: "dequantize" });
    });
    expect(message).toContain("kofn can't import 3 nodes:");
    expect(message).toContain('node "warp" (GridSample): kofn does not know this operator;');
    expect(message).toContain('the node that makes "b" (NonZero)');
    expect(message).toContain(
      'node "dequantize" (DequantizeLinear): its numbers ("fc.weight") are quantized',
    );
  });

  test("weights of float16", () => {
    const message = refusal(({ graph }) => {
      const halves = new Uint8Array(2 * 3);
      graph.initializers.set(
        "fc.bias",
        Object.assign(tensorFrom("uint16", [3], [0, 0, 0]), { dtype: "float16", bytes: halves }),
      );
    });
    expect(message).toContain(
      'kofn trains weights of type float32, but "fc.bias" is float16; export the model in float32',
    );
  });
});

test("layers are called after modules, however the model was exported", () => {
  expect(
    [
      ["/layer1/layer1.0/conv1/Conv", "onnx::Conv_203"],
      ["Conv_12", "layer1.0.conv1.weight"],
      ["", "layer1.0.conv1.weight"],
      ["node_conv2d_3", "layer1.0.conv1.weight"],
      ["resnet_conv0_fwd", "resnet_conv0_weight"],
      ["StatefulPartitionedCall/model/conv1/Conv2D", "const_fold_opt__12"],
      ["/fc/MatMul", "onnx::MatMul_9"],
      ["fc1", "fc1.weight"],
      ["", "W"],
    ].map(([name, weight]) => layerName(name, weight)),
  ).toEqual([
    "layer1.0.conv1",
    "layer1.0.conv1",
    "layer1.0.conv1",
    "layer1.0.conv1",
    "resnet_conv0_fwd",
    "model.conv1",
    "fc",
    "fc1",
    "W",
  ]);
});
