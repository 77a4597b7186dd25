/** Compiling a training step: what it reads and writes, which parameters decay, and models that other tools export. */

import { describe, expect, it } from "vitest";
import { InputError } from "../../src/errors.js";
import { Builder } from "../../src/onnx/builder.js";
import { evaluateGraph } from "../../src/onnx/evaluate.js";
import { type Attribute, emptyGraph, int, type Model } from "../../src/onnx/model.js";
import { sizeOf, type Tensor, tensorFrom } from "../../src/onnx/tensor.js";
import { optimizerOf } from "../../src/optim/optimizer.js";
import { compileStep, type Step } from "../../src/train/compile.js";
import type { OptimizerOptions } from "../../src/train/types.js";
import { modelOf } from "../support/execute.js";
import { tinyModel } from "../support/tiny.js";

const BATCH = 2;

function dense(model: Model, optimizer: OptimizerOptions = { kind: "sgd", lr: 0.1 }): Step {
  const [weights, logits] = [optimizerOf(optimizer), optimizerOf({ kind: "sgd", lr: 0.1 })];
  return compileStep(model, { batch: BATCH, layers: [], k: [], weights, logits, entropy: 0 });
}

const ramp = (dims: readonly number[]): Tensor =>
  tensorFrom(
    "float32",
    dims,
    Float32Array.from({ length: sizeOf(dims) }, (_, i) => ((i * 7) % 11) / 11 - 0.5),
  );

/** The values that a step without states writes, under the names of its outputs. */
function stepped(step: Step, model: Model, scalars: Readonly<Record<string, number>>): Map<string, Tensor> {
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

describe("compileStep", () => {
  it("writes every parameter and state, the loss, and how many answers were right", () => {
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

  it("lets weights decay, and leaves biases alone", () => {
    const model = tinyModel();
    const step = dense(model, { kind: "sgd", lr: 0.1, weightDecay: 0.1 });
    const values = stepped(step, model, { "weights/rate": 0, "weights/decay": 0.5 });
    for (const { name, updated } of step.tensors) {
      const factor = name.endsWith("bias") ? 1 : 0.5;
      const before = model.graph.initializers.get(name)?.numbers() ?? [];
      expect(values.get(updated)?.numbers()).toEqual(before.map((value) => Math.fround(factor * value)));
    }
  });

  it("takes the names of values of the model for its own nowhere", () => {
    const plain = denseModel((b) => b.op("Flatten", ["x"], {}, "flat"));
    const expected = [...stepped(dense(plain), plain, { "weights/rate": 0.1 }).values()];
    for (const name of ["images", "labels", "loss", "correct", "cross_entropy", "w/new"]) {
      const model = denseModel((b) => b.op("Flatten", ["x"], {}, name));
      const step = dense(model);
      expect(step.model.graph.outputs.map(({ name }) => name)).toContain("loss");
      expect([...stepped(step, model, { "weights/rate": 0.1 }).values()], name).toEqual(expected);
    }
  });

  it("knows the shapes that a model computes", () => {
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

  it("refuses a model with a parameter that its output does not depend on", () => {
    const model = tinyModel();
    model.graph.initializers.set("unused", ramp([3]));
    expect(() => dense(model)).toThrow(
      new InputError('the model\'s output does not depend on its parameter "unused"'),
    );
  });

  it("refuses a model that is no classifier of images", () => {
    const two = tinyModel();
    two.graph.inputs.push({ name: "other", type: { dtype: "float32", shape: [1] } });
    expect(() => dense(two)).toThrow(
      new InputError(
        'model "tiny": expected one image input with known size and one output of logits, ' +
          "got inputs input [batch, 1, 8, 8], other [1] and 1 outputs",
      ),
    );
    const open = tinyModel();
    open.graph.inputs[0].type = { dtype: "float32", shape: ["batch", 1, "height", 8] };
    expect(() => dense(open)).toThrow(/got inputs input \[batch, 1, height, 8\] and 1 outputs/);
  });
});
