/** Dropout in training: its masks by definition, in both executors, exact after resuming, and gone from what is evaluated. */

import { describe, expect, test } from "vitest";
import { importModel } from "../../src/import/import.js";
import { dropoutsOf } from "../../src/import/dropout.js";
import { encodeModelBytes } from "../../src/onnx/codec.js";
import { evaluateGraph } from "../../src/onnx/evaluate.js";
import { type Model, type Node } from "../../src/onnx/model.js";
import { sizeOf, type Tensor, tensorFrom } from "../../src/onnx/tensor.js";
import { withDefaults } from "../../src/options/with-defaults.js";
import { weights } from "../../src/prune/spec.js";
import { int, uint8 } from "../../src/quantize/spec.js";
import { train } from "../../src/run/train.js";
import type { Checkpoint, TrainOptions } from "../../src/run/types.js";
import { DropoutMasks } from "../../src/step/dropout.js";
import { stepGraph } from "../../src/step/graph.js";
import { planStep } from "../../src/step/plan.js";
import { Trainer } from "../../src/train/trainer.js";
import { tinyData, tinyModel } from "../support/tiny.js";

const DATA = tinyData();

/** The tiny network with Dropout before nodes of some kind: of 40 % of what they read. */
function dropping(...before: readonly string[]): Model {
  const model = tinyModel();
  const { graph } = model;
  graph.initializers.set("ratio", tensorFrom("float32", [], [0.4]));
  graph.nodes = graph.nodes.flatMap((node): Node[] => {
    if (!before.includes(node.op)) return [node];
    const name = `drop_${node.op}`;
    const dropout = {
      op: "Dropout",
      domain: "",
      name,
      outputs: [name],
      attributes: new Map<string, never>(),
    };
    const inputs = [node.inputs[0], "ratio"];
    return [
      { ...dropout, inputs },
      { ...node, inputs: [name, ...node.inputs.slice(1)] },
    ];
  });
  return model;
}

const PLACES = [["Gemm"], ["Conv"], ["MaxPool"], ["Relu", "Flatten"]];

describe("Dropout in a step", () => {
  test.each(PLACES)("multiplies what %s reads by its mask", (...before) => {
    const exported = dropping(...before);
    const model = importModel(exported);
    const dropouts = dropoutsOf(exported);
    expect(dropouts.length).toBe(before.length);
    const options = { batch: 2, layers: [], weights: "host", sampling: "host", dropouts } as const;
    const plan = planStep(model, { ...options, block: 8 });
    const { graph } = stepGraph(plan, "float").model;
    const feeds = (kept?: (size: number) => Float32Array): Map<string, Tensor> => {
      const values = new Map<string, Tensor>([
        [
          "images",
          tensorFrom(
            "float32",
            [2, 1, 8, 8],
            Float32Array.from({ length: 128 }, (_, i) => (i % 9) / 9),
          ),
        ],
        ["labels", tensorFrom("int64", [2], [0, 2])],
      ]);
      for (const [name, { kind }] of plan.tensors) {
        const value = plan.task.graph.initializers.get(name);
        if (kind === "parameter" && value !== undefined) values.set(name, value);
      }
      for (const one of kept === undefined ? [] : plan.dropouts) {
        values.set(one.kept, tensorFrom("float32", one.dims, kept?.(sizeOf(one.dims)) ?? []));
      }
      return values;
    };
    const lossOf = (kept: (size: number) => Float32Array): number =>
      evaluateGraph(graph, feeds(kept)).get("loss")?.numbers()[0] ?? NaN;
    const plainStep = stepGraph(planStep(model, { ...options, dropouts: [] }), "float").model.graph;
    const plain = evaluateGraph(plainStep, feeds()).get("loss")?.numbers()[0] ?? NaN;
    expect(lossOf((size) => new Float32Array(size).fill(1))).toBeCloseTo(plain, 6);
    expect(lossOf((size) => Float32Array.from({ length: size }, (_, i) => i % 2))).not.toBeCloseTo(plain, 3);
  });

  test("keeps 1 / (1 - ratio) of each element with probability 1 - ratio, anew in each step", () => {
    const exported = dropping("Gemm");
    const { dropouts } = planStep(importModel(exported), {
      batch: 500,
      layers: [],
      weights: "host",
      sampling: "host",
      dropouts: dropoutsOf(exported),
    });
    const masks = new DropoutMasks(dropouts, 7);
    const [{ array }] = masks.bound;
    expect(array.length).toBe(500 * 36);
    masks.draw(3);
    const first = array.slice();
    expect(new Set(first)).toEqual(new Set([0, Math.fround(1 / 0.6)]));
    const share = first.reduce((count, one) => count + Number(one > 0), 0) / first.length;
    // Five standard deviations.
    expect(Math.abs(share - 0.6)).toBeLessThan(5 * Math.sqrt((0.4 * 0.6) / first.length));
    masks.draw(4);
    const differ = array.reduce((count, one, i) => count + Number(one !== first[i]), 0) / first.length;
    expect(Math.abs(differ - 0.48)).toBeLessThan(0.02);
    masks.draw(3);
    expect(array).toEqual(first);
  });

  test("trains the same in the graph and on the host", async () => {
    const exported = dropping("Gemm", "MaxPool");
    const settings = withDefaults({
      batch: 16,
      epochs: 2,
      threads: 1,
      optimizer: { kind: "sgd", lr: 0.05 },
      sampler: { beta: [0, 0] },
    });
    const dropouts = dropoutsOf(exported);
    const losses = async (place: "host" | "graph", seed = 1): Promise<number[]> => {
      const options = { place, dropouts };
      const trainer = await Trainer.create(
        importModel(exported),
        DATA,
        96,
        [],
        { ...settings, seed },
        options,
      );
      const found = [(await trainer.epoch(1)).loss, (await trainer.epoch(2)).loss];
      await trainer.close();
      return found;
    };
    const host = await losses("host");
    (await losses("graph")).forEach((loss, i) => {
      expect(loss).toBeCloseTo(host[i], 4);
    });
    expect(await losses("host", 2)).not.toEqual(host);
  });
});

describe("a run of a model with Dropout", () => {
  const options = (changes: Partial<TrainOptions> = {}): TrainOptions => ({
    model: dropping("Gemm", "Relu"),
    data: DATA,
    prune: { fc: weights({ k: 12 }) },
    epochs: 3,
    batch: 16,
    threads: 1,
    ...changes,
  });

  test.each<[string, Partial<TrainOptions>]>([
    ["floats", {}],
    ["quantized weights and activations", { quantize: { "*": int(4), "activations.fc": uint8() } }],
  ])("ends without it, after other steps than one without, and resumes exactly: %s", async (_, changes) => {
    const checkpoints: Checkpoint[] = [];
    const onCheckpoint = (one: Checkpoint): Promise<void> => {
      checkpoints.push(one);
      return Promise.resolve();
    };
    const run = await train(options({ ...changes, onCheckpoint }));
    expect(run.model.graph.nodes.some(({ op }) => op === "Dropout")).toBe(false);
    const plain = await train(options({ ...changes, model: tinyModel() }));
    expect(plain.metrics[0].train.loss).not.toBeCloseTo(run.metrics[0].train.loss, 3);
    const resumed = await train(options({ ...changes, resume: checkpoints[0] }));
    expect(Buffer.compare(encodeModelBytes(resumed.model), encodeModelBytes(run.model))).toBe(0);
  });
});
