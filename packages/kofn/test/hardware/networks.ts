/** Networks with all forms of steps that C code and memory images have, sparse in all granularities. */

import { canonicalDims } from "@kofn/format/file/units.js";
import type { Pruned } from "../../src/hardware/packing.js";
import { prunableLayers } from "../../src/layers/layers.js";
import { Builder } from "../../src/onnx/builder.js";
import { emptyGraph, float, int, ints, type Model, string } from "../../src/onnx/model.js";
import { sizeOf, type Tensor, tensor, tensorFrom } from "../../src/onnx/tensor.js";
import { maskOfUnits } from "../../src/prune/units.js";
import { resolveLayer } from "../../src/prune/spec.js";
import { topKMask } from "../../src/prune/topk.js";
import type { PruneRule } from "../../src/prune/types.js";
import { Random } from "../../src/random.js";
import { runModel } from "../import/support.js";
import { modelOf } from "../support/execute.js";

/** Appends layers with random weights. */
class Maker {
  readonly b: Builder;
  readonly random: Random;

  constructor(name: string, dims: readonly number[]) {
    this.b = new Builder(emptyGraph(name));
    this.random = new Random(1, name);
    const type = { dtype: "float32", shape: ["batch", ...dims] } as const;
    this.b.graph.inputs.push({ name: "input", type });
    this.b.graph.valueTypes.set("input", type);
  }

  parameter(name: string, dims: readonly number[], from = -1, to = 1): string {
    const values = Array.from({ length: sizeOf(dims) }, () => from + (to - from) * this.random.uniform());
    return this.b.initializer(name, tensorFrom("float32", dims, values));
  }

  norm(x: string, name: string, channels: number): string {
    const [gamma, beta, mean] = ["gamma", "beta", "mean"].map((one) =>
      this.parameter(`${name}.${one}`, [channels]),
    );
    const variance = this.parameter(`${name}.var`, [channels], 0.5, 2);
    return this.b.op("BatchNormalization", [x, gamma, beta, mean, variance], {}, name);
  }

  clip(x: string, low: number | undefined, high: number, name: string): string {
    return this.b.op(
      "Clip",
      [x, low === undefined ? "" : this.b.scalar(low, x), this.b.scalar(high, x)],
      {},
      name,
    );
  }
}

/** An image of [4, 9, 7] through every operator, with convolutions in groups, strides, dilations and uneven pads. */
export function manyOperators(): Model {
  const make = new Maker("many operators", [4, 9, 7]);
  const { b } = make;
  const uneven = { kernel_shape: ints([3, 2]), pads: ints([1, 0, 2, 1]), strides: ints([1, 1]) };
  let x = b.op(
    "Conv",
    ["input", make.parameter("a.weight", [8, 4, 3, 2]), make.parameter("a.bias", [8])],
    uneven,
    "a",
  );
  x = b.op("LeakyRelu", [make.norm(x, "a/norm", 8)], { alpha: float(0.1) }, "a/leaky");
  const pooled = b.op(
    "MaxPool",
    [x],
    { kernel_shape: ints([3, 3]), strides: ints([2, 2]), pads: ints([1, 1, 1, 1]), ceil_mode: int(1) },
    "pool",
  );
  const depthwise = b.op(
    "Conv",
    [pooled, make.parameter("b.weight", [16, 1, 3, 3])],
    { kernel_shape: ints([3, 3]), group: int(8), auto_pad: string("SAME_UPPER") },
    "b",
  );
  const clipped = make.clip(depthwise, 0, 1.5, "b/clip");
  const grouped = b.op(
    "Conv",
    [clipped, make.parameter("c.weight", [8, 8, 3, 3]), make.parameter("c.bias", [8])],
    { kernel_shape: ints([3, 3]), group: int(2), dilations: ints([2, 2]), pads: ints([2, 2, 2, 2]) },
    "c",
  );
  const sum = b.op("Relu", [b.op("Add", [grouped, pooled], {}, "add")], {}, "add/relu");
  const normed = make.norm(sum, "alone", 8);
  const average = (name: string, count: number): string =>
    b.op(
      "AveragePool",
      [normed],
      { kernel_shape: ints([3, 3]), pads: ints([1, 1, 1, 1]), count_include_pad: int(count) },
      name,
    );
  const joined = b.op(
    "Concat",
    [average("mean/inner", 0), sum, average("mean/all", 1)],
    { axis: int(1) },
    "concat",
  );
  const narrow = b.op(
    "Conv",
    [joined, make.parameter("d.weight", [12, 24, 1, 1])],
    { kernel_shape: ints([1, 1]) },
    "d",
  );
  const highest = b.op("GlobalMaxPool", [narrow], {}, "highest");
  const mean = b.op("ReduceMean", [narrow, b.vector([2, 3])], { keepdims: int(1) }, "mean");
  const both = b.op("Concat", [highest, mean], { axis: int(1) }, "both");
  const flat = b.op("Reshape", [both, b.vector([-1, 24])], {}, "flat");
  x = b.op("Gemm", [flat, make.parameter("e.weight", [24, 16]), make.parameter("e.bias", [16])], {}, "e");
  x = make.clip(x, undefined, 0.8, "e/clip");
  x = b.op("MatMul", [x, make.parameter("f.weight", [16, 6])], {}, "f");
  x = b.op("Add", [make.parameter("f.bias", [6]), x], {}, "f/add");
  b.output(b.op("Softmax", [x], { axis: int(1) }, "probabilities"));
  return modelOf(b.graph);
}

/** A value under two names, of which one goes through an activation function that could work in its place. */
export function renamedValue(): Model {
  const make = new Maker("renamed", [2, 4, 4]);
  const { b } = make;
  const x = b.op(
    "Conv",
    ["input", make.parameter("a.weight", [3, 2, 1, 1])],
    { kernel_shape: ints([1, 1]) },
    "a",
  );
  const flat = b.op("Relu", [b.op("Flatten", [x], {}, "flat")], {}, "relu");
  const sum = b.op("Add", [b.op("Reshape", [flat, b.vector([-1, 3, 4, 4])], {}, "image"), x], {}, "sum");
  b.output(b.op("Flatten", [sum], {}, "logits"));
  return modelOf(b.graph);
}

/** Convolution (with a pool before the Relu), convolution in two groups, two matrix products: for all granularities. */
export function smallNetwork(): Model {
  const make = new Maker("small", [4, 8, 8]);
  const { b } = make;
  const padded = { kernel_shape: ints([3, 3]), pads: ints([1, 1, 1, 1]) };
  const bias = (name: string, size: number): string => make.parameter(`${name}.bias`, [size], -0.2, 0.2);
  let x = b.op(
    "Conv",
    ["input", make.parameter("conv1.weight", [8, 4, 3, 3]), bias("conv1", 8)],
    padded,
    "conv1",
  );
  x = b.op("MaxPool", [x], { kernel_shape: ints([2, 2]), strides: ints([2, 2]) }, "pool1");
  x = b.op("Relu", [x], {}, "relu1");
  x = b.op(
    "Conv",
    [x, make.parameter("conv2.weight", [8, 4, 3, 3]), bias("conv2", 8)],
    { ...padded, group: int(2) },
    "conv2",
  );
  x = b.op("Flatten", [b.op("Relu", [x], {}, "relu2")], {}, "flat");
  x = b.op(
    "Gemm",
    [x, make.parameter("fc1.weight", [300, 128]), bias("fc1", 300)],
    { transB: int(1) },
    "fc1",
  );
  x = b.op("Relu", [x], {}, "relu3");
  b.output(b.op("Gemm", [x, make.parameter("fc2.weight", [300, 6]), bias("fc2", 6)], {}, "fc2"));
  return modelOf(b.graph);
}

/** The model with random masks by rules, layer by layer, and what packing needs to know of them. */
export function prunedBy(
  model: Model,
  rules: Readonly<Record<string, PruneRule>>,
): { readonly model: Model; readonly pruned: Pruned } {
  const random = new Random(1, "masks");
  const initializers = new Map<string, Tensor>(model.graph.initializers);
  const masks = new Map<string, Tensor<"uint8">>();
  const layers: Pruned["layers"][number][] = [];
  const fanIns = new Map<string, number>();
  for (const layer of prunableLayers(model.graph)) {
    const [, inputs, kernel] = canonicalDims(layer);
    fanIns.set(layer.weight, inputs * kernel);
    if (!(layer.name in rules)) continue;
    const resolved = resolveLayer(layer, rules[layer.name], "test", false);
    const { groups, n, k } = resolved;
    const logits = Float32Array.from({ length: groups * n }, () => random.uniform());
    const mask = maskOfUnits(resolved, topKMask(logits, groups, n, k));
    masks.set(layer.weight, tensor("uint8", layer.dims, mask as Uint8Array<ArrayBuffer>));
    layers.push(resolved);
    const values = (initializers.get(layer.weight) as Tensor<"float32">).array();
    initializers.set(
      layer.weight,
      tensor(
        "float32",
        layer.dims,
        values.map((value, i) => value * mask[i]),
      ),
    );
  }
  return { model: { ...model, graph: { ...model.graph, initializers } }, pruned: { masks, layers, fanIns } };
}

/** Inputs from -1 to 1. */
export function samples(count: number, size: number): Float32Array<ArrayBuffer>[] {
  const random = new Random(1, "hardware");
  return Array.from({ length: count }, () =>
    Float32Array.from({ length: size }, () => 2 * random.uniform() - 1),
  );
}

/** The smallest and the largest value of each tensor of a model for some inputs, as onnxruntime computes them. */
export async function rangesOf(
  model: Model,
  dims: readonly number[],
  inputs: readonly Float32Array<ArrayBuffer>[],
): Promise<Map<string, [number, number]>> {
  const names = model.graph.nodes.flatMap(({ outputs }) => outputs);
  const type = { dtype: "float32", shape: undefined } as const;
  const graph = { ...model.graph, outputs: names.map((name) => ({ name, type })) };
  const ranges = new Map<string, [number, number]>();
  for (const input of inputs) {
    const images = tensor("float32", [1, ...dims], input);
    const values = await runModel({ ...model, graph }, images);
    for (const [name, value] of values.set(model.graph.inputs[0].name, images)) {
      const [low, high] = ranges.get(name) ?? [0, 0];
      const numbers = value.numbers();
      const extreme = (by: (a: number, b: number) => number, first: number): number =>
        numbers.reduce((a, b) => by(a, b), first);
      ranges.set(name, [extreme(Math.min, low), extreme(Math.max, high)]);
    }
  }
  return ranges;
}
