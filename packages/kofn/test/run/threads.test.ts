/** Runs whose masks are drawn in several threads: the same bytes as in one, in models, checkpoints and metrics. */

import { beforeEach, describe, expect, test, vi } from "vitest";
import { encodeModelBytes } from "../../src/onnx/codec.js";
import type * as HostSamplersModule from "../../src/host/samplers.js";
import { SerialSamplers } from "../../src/host/serial.js";
import { ThreadedSamplers } from "../../src/host/threads.js";
import { maps, weights } from "../../src/prune/spec.js";
import { binary, int } from "../../src/quantize/spec.js";
import { train } from "../../src/run/train.js";
import type { Checkpoint, TrainOptions } from "../../src/run/types.js";
import { tinyData, tinyModel } from "../support/tiny.js";

/** In how many threads masks are drawn, if not in as many as a run would choose; and in how many they were. */
const sampling = vi.hoisted(() => ({
  forced: undefined as number | undefined,
  made: [] as string[],
}));

vi.mock("../../src/host/samplers.js", async (importOriginal) => {
  const original = await importOriginal<typeof HostSamplersModule>();
  const { hostSamplers } = original;
  const make: typeof HostSamplersModule.hostSamplers = (options, threads) => {
    const { forced } = sampling;
    const samplers =
      forced === undefined
        ? hostSamplers(options, threads)
        : forced === 1
          ? new SerialSamplers(options)
          : new ThreadedSamplers(options, forced);
    sampling.made.push(samplers.constructor.name);
    return samplers;
  };
  return { ...original, hostSamplers: make };
});

beforeEach(() => {
  sampling.made.length = 0;
});

const DATA = tinyData();

function options(changes: Partial<TrainOptions>): TrainOptions {
  return {
    model: tinyModel(),
    data: DATA,
    prune: { conv: weights({ k: 4 }), fc: weights({ k: 12 }) },
    optimizer: { kind: "adam", lr: 0.01 },
    epochs: 4,
    batch: 16,
    threads: 1,
    ...changes,
  };
}

interface Run {
  readonly model: Buffer;
  readonly checkpoints: readonly Checkpoint[];
  readonly losses: readonly number[];
}

async function run(threads: number | undefined, changes: Partial<TrainOptions>): Promise<Run> {
  sampling.forced = threads;
  const checkpoints: Checkpoint[] = [];
  const onCheckpoint = (checkpoint: Checkpoint): Promise<void> => {
    checkpoints.push(checkpoint);
    return Promise.resolve();
  };
  const { model, metrics } = await train(options({ onCheckpoint, ...changes }));
  const losses = metrics.flatMap((line) => [line.train.loss, line.validation.loss]);
  return { model: Buffer.from(encodeModelBytes(model)), checkpoints, losses };
}

/** Names of the tensors of checkpoints whose bytes differ. */
function differing(a: readonly Checkpoint[], b: readonly Checkpoint[]): string[] {
  expect(a.length).toBe(b.length);
  return a.flatMap(({ tensors }, i) => {
    expect([...b[i].tensors.keys()]).toEqual([...tensors.keys()]);
    return [...tensors].flatMap(([name, { bytes }]) => {
      const other = b[i].tensors.get(name)?.bytes ?? new Uint8Array();
      return Buffer.compare(bytes, other) === 0 ? [] : [name];
    });
  });
}

describe("train", () => {
  test.each<[string, Partial<TrainOptions>]>([
    ["weights", {}],
    ["weights, while k shrinks and with entropy", { sampler: { shrink: [0, 0.6], entropy: 0.01 } }],
    ["maps", { prune: { conv: maps({ k: 2 }), fc: weights({ k: 12 }) } }],
    [
      "quantized weights, later, and frozen masks",
      { quantize: { "*": int(4) }, quantizeFrom: 0.4, freezeFrom: 0.7 },
    ],
    ["binary weights", { quantize: { "*": binary() } }],
  ])("%s: it does not matter how many threads sample, nor that others go on", async (_, changes) => {
    const one = await run(1, changes);
    for (const threads of [2, 3]) {
      const found = await run(threads, changes);
      expect(found.losses).toEqual(one.losses);
      expect(differing(one.checkpoints, found.checkpoints)).toEqual([]);
      expect(found.model.equals(one.model)).toBe(true);
    }
    const resumed = await run(2, { ...changes, resume: one.checkpoints[1] });
    expect(resumed.model.equals(one.model)).toBe(true);
    expect(differing(one.checkpoints.slice(2), resumed.checkpoints)).toEqual([]);
  });

  test("samples in the threads it is given, where there are enough logits", async () => {
    // fc has 3 x 36,000 of them.
    const changes = {
      model: tinyModel(4000),
      prune: { fc: weights({ k: 100 }) },
      epochs: 2,
      batch: 32,
      threads: 2,
    };
    const chosen = await run(undefined, changes);
    expect(sampling.made).toEqual(["ThreadedSamplers"]);
    const one = await run(1, changes);
    expect(differing(one.checkpoints, chosen.checkpoints)).toEqual([]);
    expect(chosen.model.equals(one.model)).toBe(true);
  });

  test("leaves nothing in memory that threads share", async () => {
    sampling.forced = 2;
    const { model, masks } = await train(options({ epochs: 1 }));
    const tensors = [...model.graph.initializers.values(), ...masks.values()];
    expect(tensors.every(({ bytes }) => bytes.buffer instanceof ArrayBuffer)).toBe(true);
  });
});
