/** The built-in networks, as ONNX models with freshly initialised weights. */

import { Builder } from "../onnx/builder.js";
import { emptyGraph, IR_VERSION, int, ints, type Model, OPSET } from "../onnx/model.js";
import { sizeOf, tensor } from "../onnx/tensor.js";
import { Random } from "../random.js";
import { VERSION } from "../version.js";

/** What a network of the zoo is built with. */
export interface ZooOptions {
  /** Fixes the initial weights. Default 1. */
  readonly seed?: number;
  /** Number of classes. Default 10. */
  readonly classes?: number;
}

/** Appends layers to a model with one image input and one output of logits. */
class Network {
  readonly b: Builder;
  readonly #random: Random;
  #value: string;
  #dims: number[];

  constructor(name: string, image: readonly [number, number, number], seed: number) {
    this.b = new Builder(emptyGraph(name));
    this.#random = new Random(seed, `${name}/weights`);
    this.#value = "input";
    this.#dims = [...image];
    const type = { dtype: "float32", shape: ["batch", ...image] } as const;
    this.b.graph.inputs.push({ name: "input", type });
    this.b.graph.valueTypes.set("input", type);
  }

  #append(
    op: "Conv" | "Gemm" | "Relu" | "MaxPool" | "Flatten",
    name: string,
    parameters: string[],
    attributes = {},
  ) {
    this.#value = this.b.op(op, [this.#value, ...parameters], attributes, name);
    return this;
  }

  /** Uniform on +-1/sqrt(fan-in), as PyTorch initialises its Linear and Conv2d layers. */
  #parameter(name: string, dims: readonly number[], fanIn: number): string {
    const bound = 1 / Math.sqrt(fanIn);
    const values = new Float32Array(sizeOf(dims));
    for (let i = 0; i < values.length; i++) values[i] = (2 * this.#random.uniform() - 1) * bound;
    return this.b.initializer(name, tensor("float32", dims, values));
  }

  dense(name: string, outputs: number): this {
    const [inputs] = this.#dims;
    const weight = this.#parameter(`${name}.weight`, [outputs, inputs], inputs);
    const bias = this.#parameter(`${name}.bias`, [outputs], inputs);
    this.#dims = [outputs];
    return this.#append("Gemm", name, [weight, bias], { transB: int(1) });
  }

  conv(name: string, maps: number, kernel: number): this {
    const [channels, height, width] = this.#dims;
    const fanIn = channels * kernel * kernel;
    const weight = this.#parameter(`${name}.weight`, [maps, channels, kernel, kernel], fanIn);
    const bias = this.#parameter(`${name}.bias`, [maps], fanIn);
    this.#dims = [maps, height - kernel + 1, width - kernel + 1];
    return this.#append("Conv", name, [weight, bias], { kernel_shape: ints([kernel, kernel]) });
  }

  maxPool(name: string, size: number): this {
    const [maps, height, width] = this.#dims;
    this.#dims = [maps, Math.floor(height / size), Math.floor(width / size)];
    return this.#append("MaxPool", name, [], {
      kernel_shape: ints([size, size]),
      strides: ints([size, size]),
    });
  }

  relu(name: string): this {
    return this.#append("Relu", name, []);
  }

  flatten(name: string): this {
    this.#dims = [sizeOf(this.#dims)];
    return this.#append("Flatten", name, []);
  }

  /** The model, whose last value becomes its output "logits". */
  model(): Model {
    const { graph } = this.b;
    const last = graph.nodes[graph.nodes.length - 1];
    const type = this.b.type(this.#value);
    last.outputs = ["logits"];
    graph.valueTypes.delete(this.#value);
    graph.outputs.push({ name: "logits", type });
    return {
      irVersion: IR_VERSION,
      producerName: "kofn",
      producerVersion: VERSION,
      opsets: new Map([["", OPSET]]),
      graph,
      metadata: new Map(),
    };
  }
}

/**
 * LeNet-300-100 (LeCun et al. 1998): 784-300-100-10 with ReLU; 266,610 parameters at 10 classes. Layers fc1, fc2, fc3.
 * Input "input" [batch, 1, 28, 28], output "logits" [batch, classes].
 *
 * @example
 * const model = lenet300100({ seed: 1 });
 */
export function lenet300100({ seed = 1, classes = 10 }: ZooOptions = {}): Model {
  return new Network("lenet-300-100", [1, 28, 28], seed)
    .flatten("flatten")
    .dense("fc1", 300)
    .relu("relu1")
    .dense("fc2", 100)
    .relu("relu2")
    .dense("fc3", classes)
    .model();
}

/**
 * LeNet-5 as Caffe has it: conv1 20@5x5, pool, conv2 50@5x5, pool, fc1 800-500, fc2; 431,080 parameters at 10 classes.
 * ReLU follows each pooling (which commutes with it, and costs a quarter there) and fc1.
 * Input "input" [batch, 1, 28, 28], output "logits" [batch, classes].
 *
 * @example
 * const model = lenet5({ seed: 1 });
 */
export function lenet5({ seed = 1, classes = 10 }: ZooOptions = {}): Model {
  return new Network("lenet-5", [1, 28, 28], seed)
    .conv("conv1", 20, 5)
    .maxPool("pool1", 2)
    .relu("relu1")
    .conv("conv2", 50, 5)
    .maxPool("pool2", 2)
    .relu("relu2")
    .flatten("flatten")
    .dense("fc1", 500)
    .relu("relu3")
    .dense("fc2", classes)
    .model();
}

/** The zoo by the names of the command line. */
export const ZOO = {
  "lenet-300-100": lenet300100,
  "lenet-5": lenet5,
} as const satisfies Record<string, (options?: ZooOptions) => Model>;

/**
 * The zoo by the names of the library.
 *
 * @example
 * const model = zoo.lenet5({ seed: 2 });
 */
export const zoo = { lenet300100, lenet5 } as const;
