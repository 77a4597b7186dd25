import { describe, expect, test } from "vitest";
import { idxDataset } from "../../src/datasets/idx.js";
import { measureNormalization } from "../../src/data/normalization.js";
import type { Dataset } from "../../src/data/types.js";
import { loadModel } from "../../src/files/models.js";
import type { Model } from "../../src/onnx/model.js";
import {
  chooseNormalization,
  describeChoice,
  recordedNormalization,
  withNormalization,
} from "../../src/task/normalize.js";
import { train } from "../../src/run/train.js";
import { sharedFolder } from "../support/fixtures.js";
import { tinyData, tinyModel } from "../support/tiny.js";

const NORMALIZATION = { mean: [0.3], std: [0.2] };
const fixtures = sharedFolder("fixtures");

describe("the normalization of a model", () => {
  test("is what is asked for, else what its metadata says, else the data set's", async () => {
    const data: Dataset = { ...tinyData(), normalization: NORMALIZATION };
    const model: Model = { ...tinyModel(), producerName: "kofn" };
    expect(await chooseNormalization(model, data)).toMatchObject({
      normalization: NORMALIZATION,
      reason: "data",
    });
    expect(await chooseNormalization(model, tinyData())).toMatchObject({
      normalization: { mean: [0], std: [1] },
    });
    const recorded = withNormalization(model, { mean: [0.1], std: [0.7] });
    expect(await chooseNormalization(recorded, data)).toMatchObject({
      normalization: { mean: [0.1], std: [0.7] },
      reason: "metadata",
    });
    expect(model.metadata.size).toBe(0);
    const asked = await chooseNormalization(recorded, data, { normalize: "none" });
    expect(asked).toMatchObject({ normalization: { mean: [0], std: [1] }, reason: "asked" });
    expect(describeChoice(asked)).toBeUndefined();
  });

  test("in damaged metadata is an error", () => {
    const broken = (mean: string, std: string) => () => {
      const model = tinyModel();
      model.metadata.set("kofn.input.mean", mean).set("kofn.input.std", std);
      return recordedNormalization(model);
    };
    expect(broken("[0.1", "[1]")).toThrow('expected a JSON array of numbers under "kofn.input.mean"');
    expect(broken("[0.1]", '["1"]')).toThrow('"kofn.input.std"');
    expect(broken("[0.1]", "[0]")).toThrow("standard deviations above 0");
    expect(broken("[0.1]", "[1, 1]")).toThrow("expected as many means");
  });

  test("is recorded by training, and found out for models of others", async () => {
    const data = tinyData({ train: 300 });
    const sharp = { mean: [0.6], std: [0.05] };
    const run = await train({ model: tinyModel(), data, epochs: 10, batch: 20, normalize: sharp });
    expect(recordedNormalization(run.model)).toEqual(sharp);
    expect(run.report.result.test.accuracy).toBeGreaterThan(0.9);

    const foreign = { ...run.model, producerName: "other", metadata: new Map<string, string>() };
    const choice = await chooseNormalization(foreign, { ...data, normalization: sharp });
    expect(choice).toMatchObject({ reason: "tried", samples: 48 });
    const accuracies = choice.candidates.map(({ accuracy }) => accuracy);
    expect(accuracies[0]).toBeGreaterThan(Math.max(...accuracies) - 0.08);
    expect(choice.normalization).toBe(choice.candidates[0].normalization);
    expect(describeChoice(choice)).toContain("on 48 validation images");

    const untrained = { ...tinyModel(), producerName: "other" };
    const parameters = untrained.graph.initializers;
    for (const tensor of parameters.values()) (tensor.array() as Float32Array).fill(0);
    const guess = await chooseNormalization(untrained, { ...data, normalization: NORMALIZATION });
    expect(guess).toMatchObject({ reason: "untrained", normalization: NORMALIZATION });
    expect(describeChoice(guess)).toContain("near chance");
  });
});

describe.skipIf(fixtures === undefined)("a network of PyTorch's", () => {
  test("that wants pixels / 255 gets them", async () => {
    const folder = sharedFolder("datasets/mnist");
    const classes = "0 1 2 3 4 5 6 7 8 9".split(" ");
    const data = await idxDataset("mnist", folder ?? "", classes);
    const model = await loadModel(`${fixtures ?? ""}/lenet5-mnist.onnx`);
    const { normalization, reason, candidates } = await chooseNormalization(model, data);
    expect({ normalization, reason }).toEqual({ normalization: { mean: [0], std: [1] }, reason: "tried" });
    expect(candidates[0].accuracy).toBeGreaterThan(0.98);
    expect(measureNormalization(data.test.images, data).mean[0]).toBeCloseTo(0.13, 2);
  });
});
