/** A small data set and a small network, for tests that train. */

import type { ResidentDataset, ResidentSplit } from "../../src/data/types.js";
import { Builder } from "../../src/onnx/builder.js";
import { emptyGraph, int, ints, type Model } from "../../src/onnx/model.js";
import { sizeOf, tensorFrom } from "../../src/onnx/tensor.js";
import { Random } from "../../src/random.js";
import { modelOf } from "./execute.js";

interface Sizes {
  /** Height and width of the images. */
  readonly side?: number;
  readonly classes?: number;
  readonly train?: number;
  readonly rest?: number;
}

/** Grey images: a random pattern for each class, with noise over it. The same every time. */
export function tinyData({ side = 8, classes = 3, train = 96, rest = 48 }: Sizes = {}): ResidentDataset {
  const random = new Random(1, "tiny");
  const size = side * side;
  const patterns = Uint8Array.from({ length: classes * size }, () => (random.uniform() < 0.3 ? 200 : 20));
  const split = (count: number): ResidentSplit => {
    const images = new Uint8Array(count * size);
    const labels = Uint16Array.from({ length: count }, () => random.below(classes));
    for (let i = 0; i < images.length; i++) {
      images[i] = patterns[labels[Math.floor(i / size)] * size + (i % size)] + random.below(50);
    }
    return { count, images, labels };
  };
  return {
    name: "tiny",
    channels: 1,
    height: side,
    width: side,
    classes: Array.from({ length: classes }, (_, i) => String(i)),
    train: split(train),
    validation: split(rest),
    test: split(rest),
  };
}

/** conv MAPS@3x3, ReLU, 2x2 pool, dense 9 MAPS-3, for {@link tinyData}. Layers conv and fc. */
export function tinyModel(maps = 4): Model {
  const random = new Random(1, "tiny model");
  const b = new Builder(emptyGraph("tiny"));
  const parameter = (name: string, dims: readonly number[], bound: number): string => {
    const values = Array.from({ length: sizeOf(dims) }, () => (2 * random.uniform() - 1) * bound);
    return b.initializer(name, tensorFrom("float32", dims, values));
  };
  const type = { dtype: "float32", shape: ["batch", 1, 8, 8] } as const;
  b.graph.inputs.push({ name: "input", type });
  b.graph.valueTypes.set("input", type);
  const convolved = b.op(
    "Conv",
    ["input", parameter("conv.weight", [maps, 1, 3, 3], 1 / 3), parameter("conv.bias", [maps], 1 / 3)],
    { kernel_shape: ints([3, 3]) },
    "conv",
  );
  const pooled = b.op(
    "MaxPool",
    [b.op("Relu", [convolved])],
    { kernel_shape: ints([2, 2]), strides: ints([2, 2]) },
    "pool",
  );
  const dense = [parameter("fc.weight", [3, 9 * maps], 1 / 6), parameter("fc.bias", [3], 1 / 6)];
  b.output(b.op("Gemm", [b.op("Flatten", [pooled]), ...dense], { transB: int(1) }, "fc"));
  return modelOf(b.graph);
}
