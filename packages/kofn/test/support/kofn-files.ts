/** Small .kofn files whose results are known by heart. */

import { writeFile } from "node:fs/promises";
import { Builder } from "../../src/onnx/builder.js";
import { emptyGraph, type Dim, int, type Model } from "../../src/onnx/model.js";
import { sizeOf, tensorFrom } from "../../src/onnx/tensor.js";
import { sparseContents } from "../../src/pack/contents.js";
import { encodeKofn } from "../../src/pack/file.js";
import { withNormalization } from "../../src/task/normalize.js";
import { modelOf } from "./execute.js";

/** One fully connected layer "fc": logit c is the sum of `weight(c, i)` times number i of the input. */
export function linearModel(
  [batch, ...sample]: readonly [Dim, ...number[]],
  classes: number,
  weight: (of: number, i: number) => number,
): Model {
  const b = new Builder(emptyGraph("linear"));
  const type = { dtype: "float32", shape: [batch, ...sample] } as const;
  b.graph.inputs.push({ name: "input", type });
  b.graph.valueTypes.set("input", type);
  const size = sizeOf(sample);
  const values = Array.from({ length: classes * size }, (_, at) => weight(Math.floor(at / size), at % size));
  const name = b.initializer("fc.weight", tensorFrom("float32", [classes, size], values));
  b.output(b.op("Gemm", [b.op("Flatten", ["input"]), name], { transB: int(1) }, "fc"));
  return modelOf(b.graph);
}

/** Tells 4x4 grey images that are bright on the left from those that are bright on the right, and from neither. */
export function sidesModel(): Model {
  const model = linearModel(["batch", 1, 4, 4], 3, (of, i) =>
    of === 2 ? 0 : i % 4 < 2 === (of === 0) ? 1 : 0,
  );
  return withNormalization(model, { mean: [0.5], std: [0.25] });
}

/** Tells red 2x2 images from green and blue ones. */
export function coloursModel(): Model {
  const model = linearModel(["batch", 3, 2, 2], 3, (of, i) => (Math.floor(i / 4) === of ? 1 : 0));
  return withNormalization(model, { mean: [0, 0, 0], std: [1, 1, 1] });
}

/** Writes a model as a .kofn file; its zeros are pruned. */
export async function writeKofn(path: string, model: Model, labels: readonly string[] = []): Promise<void> {
  await writeFile(path, encodeKofn({ ...sparseContents(model), labels }).bytes);
}
