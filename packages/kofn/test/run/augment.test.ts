import { expect, test } from "vitest";
import { evaluateGraph } from "../../src/onnx/evaluate.js";
import { type Tensor, tensorFrom } from "../../src/onnx/tensor.js";
import { optimizerOf } from "../../src/optim/optimizer.js";
import { encodeModelBytes } from "../../src/onnx/codec.js";
import { compileStep } from "../../src/step/graph.js";
import { SHARE } from "../../src/task/classification.js";
import { train } from "../../src/run/train.js";
import type { Checkpoint } from "../../src/run/types.js";
import { tinyData, tinyModel } from "../support/tiny.js";

const AUGMENT = { crop: 1, flip: true, cutout: 2, mixup: 0.4 };
const PLAIN = { model: tinyModel(), data: tinyData(), epochs: 3, batch: 16 };
const OPTIONS = { ...PLAIN, augment: AUGMENT };

function present(tensors: ReadonlyMap<string, Tensor>, name: string): Tensor {
  const found = tensors.get(name);
  if (found === undefined) throw new Error(`no tensor ${name}`);
  return found;
}

test("mix-up weighs the losses of both labels", () => {
  const sgd = optimizerOf({ kind: "sgd", lr: 1 });
  const options = { batch: 2, layers: [], weights: sgd, sampling: "host" } as const;
  const model = tinyModel();
  const pixels = tensorFrom(
    "float32",
    [2, 1, 8, 8],
    Array.from({ length: 128 }, (_, i) => (i % 7) / 7),
  );
  const results = (
    mixup: boolean,
    labels: number[],
    partners: number[] = labels,
    share = 1,
  ): ReadonlyMap<string, Tensor> => {
    const step = compileStep(model, { ...options, mixup });
    const inputs = new Map<string, Tensor>([
      ["images", pixels],
      ["labels", tensorFrom("int64", [2], labels)],
      ["partners", tensorFrom("int64", [2], partners)],
      [SHARE, tensorFrom("float32", [], [share])],
    ]);
    for (const { name } of step.tensors) inputs.set(name, present(model.graph.initializers, name));
    for (const name of step.scalars) if (!inputs.has(name)) inputs.set(name, tensorFrom("float32", [], [1]));
    const wanted = new Set(step.model.graph.inputs.map(({ name }) => name));
    return evaluateGraph(step.model.graph, new Map([...inputs].filter(([name]) => wanted.has(name))));
  };
  const value = (found: ReadonlyMap<string, Tensor>, name: string): number =>
    Number(present(found, name).array()[0]);
  const [own, other] = [results(false, [0, 1]), results(false, [2, 2])];
  const mixed = results(true, [0, 1], [2, 2], 0.7);
  for (const name of ["loss", "fc.bias/new"]) {
    expect(value(own, name)).not.toBeCloseTo(value(other, name), 3);
    expect(value(mixed, name)).toBeCloseTo(0.7 * value(own, name) + 0.3 * value(other, name), 5);
  }
  expect(value(mixed, "correct")).toBe(value(own, "correct"));
});

test("augmented runs repeat byte for byte, and so do those that were stopped", async () => {
  const checkpoints: Checkpoint[] = [];
  const onCheckpoint = (checkpoint: Checkpoint): Promise<void> => {
    checkpoints.push(checkpoint);
    return Promise.resolve();
  };
  const run = await train({ ...OPTIONS, onCheckpoint });
  const bytes = encodeModelBytes(run.model);
  const resumed = await train({ ...OPTIONS, resume: checkpoints[0] });
  expect(Buffer.compare(encodeModelBytes(resumed.model), bytes)).toBe(0);
  const plain = await train({ ...OPTIONS, augment: {} });
  expect(Buffer.compare(encodeModelBytes(plain.model), bytes)).not.toBe(0);
});

test("the data set's own augmentation is the default, and wrong amounts are refused", async () => {
  const data = { ...tinyData(), augmentation: AUGMENT };
  const [asked, own] = [await train(OPTIONS), await train({ ...PLAIN, data })];
  expect(Buffer.compare(encodeModelBytes(own.model), encodeModelBytes(asked.model))).toBe(0);
  await expect(train({ ...OPTIONS, augment: { crop: 0.5 } })).rejects.toThrow('augment "crop:0.5"');
  await expect(train({ ...OPTIONS, augment: { cutout: 8 } })).rejects.toThrow(
    "cutout can be at most 7, got 8",
  );
});
