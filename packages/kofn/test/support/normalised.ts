/** A small network with batch normalisation, for tests that train. */

import { Builder } from "../../src/onnx/builder.js";
import { emptyGraph, float, int, ints, type Model } from "../../src/onnx/model.js";
import { sizeOf, tensorFrom } from "../../src/onnx/tensor.js";
import { Random } from "../../src/random.js";
import { modelOf } from "./execute.js";

/**
 * batch norm "first" of the images, conv 4@3x3, batch norm "second", ReLU, mean of each map, dense 4-3: for `tinyData`.
 * The running statistics are 0 and 1.
 */
export function normalisedModel(): Model {
  const random = new Random(1, "normalised model");
  const b = new Builder(emptyGraph("normalised"));
  const parameter = (name: string, dims: readonly number[]): string => {
    const values = Array.from({ length: sizeOf(dims) }, () => random.normal() / 2);
    return b.initializer(name, tensorFrom("float32", dims, values));
  };
  const normalise = (value: string, channels: number, name: string): string => {
    const filled = (what: string, fill: number): string => {
      const values = new Float32Array(channels).fill(fill);
      return b.initializer(`${name}.${what}`, tensorFrom("float32", [channels], values));
    };
    const statistics = [filled("mean", 0), filled("var", 1)];
    const affine = [filled("weight", 1.5), filled("bias", 0.25)];
    return b.op("BatchNormalization", [value, ...affine, ...statistics], { momentum: float(0.9) }, name);
  };
  const type = { dtype: "float32", shape: ["batch", 1, 8, 8] } as const;
  b.graph.inputs.push({ name: "input", type });
  b.graph.valueTypes.set("input", type);
  const filters = parameter("conv.weight", [4, 1, 3, 3]);
  const convolved = b.op(
    "Conv",
    [normalise("input", 1, "first"), filters],
    { kernel_shape: ints([3, 3]) },
    "conv",
  );
  const maps = b.op("GlobalAveragePool", [b.op("Relu", [normalise(convolved, 4, "second")])]);
  const dense = [parameter("fc.weight", [3, 4]), parameter("fc.bias", [3])];
  b.output(b.op("Gemm", [b.op("Flatten", [maps]), ...dense], { transB: int(1) }, "fc"));
  return modelOf(b.graph);
}
