/** Every method that computes masks, in whole runs: exactly k, the same bytes again and resumed, quantized too; and what is refused. */

import { METHODS, type Method } from "@kofn/format/run/words.js";
import { describe, expect, test } from "vitest";
import { epochOrder } from "../../src/data/batches.js";
import { encodeModelBytes } from "../../src/onnx/codec.js";
import { type Tensor, tensor } from "../../src/onnx/tensor.js";
import { chooserOf } from "../../src/prune/methods/methods.js";
import { planPrune } from "../../src/prune/plan.js";
import { kernels, maps, weights } from "../../src/prune/spec.js";
import { topKMask } from "../../src/prune/topk.js";
import type { PruneSpec } from "../../src/prune/types.js";
import { countPerGroup } from "../../src/prune/units.js";
import { int } from "../../src/quantize/spec.js";
import { planRun } from "../../src/run/plan.js";
import { train } from "../../src/run/train.js";
import type { Checkpoint, TrainOptions } from "../../src/run/types.js";
import { evaluateModel } from "../../src/task/evaluate-model.js";
import { standardised } from "../../src/train/initial-values.js";
import { tinyData, tinyModel } from "../support/tiny.js";

const DATA = tinyData();

const RULES: Readonly<Record<"weights" | "kernels" | "maps", PruneSpec>> = {
  weights: { conv: weights({ k: 4 }), fc: weights({ k: 12 }) },
  kernels: { conv: kernels({ k: 1 }) },
  maps: { conv: maps({ k: 2 }) },
};

const MATRIX = METHODS.flatMap((method) =>
  (["weights", "kernels", "maps"] as const)
    .filter((granularity) => chooserOf(method)?.granularities.includes(granularity))
    .flatMap((granularity) =>
      [false, true].map((isQuantized) => ({ method, granularity, bits: isQuantized ? "int4" : "float32" })),
    ),
);

function options(method: Method, prune: PruneSpec, changes: Partial<TrainOptions> = {}): TrainOptions {
  const few = { batch: 8, epochs: 4, threads: 1 } as const;
  return { model: tinyModel(), data: DATA, prune, method, ...few, ...changes };
}

describe.each(MATRIX)("$method by $granularity, $bits", ({ method, granularity, bits }) => {
  const prune = RULES[granularity];
  const quantized = bits === "float32" ? {} : { quantize: { "*": int(4) }, quantizeFrom: 0.25 };

  test("keeps exactly k, and goes on from a checkpoint to the same bytes", async () => {
    const checkpoints: Checkpoint[] = [];
    const onCheckpoint = (checkpoint: Checkpoint): Promise<void> => {
      checkpoints.push(checkpoint);
      return Promise.resolve();
    };
    const run = await train(options(method, prune, { ...quantized, onCheckpoint }));
    expect(run.report.method).toBe(method);
    for (const layer of planPrune(tinyModel().graph, prune)) {
      const mask = run.masks.get(layer.weight)?.array() ?? new Uint8Array();
      expect(new Set(countPerGroup(layer, mask))).toEqual(new Set([layer.k]));
    }
    const bytes = encodeModelBytes(run.model);
    for (const resume of [checkpoints[0], checkpoints[2]]) {
      const resumed = await train(options(method, prune, { ...quantized, resume }));
      expect(Buffer.compare(encodeModelBytes(resumed.model), bytes)).toBe(0);
    }
    const onTwo = await train(options(method, prune, { ...quantized, threads: 2 }));
    expect([...onTwo.masks.keys()]).toEqual([...run.masks.keys()]);
  });
});

/** The logits of each epoch's end, by weights. */
async function logitsAfter(method: Method, changes: Partial<TrainOptions> = {}): Promise<Float32Array[]> {
  const logits: Float32Array[] = [];
  const onCheckpoint = ({ tensors }: Checkpoint): Promise<void> => {
    logits.push((tensors.get("current/fc.weight/logits") as Tensor<"float32">).array().slice());
    return Promise.resolve();
  };
  await train(options(method, RULES.weights, { ...changes, onCheckpoint }));
  return logits;
}

describe("masks", () => {
  const [{ groups, n, k }] = planPrune(tinyModel().graph, { fc: weights({ k: 12 }) });
  const masksOf = (logits: readonly Float32Array[]): Uint8Array[] =>
    logits.map((one) => topKMask(one, groups, n, k));

  test.each(["random", "snip"] as const)("of %s stay as they begin", async (method) => {
    const [first, ...others] = await logitsAfter(method);
    for (const other of others) expect(other).toEqual(first);
  });

  test.each(["set", "rigl"] as const)("of %s move, and stand still when they are frozen", async (method) => {
    const [first, second] = masksOf(await logitsAfter(method));
    expect(first).not.toEqual(second);
    const [frozen, later] = masksOf(await logitsAfter(method, { freezeFrom: 0.2 }));
    expect(frozen).toEqual(later);
  });

  test.each([
    ["set", 9],
    ["rigl", 9],
    ["gradual", 0],
  ] as const)(
    "of %s: at most %i of the kept weights have just come back, with weights and moments of 0",
    async (method, most) => {
      const checkpoints: Checkpoint[] = [];
      const onCheckpoint = (checkpoint: Checkpoint): Promise<void> => {
        checkpoints.push(checkpoint);
        return Promise.resolve();
      };
      await train(options(method, RULES.weights, { onCheckpoint }));
      const array = (name: string): Float32Array =>
        (checkpoints[0].tensors.get(`current/${name}`) as Tensor<"float32">).array();
      const kept = topKMask(array("fc.weight/logits"), groups, n, k);
      const zeros = (name: string): number[] =>
        [...array(name).keys()].filter((i) => kept[i] === 1 && array(name)[i] === 0);
      const grown = zeros("fc.weight");
      expect(grown.length).toBeLessThanOrEqual(most);
      expect(grown.length > 0).toBe(most > 0);
      for (const state of ["m", "v"]) {
        expect(zeros(`fc.weight/${state}`)).toEqual(expect.arrayContaining(grown));
      }
    },
  );

  test("of magnitude are chosen at half of training, and those of gradual before", async () => {
    const [, , after] = await logitsAfter("magnitude", { epochs: 5 });
    const [early] = await logitsAfter("gradual", { epochs: 5 });
    expect(after).not.toEqual(early);
  });

  test("are those of the largest weights where a trained model is pruned at once", async () => {
    const model = tinyModel();
    const masks: Uint8Array[] = [];
    const onCheckpoint = ({ tensors }: Checkpoint): Promise<void> => {
      const logits = (tensors.get("current/fc.weight/logits") as Tensor<"float32">).array();
      masks.push(topKMask(logits, groups, n, k));
      return Promise.resolve();
    };
    await train(options("magnitude", RULES.weights, { model, pretrained: true, onCheckpoint }));
    const weight = (model.graph.initializers.get("fc.weight") as Tensor<"float32">).array();
    expect(masks[0]).toEqual(topKMask(weight.map(Math.abs), groups, n, k));
  });
});

test("snip scores a unit by how much the loss changes with it, in central differences", async () => {
  const model = tinyModel();
  const [{ groups, n, weight }] = planPrune(model.graph, { fc: weights({ k: 12 }) });
  const logits: Float32Array[] = [];
  const onCheckpoint = ({ tensors }: Checkpoint): Promise<void> => {
    logits.push((tensors.get(`current/${weight}/logits`) as Tensor<"float32">).array());
    return Promise.resolve();
  };
  const few = { batch: 8, epochs: 2, seed: 5, normalize: "none", onCheckpoint } as const;
  await train(options("snip", { fc: weights({ k: 12 }) }, few));
  // The first four batches of the first epoch.
  const order = epochOrder(DATA.train.count, 5, 1).subarray(0, 32);
  const images = new Uint8Array(32 * 64);
  order.forEach((sample, i) => {
    images.set(DATA.train.images.subarray(64 * sample, 64 * (sample + 1)), 64 * i);
  });
  const split = { count: 32, images, labels: Uint16Array.from(order, (sample) => DATA.train.labels[sample]) };
  const stored = model.graph.initializers.get(weight) as Tensor<"float32">;
  const lossAt = async (index: number, factor: number): Promise<number> => {
    const values = stored.array().map((value, i) => (i === index ? factor * value : value));
    const initializers = new Map(model.graph.initializers).set(
      weight,
      tensor("float32", stored.dims, values),
    );
    const changed = { ...model, graph: { ...model.graph, initializers } };
    return (await evaluateModel(changed, split, DATA, { threads: 1 })).loss;
  };
  const scores = new Float32Array(groups * n);
  for (let i = 0; i < scores.length; i++) {
    scores[i] = Math.abs((await lossAt(i, 1.1)) - (await lossAt(i, 0.9)));
  }
  const expected = standardised(scores, n);
  for (const [i, value] of expected.entries()) expect(logits[0][i], `unit ${i}`).toBeCloseTo(value, 1);
});

test("dense leaves all rules out", async () => {
  const run = await train(options("dense", RULES.weights));
  expect(run.masks.size).toBe(0);
  expect(run.report.totals.kept).toBe(run.report.totals.weights);
});

describe("refused is", () => {
  test.each<[string, Method, PruneSpec, Partial<TrainOptions>, RegExp]>([
    [
      "a method that can't do a granularity",
      "rigl",
      RULES.maps,
      {},
      /"rigl" prunes weights alone, but "conv"/,
    ],
    ["l2 of single weights", "l2", RULES.weights, {}, /"l2" prunes kernels and maps alone/],
    [
      "a gradual magnitude",
      "magnitude",
      RULES.weights,
      { sampler: { shrink: [0, 0.5] } },
      /at one moment.*got 0:0.5/,
    ],
    [
      "random masks that shrink",
      "random",
      RULES.weights,
      { sampler: { shrink: [0, 0.5] } },
      /from the start/,
    ],
    ["a method and masks", "set", RULES.weights, { masks: new Map() }, /masks are given/],
    [
      "an option of learned masks",
      "set",
      RULES.weights,
      { sampler: { beta: [0, 0] } },
      /sampler.beta \(--beta\) has no effect/,
    ],
    [
      "another optimizer of logits",
      "dense",
      {},
      { sampler: { optimizer: { kind: "sgd", lr: 1 } } },
      /--logit-lr/,
    ],
    ["an unknown method", "lottery" as Method, RULES.weights, {}, /method: expected .*dpp.*got "lottery"/],
  ])("%s", async (_, method, prune, changes, message) => {
    await expect(train(options(method, prune, changes))).rejects.toThrow(message);
  });
});

test("a plan says what a method can't prune before anything is trained", () => {
  expect(() => planRun(tinyModel(), { method: "set", prune: RULES.kernels })).toThrow(/"set" prunes weights/);
});
