/** Compiling a training step: what it reads and writes, which parameters decay, and models that other tools export. */

import { describe, expect, test } from "vitest";
import { InputError } from "../../src/errors.js";
import { Builder } from "../../src/onnx/builder.js";
import { evaluateGraph } from "../../src/onnx/evaluate.js";
import { type Attribute, emptyGraph, float, int, type Model } from "../../src/onnx/model.js";
import { sizeOf, type Tensor, tensorFrom } from "../../src/onnx/tensor.js";
import { optimizerOf } from "../../src/optim/optimizer.js";
import type { OptimizerOptions } from "../../src/optim/options.js";
import type { BatchNormMode } from "../../src/options/types.js";
import { type CompiledStep, compileStep } from "../../src/step/graph.js";
import { modelOf } from "../support/execute.js";
import { tinyModel } from "../support/tiny.js";

const BATCH = 2;

function dense(
  model: Model,
  optimizer: OptimizerOptions = { kind: "sgd", lr: 0.1 },
  batchNorm?: BatchNormMode,
): CompiledStep {
  return compileStep(model, {
    batch: BATCH,
    layers: [],
    weights: optimizerOf(optimizer),
    sampling: "host",
    ...(batchNorm === undefined ? {} : { batchNorm }),
  });
}

const ramp = (dims: readonly number[]): Tensor =>
  tensorFrom(
    "float32",
    dims,
    Float32Array.from({ length: sizeOf(dims) }, (_, i) => ((i * 7) % 11) / 11 - 0.5),
  );

/** The values that a step without states writes, under the names of its outputs. */
function stepped(
  step: CompiledStep,
  model: Model,
  scalars: Readonly<Record<string, number>>,
): Map<string, Tensor> {
  const feeds = new Map<string, Tensor>([
    [step.images.name, ramp(step.images.dims)],
    [step.labels.name, tensorFrom("int64", step.labels.dims, [0, 1])],
  ]);
  for (const { name } of step.tensors) {
    const value = model.graph.initializers.get(name);
    if (value !== undefined) feeds.set(name, value);
  }
  for (const name of step.scalars) feeds.set(name, tensorFrom("float32", [], [scalars[name]]));
  return evaluateGraph(step.model.graph, feeds);
}

/** A dense layer after whatever `before` makes of the images [2, 1, 2, 2]. */
function denseModel(before: (b: Builder) => string): Model {
  const graph = emptyGraph("exported");
  const type = { dtype: "float32", shape: ["batch", 1, 2, 2] } as const;
  graph.inputs.push({ name: "x", type });
  const b = new Builder(graph);
  const flat = before(b);
  const parameters = [b.initializer("w", ramp([3, 4])), b.initializer("bias", ramp([3]))];
  b.push({
    op: "Gemm",
    domain: "",
    name: "fc",
    inputs: [flat, ...parameters],
    outputs: ["y"],
    attributes: new Map([["transB", int(1)]]),
  });
  graph.outputs.push({ name: "y", type: { dtype: "float32", shape: ["batch", 3] } });
  return modelOf(graph);
}

const STATISTICS: Readonly<Record<string, readonly number[]>> = {
  mean: [0.5, -1],
  var: [2, 3],
  scale: [1.5, 0.5],
  shift: [0.25, -0.5],
};

/** Images [2, 1, 2, 2], seen as [2, 2, 2], through batch normalisation (`twice`: two that share their statistics). */
function normalisedModel({ twice = false, momentum = 0.75 } = {}): Model {
  return denseModel((b) => {
    const parameters = ["scale", "shift", "mean", "var"].map((name) =>
      b.initializer(name, tensorFrom("float32", [2], STATISTICS[name])),
    );
    const normalise = (value: string): string =>
      b.op("BatchNormalization", [value, ...parameters], { momentum: float(momentum) });
    const once = normalise(b.reshape("x", [-1, 2, 2]));
    return b.op("Flatten", [twice ? normalise(once) : once]);
  });
}

/** Mean and biased variance of each of the channels of [2, 2, 2]. */
function momentsOf(values: readonly number[]): { mean: number[]; variance: number[] } {
  const channels = [0, 1].map((c) => values.filter((_, i) => Math.floor(i / 2) % 2 === c));
  const mean = channels.map((all) => all.reduce((sum, x) => sum + x, 0) / all.length);
  const variance = channels.map((all, c) => all.reduce((sum, x) => sum + (x - mean[c]) ** 2, 0) / all.length);
  return { mean, variance };
}

describe("batch normalisation in a step", () => {
  const model = normalisedModel();
  const updatedBy = (step: CompiledStep, of = model): Map<string, number[]> => {
    const values = stepped(step, of, { "weights/rate": 0 });
    return new Map(step.tensors.map(({ name, updated }) => [name, values.get(updated)?.numbers() ?? []]));
  };

  test("moves the running statistics by those of the batch", () => {
    const { mean, variance } = momentsOf(ramp([2, 1, 2, 2]).numbers());
    const updated = updatedBy(dense(model));
    [mean, variance].forEach((batch, i) => {
      const name = ["mean", "var"][i];
      batch.forEach((value, c) => {
        expect(updated.get(name)?.[c]).toBeCloseTo(0.75 * STATISTICS[name][c] + 0.25 * value, 6);
      });
    });
    expect(updated.get("scale")).toEqual(STATISTICS.scale);
  });

  test("moves statistics that two nodes share twice", () => {
    const shared = normalisedModel({ twice: true });
    const { mean } = momentsOf(ramp([2, 1, 2, 2]).numbers());
    mean.forEach((first, c) => {
      // The second node sees channels of mean `shift`.
      const expected = 0.75 * (0.75 * STATISTICS.mean[c] + 0.25 * first) + 0.25 * STATISTICS.shift[c];
      expect(updatedBy(dense(shared), shared).get("mean")?.[c]).toBeCloseTo(expected, 6);
    });
  });

  test("leaves frozen statistics out, and normalises by them", () => {
    const frozen = dense(model, undefined, "frozen");
    expect(frozen.tensors.map(({ name }) => name)).toEqual(["scale", "shift", "w", "bias"]);
    const lossOf = (step: CompiledStep): number | undefined =>
      stepped(step, model, { "weights/rate": 0 }).get("loss")?.numbers()[0];
    const logits =
      evaluateGraph(model.graph, new Map([["x", ramp([2, 1, 2, 2])]]), ["y"])
        .get("y")
        ?.numbers() ?? [];
    const losses = [0, 1].map((label, i) => {
      const row = logits.slice(3 * i, 3 * i + 3);
      return Math.log(row.reduce((sum, z) => sum + Math.exp(z), 0)) - row[label];
    });
    expect(lossOf(frozen)).toBeCloseTo((losses[0] + losses[1]) / 2, 5);
    expect(lossOf(dense(model))).not.toBeCloseTo((losses[0] + losses[1]) / 2, 3);
  });

  test("refuses statistics that the model computes", () => {
    const computed = denseModel((b) => {
      const [scale, shift, variance] = ["scale", "shift", "var"].map((name) =>
        b.initializer(name, tensorFrom("float32", [2], STATISTICS[name])),
      );
      const images = b.reshape("x", [-1, 2, 2]);
      const mean = b.op("ReduceMean", [images, b.vector([0, 2])], { keepdims: int(0) }, "computed");
      return b.op("Flatten", [b.op("BatchNormalization", [images, scale, shift, mean, variance], {}, "bn")]);
    });
    expect(() => dense(computed)).toThrow(
      /node "bn" .*"computed" is no tensor that is stored.*--batch-norm frozen/,
    );
    expect(() => dense(computed, undefined, "frozen")).not.toThrow();
  });
});

describe("compileStep", () => {
  test("writes every parameter and state, the loss, and how many answers were right", () => {
    const step = dense(tinyModel(), { kind: "sgd", lr: 0.1, momentum: 0.9 });
    expect(step.images.dims).toEqual([BATCH, 1, 8, 8]);
    expect(step.tensors.map(({ name, dims }) => [name, dims])).toEqual([
      ["conv.weight", [4, 1, 3, 3]],
      ["conv.weight/velocity", [4, 1, 3, 3]],
      ["conv.bias", [4]],
      ["conv.bias/velocity", [4]],
      ["fc.weight", [3, 36]],
      ["fc.weight/velocity", [3, 36]],
      ["fc.bias", [3]],
      ["fc.bias/velocity", [3]],
    ]);
    expect(step.scalars).toEqual(["weights/rate"]);
    const outputs = step.model.graph.outputs.map(({ name }) => name);
    expect(outputs).toEqual([...step.tensors.map(({ updated }) => updated), "loss", "correct"]);
    expect(step.model.graph.nodes.every(({ domain }) => domain === "")).toBe(true);
    expect(step.model.graph.initializers.has("fc.weight")).toBe(false);
  });

  test("lets weights decay, and leaves biases alone", () => {
    const model = tinyModel();
    const step = dense(model, { kind: "sgd", lr: 0.1, weightDecay: 0.1 });
    const values = stepped(step, model, { "weights/rate": 0, "weights/decay": 0.5 });
    for (const { name, updated } of step.tensors) {
      const factor = name.endsWith("bias") ? 1 : 0.5;
      const before = model.graph.initializers.get(name)?.numbers() ?? [];
      expect(values.get(updated)?.numbers()).toEqual(before.map((value) => Math.fround(factor * value)));
    }
  });

  test("takes the names of values of the model for its own nowhere", () => {
    const plain = denseModel((b) => b.op("Flatten", ["x"], {}, "flat"));
    const expected = [...stepped(dense(plain), plain, { "weights/rate": 0.1 }).values()];
    for (const name of ["images", "labels", "loss", "correct", "cross_entropy", "w/new"]) {
      const model = denseModel((b) => b.op("Flatten", ["x"], {}, name));
      const step = dense(model);
      expect(step.model.graph.outputs.map(({ name }) => name)).toContain("loss");
      expect([...stepped(step, model, { "weights/rate": 0.1 }).values()], name).toEqual(expected);
    }
  });

  test("knows the shapes that a model computes", () => {
    const plain = denseModel((b) => b.op("Flatten", ["x"]));
    const model = denseModel((b) => {
      const first = b.op("Gather", [b.op("Shape", ["x"]), b.constant("int64", [], [0])]);
      const batch = b.op("Unsqueeze", [first, b.vector([0])]);
      return b.op("Reshape", ["x", b.op("Concat", [batch, b.vector([-1])], { axis: int(0) })]);
    });
    const byNode = denseModel((b) => {
      const shape: Attribute = { kind: "tensor", value: tensorFrom("int64", [2], [-1, 4]) };
      const target = { op: "Constant", domain: "", name: "", inputs: [], outputs: ["target"] };
      b.push({ ...target, attributes: new Map([["value", shape]]) });
      return b.op("Reshape", ["x", "target"]);
    });
    const expected = stepped(dense(plain), plain, { "weights/rate": 0.1 });
    for (const one of [model, byNode]) {
      expect(stepped(dense(one), one, { "weights/rate": 0.1 })).toEqual(expected);
    }
  });

  test("refuses a model with a parameter that its output does not depend on", () => {
    const model = tinyModel();
    const b = new Builder(model.graph);
    b.op("PRelu", ["fc", b.initializer("slope", ramp([3]))]);
    expect(() => dense(model)).toThrow(
      new InputError('the model\'s output does not depend on its parameter "slope"'),
    );
  });

  test("refuses a model that is no classifier of images", () => {
    const two = tinyModel();
    two.graph.inputs.push({ name: "other", type: { dtype: "float32", shape: [1] } });
    expect(() => dense(two)).toThrow(
      new InputError(
        'model "tiny": expected one image input [batch, channels, height, width] of known size, ' +
          'got 2: "input" [batch, 1, 8, 8], "other" [1]',
      ),
    );
    const open = tinyModel();
    open.graph.inputs[0].type = { dtype: "float32", shape: ["batch", 1, "height", 8] };
    expect(() => dense(open)).toThrow(/got "input" \[batch, 1, height, 8\]; export it with fixed/);
  });
});
