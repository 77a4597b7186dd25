/** What the networks of the zoo are built with: layers with fresh weights, appended to an ONNX graph. */

import { type Attributes, Builder } from "../onnx/builder.js";
import { emptyGraph, float, IR_VERSION, int, ints, type Model, OPSET } from "../onnx/model.js";
import type { OpName } from "../onnx/ops.js";
import { sizeOf, tensor } from "../onnx/tensor.js";
import { Random } from "../random.js";
import { VERSION } from "../version.js";

/** What a network of the zoo is built with. */
export interface ZooOptions {
  /** Fixes the initial weights. Default 1. */
  readonly seed?: number;
  /** Number of classes. Default 10; 1000 for the networks that are made for images of 224x224. */
  readonly classes?: number;
  /** Channels of the images. Default 1 for the LeNets, 3 for the others. */
  readonly channels?: number;
}

/**
 * How weights begin. "uniform": on +-1/sqrt(fan-in), as PyTorch initialises its Linear and Conv2d layers. "normal": with
 * variance 2/fan-in (He et al., "Delving Deep into Rectifiers", ICCV 2015, equation 10), biases at 0.
 */
type Initialisation = "uniform" | "normal";

interface ConvOptions {
  readonly stride?: number;
  readonly padding?: number;
  readonly groups?: number;
  readonly bias?: boolean;
  readonly init?: Initialisation;
}

/**
 * Builds a model with the input "input" [batch, channels, height, width] and the output "logits". Each method appends a layer
 * of the given name to a value, and returns the layer's value.
 */
export class Network {
  readonly input = "input";
  readonly #b: Builder;
  readonly #random: Random;

  /** @param image [channels, height, width] */
  constructor(name: string, image: readonly [number, number, number], seed: number) {
    const graph = emptyGraph(name);
    graph.inputs.push({ name: this.input, type: { dtype: "float32", shape: ["batch", ...image] } });
    this.#b = new Builder(graph);
    this.#random = new Random(seed, `${name}/weights`);
  }

  #append(op: OpName, name: string, inputs: readonly string[], attributes: Attributes = {}): string {
    return this.#b.op(op, inputs, attributes, name);
  }

  /** The value's dimensions after the first, the batch. */
  #dims(value: string): number[] {
    return (this.#b.type(value).shape ?? []).slice(1).map(Number);
  }

  #random32(dims: readonly number[], fanIn: number, init: Initialisation): Float32Array<ArrayBuffer> {
    const values = new Float32Array(sizeOf(dims));
    if (init === "normal") {
      this.#random.fillNormal(values, Math.sqrt(2 / fanIn));
      return values;
    }
    const bound = 1 / Math.sqrt(fanIn);
    for (let i = 0; i < values.length; i++) values[i] = (2 * this.#random.uniform() - 1) * bound;
    return values;
  }

  #parameter(name: string, dims: readonly number[], values: Float32Array<ArrayBuffer>): string {
    return this.#b.initializer(name, tensor("float32", dims, values));
  }

  #filled(name: string, size: number, value: number): string {
    return this.#parameter(name, [size], new Float32Array(size).fill(value));
  }

  /** A Gemm; weight [outputs, inputs] and bias on +-1/sqrt(inputs). */
  dense(value: string, name: string, outputs: number): string {
    const [inputs] = this.#dims(value);
    const dims = [outputs, inputs];
    const weight = this.#parameter(`${name}.weight`, dims, this.#random32(dims, inputs, "uniform"));
    const bias = this.#parameter(`${name}.bias`, [outputs], this.#random32([outputs], inputs, "uniform"));
    return this.#append("Gemm", name, [value, weight, bias], { transB: int(1) });
  }

  /** A convolution with square kernels, without a bias unless it is asked for. */
  conv(value: string, name: string, maps: number, kernel: number, options: ConvOptions = {}): string {
    const { stride = 1, padding = 0, groups = 1, bias = false, init = "normal" } = options;
    const [channels] = this.#dims(value);
    const fanIn = (channels / groups) * kernel * kernel;
    const dims = [maps, channels / groups, kernel, kernel];
    const parameters = [this.#parameter(`${name}.weight`, dims, this.#random32(dims, fanIn, init))];
    if (bias) {
      const values = init === "normal" ? new Float32Array(maps) : this.#random32([maps], fanIn, init);
      parameters.push(this.#parameter(`${name}.bias`, [maps], values));
    }
    return this.#append("Conv", name, [value, ...parameters], {
      ...window(kernel, stride, padding),
      ...(groups === 1 ? {} : { group: int(groups) }),
    });
  }

  /** Batch normalisation that begins as the identity: scale 1, bias 0, running mean 0 and variance 1. */
  batchNorm(value: string, name: string): string {
    const [channels] = this.#dims(value);
    const parameters = [
      this.#filled(`${name}.weight`, channels, 1),
      this.#filled(`${name}.bias`, channels, 0),
      this.#filled(`${name}.running_mean`, channels, 0),
      this.#filled(`${name}.running_var`, channels, 1),
    ];
    const attributes = { epsilon: float(1e-5), momentum: float(0.9) };
    return this.#append("BatchNormalization", name, [value, ...parameters], attributes);
  }

  maxPool(value: string, name: string, size: number, stride = size, padding = 0): string {
    return this.#append("MaxPool", name, [value], window(size, stride, padding));
  }

  /** The mean of each map: [batch, maps, 1, 1]. */
  globalAveragePool(value: string, name: string): string {
    return this.#append("GlobalAveragePool", name, [value]);
  }

  relu(value: string, name: string): string {
    return this.#append("Relu", name, [value]);
  }

  /** min(max(x, 0), 6) */
  relu6(value: string, name: string): string {
    return this.#append("Clip", name, [value, this.#b.scalar(0, value), this.#b.scalar(6, value)]);
  }

  add(left: string, right: string, name: string): string {
    return this.#append("Add", name, [left, right]);
  }

  flatten(value: string, name: string): string {
    return this.#append("Flatten", name, [value]);
  }

  /** The model, whose last layer's value becomes its output "logits". */
  model(): Model {
    const { graph } = this.#b;
    const last = graph.nodes[graph.nodes.length - 1];
    const type = this.#b.type(last.outputs[0]);
    graph.valueTypes.delete(last.outputs[0]);
    last.outputs = ["logits"];
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

/** The attributes of a square window; strides and padding where they are not the defaults. */
function window(size: number, stride: number, padding: number): Attributes {
  return {
    kernel_shape: ints([size, size]),
    ...(stride === 1 ? {} : { strides: ints([stride, stride]) }),
    ...(padding === 0 ? {} : { pads: ints([padding, padding, padding, padding]) }),
  };
}
