/** Evaluation against a plain computation of loss and accuracy. */

import type { Evaluation } from "@kofn/format/run/types.js";
import { describe, expect, test } from "vitest";
import type { ResidentSplit } from "../../src/data/types.js";
import { InputError } from "../../src/errors.js";
import { lenet5 } from "../../src/models/lenet.js";
import { evaluateGraph } from "../../src/onnx/evaluate.js";
import type { Model } from "../../src/onnx/model.js";
import { tensorFrom } from "../../src/onnx/tensor.js";
import { evaluateModel } from "../../src/task/evaluate-model.js";
import { tinyData, tinyModel } from "../support/tiny.js";

const DATA = tinyData();

function plainly(model: Model, { count, images, labels }: ResidentSplit): Evaluation {
  const pixels = Float32Array.from(images, (byte) => byte / 255);
  const feeds = new Map([["input", tensorFrom("float32", [count, 1, 8, 8], pixels)]]);
  const logits = evaluateGraph(model.graph, feeds).get("fc")?.numbers() ?? [];
  let [loss, right] = [0, 0];
  for (let i = 0; i < count; i++) {
    const row = logits.slice(3 * i, 3 * i + 3);
    const total = row.reduce((sum, logit) => sum + Math.exp(logit), 0);
    loss -= Math.log(Math.exp(row[labels[i]]) / total);
    if (row.indexOf(Math.max(...row)) === labels[i]) right++;
  }
  return { loss: loss / count, accuracy: right / count };
}

describe("evaluateModel", () => {
  const model = tinyModel();
  const expected = plainly(model, DATA.test);

  test.each([1, 7, 48, 250])("gives mean loss and accuracy, in batches of %i", async (batch) => {
    const { loss, accuracy } = await evaluateModel(model, DATA.test, DATA, { batch, threads: 1 });
    expect(loss).toBeCloseTo(expected.loss, 5);
    expect(accuracy).toBe(expected.accuracy);
  });

  test("takes the batch that the model is fixed to", async () => {
    const fixed = tinyModel();
    fixed.graph.inputs[0].type = { dtype: "float32", shape: [5, 1, 8, 8] };
    const { loss, accuracy } = await evaluateModel(fixed, DATA.test, DATA, { threads: 1 });
    expect(loss).toBeCloseTo(expected.loss, 5);
    expect(accuracy).toBe(expected.accuracy);
  });

  test("takes the lower class of equal logits", async () => {
    const level = tinyModel();
    for (const name of ["fc.weight", "fc.bias"]) {
      const { dims, size } = level.graph.initializers.get(name) ?? { dims: [], size: 0 };
      level.graph.initializers.set(name, tensorFrom("float32", dims, new Float32Array(size)));
    }
    const { loss, accuracy } = await evaluateModel(level, DATA.test, DATA, { threads: 1 });
    expect(loss).toBeCloseTo(Math.log(3), 6);
    expect(accuracy).toBe(DATA.test.labels.filter((label) => label === 0).length / DATA.test.count);
  });

  test("refuses images of another size, too few classes, and a split without images", async () => {
    await expect(evaluateModel(lenet5(), DATA.test, DATA)).rejects.toThrow(
      new InputError(
        'model "lenet-5" takes images of [1, 28, 28], but those of data set tiny are [1, 8, 8] (channels, height, width)',
      ),
    );
    const five = tinyData({ classes: 5 });
    const few = new InputError('model "tiny" has 3 classes, but data set tiny has 5');
    await expect(evaluateModel(model, five.test, five)).rejects.toThrow(few);
    const undeclared = tinyModel();
    undeclared.graph.outputs[0].type = undefined;
    await expect(evaluateModel(undeclared, five.test, five, { threads: 1 })).rejects.toThrow(few);
    const empty = tinyData({ rest: 0 });
    await expect(evaluateModel(model, empty.test, empty)).rejects.toThrow(
      new InputError("data set tiny: the split to evaluate on has no images"),
    );
  });
});
