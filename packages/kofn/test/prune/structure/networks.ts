/** Random convolutional networks with everything that couples channels, and masks for them. */

import { Builder } from "../../../src/onnx/builder.js";
import { emptyGraph, int, ints, type Model } from "../../../src/onnx/model.js";
import { sizeOf, type Tensor, tensor, tensorFrom } from "../../../src/onnx/tensor.js";
import { mapSets } from "../../../src/prune/structure/map-sets.js";
import type { MapSet } from "../../../src/prune/types.js";
import { Random } from "../../../src/random.js";
import { modelOf } from "../../support/execute.js";

/** Builds networks over images of 3 x 6 x 6. */
export class Net {
  readonly b = new Builder(emptyGraph("net"));
  readonly random: Random;
  readonly input = "input";

  constructor(seed: number) {
    this.random = new Random(seed, "net");
    const type = { dtype: "float32", shape: ["batch", 3, 6, 6] } as const;
    this.b.graph.inputs.push({ name: this.input, type });
    this.b.graph.valueTypes.set(this.input, type);
  }

  channels(value: string): number {
    return Number(this.b.type(value).shape?.[1]);
  }

  parameter(name: string, dims: readonly number[]): string {
    const values = Array.from({ length: sizeOf(dims) }, () => this.random.normal() * 0.5 + 0.01);
    return this.b.initializer(name, tensorFrom("float32", dims, values));
  }

  conv(
    value: string,
    outputs: number,
    { kernel = 3, group = 1, bias = true, name = this.b.unique("conv") } = {},
  ): string {
    const inputs = [
      value,
      this.parameter(`${name}.weight`, [outputs, this.channels(value) / group, kernel, kernel]),
    ];
    if (bias) inputs.push(this.parameter(`${name}.bias`, [outputs]));
    const pad = (kernel - 1) / 2;
    const attributes = {
      group: int(group),
      pads: ints([pad, pad, pad, pad]),
      kernel_shape: ints([kernel, kernel]),
    };
    return this.b.op("Conv", inputs, attributes, name);
  }

  depthwise(value: string, multiplier = 1): string {
    const channels = this.channels(value);
    return this.conv(value, channels * multiplier, { group: channels, name: this.b.unique("depthwise") });
  }

  relu(value: string): string {
    return this.b.op("Relu", [value]);
  }

  /** A gate for each channel, from all of them. */
  squeezeExcite(value: string): string {
    const mean = this.b.op("GlobalAveragePool", [value]);
    const squeezed = this.relu(this.conv(mean, 3, { kernel: 1, name: this.b.unique("squeeze") }));
    const gate = this.conv(squeezed, this.channels(value), { kernel: 1, name: this.b.unique("excite") });
    return this.b.mul(value, this.b.op("Sigmoid", [gate]));
  }

  /** Flatten and two dense layers, or the mean of each channel and one. */
  head(value: string, isFlat: boolean): Model {
    const flat = isFlat
      ? this.b.reshape(value, [-1, this.channels(value) * 36])
      : this.b.op("ReduceMean", [value, this.b.vector([2, 3])], { keepdims: int(0) });
    const hidden = this.relu(this.dense(flat, 5, "hidden"));
    this.b.output(this.dense(hidden, 4, "classes"));
    return modelOf(this.b.graph);
  }

  dense(value: string, outputs: number, name: string): string {
    const weight = this.parameter(`${name}.weight`, [this.channels(value), outputs]);
    return this.b.op("Gemm", [value, weight, this.parameter(`${name}.bias`, [outputs])], {}, name);
  }
}

/** A network of random blocks. The same seed gives the same network. */
export function randomNetwork(seed: number): Model {
  const net = new Net(seed);
  const { b, random } = net;
  let x = net.relu(net.conv(net.input, 4 + 2 * random.below(3)));
  for (let blocks = 1 + random.below(4); blocks > 0; blocks--) {
    const channels = net.channels(x);
    switch (random.below(9)) {
      case 0:
        x = net.relu(b.add(x, net.conv(net.relu(net.conv(x, 5)), channels)));
        break;
      case 1:
        x = b.op("Clip", [net.depthwise(x, 1 + random.below(2)), b.scalar(0, x), b.scalar(6, x)]);
        break;
      case 2:
        x = net.squeezeExcite(x);
        break;
      case 3: {
        const parts = random.below(2) === 0 ? [x] : [net.conv(x, 4, { kernel: 1 }), x];
        x = b.op("Concat", [net.relu(net.conv(x, 6)), ...parts], { axis: int(1) });
        break;
      }
      case 4:
        x = net.relu(net.conv(net.conv(x, 8, { kernel: 1 }), 8, { group: 2 + 2 * random.below(2) }));
        break;
      case 5: {
        const [left, right] = b.ops("Split", [net.conv(x, 8)], { axis: int(1), num_outputs: int(2) }, [
          "left",
          "right",
        ]);
        x = random.below(2) === 0 ? b.mul(left, b.op("Sigmoid", [right])) : net.conv(left, 6);
        break;
      }
      case 6: {
        const last = b.transpose(net.conv(x, 6), [0, 2, 3, 1]);
        const scaled = b.add(last, net.parameter(b.unique("shift"), [6]));
        x = net.relu(b.transpose(scaled, [0, 3, 1, 2]));
        break;
      }
      case 7: {
        const bounds = [b.vector([2]), b.vector([6]), b.vector([1])];
        x = b.op("Slice", [net.conv(x, 8), ...bounds]);
        break;
      }
      default:
        x = b.op("MaxPool", [net.conv(x, 5)], {
          kernel_shape: ints([3, 3]),
          pads: ints([1, 1, 1, 1]),
          strides: ints([1, 1]),
        });
    }
  }
  return net.head(net.conv(x, 6), random.below(2) === 0);
}

/** The model with random units of every group that can lose some masked, and how many units each keeps. */
export function randomlyMasked(model: Model, seed: number): { masked: Model; kept: Map<MapSet, number> } {
  const random = new Random(seed, "masks");
  const initializers = new Map<string, Tensor>(model.graph.initializers);
  const kept = new Map<MapSet, number>();
  for (const group of mapSets(model.graph)) {
    if (group.refusal !== undefined) continue;
    const count = 1 + random.below(group.n);
    const order = Array.from({ length: group.n }, (_, unit) => ({ unit, key: random.uniform() }));
    order.sort((a, b) => a.key - b.key);
    const removed = new Set(order.slice(count).map(({ unit }) => unit));
    for (const { parameter, axis, units } of group.carriers) {
      const value = initializers.get(parameter) as Tensor<"float32">;
      const inner = sizeOf(value.dims.slice(axis + 1));
      const values = value
        .array()
        .map((one, i) => (removed.has(units[Math.floor(i / inner) % units.length]) ? 0 : one));
      initializers.set(parameter, tensor("float32", value.dims, values));
    }
    kept.set(group, count);
  }
  return { masked: { ...model, graph: { ...model.graph, initializers } }, kept };
}
