/** Runs models of any operator set on onnxruntime, and compares what they compute. */

import { Engine } from "../../src/engine/session.js";
import type { HostType } from "../../src/onnx/dtype.js";
import type { Model } from "../../src/onnx/model.js";
import { sizeOf, type Tensor, tensor, tensorFrom } from "../../src/onnx/tensor.js";
import { Random } from "../../src/random.js";

/** The outputs of a model with one input. */
export async function runModel(model: Model, input: Tensor): Promise<Map<string, Tensor>> {
  const engine = await Engine.open({ threads: 1 });
  const session = await engine.session(model);
  try {
    const stored = model.graph.initializers;
    const [{ name }] = model.graph.inputs.filter((value) => !stored.has(value.name));
    const { dtype, dims } = input as Tensor<HostType>;
    const feeds = { [name]: engine.value(dtype, dims, (input as Tensor<HostType>).array()) };
    const wanted = Object.fromEntries(model.graph.outputs.map((output) => [output.name, null]));
    const results = await session.run(feeds, wanted);
    return new Map(
      Object.entries(results).map(([output, { type, dims, data }]) => {
        return [output, tensor(type as "float32", dims, (data as Float32Array).slice())];
      }),
    );
  } finally {
    await session.close();
  }
}

/** Numbers from -1 to 1, the same for the same seed. */
export function uniform(dims: readonly number[], seed: number): Tensor<"float32"> {
  const random = new Random(seed, "import tests");
  const values = Array.from({ length: sizeOf(dims) }, () => 2 * random.uniform() - 1);
  return tensorFrom("float32", dims, values);
}

/** The largest difference of two values; infinite if their shapes differ, or one is not there. */
export function largestDifference(a: Tensor | undefined, b: Tensor | undefined): number {
  if (a === undefined || b?.dims.join() !== a.dims.join() || a.dtype !== b.dtype) return Infinity;
  const [left, right] = [a.numbers(), b.numbers()];
  return left.reduce((most, x, i) => Math.max(most, x === right[i] ? 0 : Math.abs(x - right[i])), 0);
}
