/** Small networks and quantizations of them, for tests of exports. */

import type { WeightFormat } from "@kofn/format/run/words.js";
import { integerResults } from "../../src/integers/integer-results.js";
import { weightNodes } from "../../src/integers/weight-nodes.js";
import { prunableLayers } from "../../src/layers/layers.js";
import { Builder } from "../../src/onnx/builder.js";
import { emptyGraph, type Graph, int, ints, type Model } from "../../src/onnx/model.js";
import { sizeOf, type Tensor, tensorFrom } from "../../src/onnx/tensor.js";
import type { QuantizedActivation, QuantizedWeight } from "../../src/quantize/types.js";
import { Random } from "../../src/random.js";
import { modelOf } from "../support/execute.js";

/** Makes parameters, of which every fourth weight is pruned. */
class Maker {
  readonly b: Builder;
  readonly random: Random;

  constructor(name: string) {
    this.b = new Builder(emptyGraph(name));
    this.random = new Random(1, name);
  }

  input(dims: readonly number[]): string {
    const type = { dtype: "float32", shape: ["batch", ...dims] } as const;
    this.b.graph.inputs.push({ name: "input", type });
    this.b.graph.valueTypes.set("input", type);
    return "input";
  }

  weight(name: string, dims: readonly number[]): string {
    const values = this.#uniform(dims).map((value, i) => (i % 4 === 3 ? 0 : value));
    return this.b.initializer(`${name}.weight`, tensorFrom("float32", dims, values));
  }

  vector(name: string, length: number, from = -1, to = 1): string {
    const values = this.#uniform([length]).map((value) => from + ((to - from) * (value + 1)) / 2);
    return this.b.initializer(name, tensorFrom("float32", [length], values));
  }

  #uniform(dims: readonly number[]): number[] {
    return Array.from({ length: sizeOf(dims) }, () => 2 * this.random.uniform() - 1);
  }
}

const PADDED = { kernel_shape: ints([3, 3]), pads: ints([1, 1, 1, 1]) };

/** conv1, batch normalisation (gammas of both signs), ReLU, conv2, pool, ReLU, conv3 + residual, fc1 (Gemm), ReLU, fc2 (MatMul and Add). */
export function residualModel(): Model {
  const make = new Maker("residual");
  const { b } = make;
  const x = make.input([2, 8, 8]);
  const conv1 = b.op("Conv", [x, make.weight("conv1", [5, 2, 3, 3])], PADDED, "conv1");
  const statistics = [
    make.vector("gamma", 5),
    make.vector("beta", 5),
    make.vector("mean", 5),
    make.vector("var", 5, 0.5, 2),
  ];
  const norm = b.op("BatchNormalization", [conv1, ...statistics], {}, "norm");
  const relu1 = b.op("Relu", [norm], {}, "relu1");
  const conv2 = b.op(
    "Conv",
    [relu1, make.weight("conv2", [6, 5, 3, 3]), make.vector("conv2.bias", 6)],
    PADDED,
    "conv2",
  );
  const relu2 = b.op("Relu", [conv2], {}, "relu2");
  const pool = b.op("MaxPool", [relu2], { kernel_shape: ints([2, 2]), strides: ints([2, 2]) }, "pool");
  const conv3 = b.op(
    "Conv",
    [pool, make.weight("conv3", [6, 6, 3, 3]), make.vector("conv3.bias", 6)],
    PADDED,
    "conv3",
  );
  const sum = b.op("Relu", [b.op("Add", [conv3, pool], {}, "add")], {}, "sum");
  const flat = b.op("Flatten", [sum], {}, "flat");
  const fc1 = b.op(
    "Gemm",
    [flat, make.weight("fc1", [20, 96]), make.vector("fc1.bias", 20)],
    { transB: int(1) },
    "fc1",
  );
  const product = b.op("MatMul", [b.op("Relu", [fc1], {}, "relu3"), make.weight("fc2", [20, 10])], {}, "fc2");
  b.output(b.op("Add", [product, make.vector("fc2.bias", 10)], {}, "logits"));
  return modelOf(b.graph);
}

/** conv1 and conv2 read the same and are added; ReLU; so are conv3, conv4 and conv5; fc (MatMul). */
export function branchingModel(): Model {
  const make = new Maker("branching");
  const { b } = make;
  const x = make.input([2, 8, 8]);
  const conv = (name: string, from: string, inputs: number): string => {
    const parameters = [make.weight(name, [6, inputs, 3, 3]), make.vector(`${name}.bias`, 6)];
    return b.op("Conv", [from, ...parameters], PADDED, name);
  };
  const first = b.op("Add", [conv("conv1", x, 2), conv("conv2", x, 2)], {}, "first");
  const relu = b.op("Relu", [first], {}, "relu");
  const second = b.op("Add", [conv("conv3", relu, 6), conv("conv4", relu, 6)], {}, "second");
  const third = b.op("Add", [second, conv("conv5", relu, 6)], {}, "third");
  const flat = b.op("Flatten", [third], {}, "flat");
  b.output(b.op("MatMul", [flat, make.weight("fc", [384, 10])], {}, "logits"));
  return modelOf(b.graph);
}

/** Each weight quantized to the whole range of a format, or to mean|w| where it is binary; scales of channels differ. */
export function quantizedWeights(graph: Graph, format: WeightFormat): QuantizedWeight[] {
  const most = { binary: 1, ternary: 1, int2: 1, int3: 3, int4: 7, int5: 15, int6: 31, int7: 63, int8: 127 };
  return prunableLayers(graph).map(({ name, weight, dims, transposed }) => {
    const values = (graph.initializers.get(weight) as Tensor<"float32">).array();
    const axis = transposed ? 1 : 0;
    const inner = sizeOf(dims.slice(axis + 1));
    const channel = (i: number): number => Math.floor(i / inner) % dims[axis];
    const largest = new Float64Array(dims[axis]);
    values.forEach((value, i) => {
      largest[channel(i)] = Math.max(largest[channel(i)], Math.abs(value));
    });
    const scale = Float32Array.from(largest, (value) => value / most[format]);
    const codes = Int8Array.from(values, (value, i) => {
      return format === "binary" ? Math.sign(value) : Math.round(value / scale[channel(i)]);
    });
    return { layer: name, weight, format, axis, scale, codes };
  });
}

/** All activations that layers read quantized, and the results that integer kernels demand. */
export function quantizedActivations(
  model: Model,
  ranges: ReadonlyMap<string, readonly [low: number, high: number]>,
  format: "uint8" | "int8" = "uint8",
  layers?: readonly string[],
): QuantizedActivation[] {
  const of = (tensor: string, layer: string): QuantizedActivation => {
    const [low, high] = ranges.get(tensor) ?? [-1, 1];
    const scale = Math.fround((Math.max(high, 0) - Math.min(low, 0)) / 255);
    const zeroPoint = (format === "uint8" ? 0 : -128) + Math.round(-Math.min(low, 0) / scale);
    return { tensor, layer, format, scale, zeroPoint };
  };
  const read = new Map<string, QuantizedActivation>();
  for (const { layer, node } of weightNodes(model.graph)) {
    const [tensor] = node.inputs;
    if ((layers?.includes(layer.name) ?? true) && !read.has(tensor)) read.set(tensor, of(tensor, layer.name));
  }
  const weights = new Set(prunableLayers(model.graph).map(({ weight }) => weight));
  const results = integerResults(model.graph, [...read.values()], weights);
  return [
    ...read.values(),
    ...results.map(({ tensor, layer }) => ({ ...of(tensor, layer), result: true as const })),
  ];
}
