/** Samplers in several threads: the same bytes as in one, and errors in place of waiting where a thread fails. */

import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { describe, expect, test, vi } from "vitest";
import { KofnError } from "../../src/errors.js";
import { Board } from "../../src/host/board.js";
import type { HostSamplerOptions } from "../../src/host/sampler-room.js";
import { type HostSamplers, hostSamplers, type Sample } from "../../src/host/samplers.js";
import { SerialSamplers } from "../../src/host/serial.js";
import { ThreadedSamplers } from "../../src/host/threads.js";
import { optimizerOf } from "../../src/optim/optimizer.js";
import { Random } from "../../src/random.js";

interface Size {
  readonly rows: number;
  readonly n: number;
  readonly k: number;
}

const ADAM = optimizerOf({ kind: "adam", lr: 0.1, weightDecay: 0.01 });
const SGD = optimizerOf({ kind: "sgd", lr: 0.1 });
const MOMENTUM = optimizerOf({ kind: "sgd", lr: 0.1, momentum: 0.9, nesterov: true });

/** Rows that are no multiple of four, rows that fill no whole vector, rows that are ranked whole, and rows longer than a block. */
const SIZES: readonly Size[] = [
  { rows: 301, n: 157, k: 12 },
  { rows: 1023, n: 9, k: 2 },
  { rows: 6, n: 20_001, k: 700 },
  { rows: 1, n: 1, k: 1 },
  { rows: 130, n: 64, k: 64 },
];
const MANY = Array.from({ length: 40 }, (_, i): Size => ({ rows: 5 + i, n: 3 + 11 * i, k: 1 + i }));

function optionsOf(sizes: readonly Size[], others: Partial<HostSamplerOptions>): HostSamplerOptions[] {
  return sizes.map(({ rows, n, k }, i) => {
    const own = { rows, n, most: k, seed: 7, name: `layer ${i}`, optimizer: ADAM, entropy: 0 };
    return { ...own, ...others };
  });
}

function fillNormal(array: Float32Array, stream: string): void {
  const random = new Random(5, stream);
  for (let i = 0; i < array.length; i++) array[i] = random.normal();
}

/**
 * Everything that some steps leave, with k that falls, and the masks of each step.
 *
 * @param ahead whether the pass that updates draws the next masks
 */
function train(
  samplers: HostSamplers,
  options: readonly HostSamplerOptions[],
  steps: number,
  ahead = false,
): Float32Array[] {
  const sampleAt = (step: number): Sample => ({
    step,
    beta: Math.max(0, 1 - 0.2 * step),
    k: options.map(({ most }) => Math.max(1, most - step)),
  });
  for (const [i, { logits, weights }] of samplers.all.entries()) {
    fillNormal(logits, `logits ${i}`);
    if (weights !== undefined) fillNormal(weights.values, `weights ${i}`);
  }
  const left: Float32Array[] = [];
  for (let step = 0; step < steps; step++) {
    if (step === 0 || !ahead) samplers.sample(sampleAt(step));
    for (const [i, { mask, gradient }] of samplers.all.entries()) {
      left.push(mask.slice());
      fillNormal(gradient, `gradient ${i}, ${step}`);
    }
    const ofLogits = options[0].optimizer.scalars(step + 1, 0.1);
    const ofWeights = (options[0].weights ?? SGD).scalars(step + 1, 0.02);
    const next = ahead && step + 1 < steps ? sampleAt(step + 1) : undefined;
    samplers.update(0.7 / (1 + step), ofLogits, ofWeights, next);
  }
  for (const { logits, states, weights, perturbed } of samplers.all) {
    left.push(logits, perturbed, ...states.values());
    if (weights !== undefined) left.push(weights.values, ...weights.states.values());
  }
  return left.map((array) => array.slice());
}

const bytesOf = (arrays: readonly Float32Array[]): Buffer[] =>
  arrays.map(({ buffer, byteOffset, byteLength }) => Buffer.from(buffer, byteOffset, byteLength));

describe("threads", () => {
  test.each<[string, readonly Size[], Partial<HostSamplerOptions>]>([
    ["Adam", SIZES, {}],
    ["SGD", SIZES, { optimizer: SGD }],
    ["momentum and entropy", SIZES, { optimizer: MOMENTUM, entropy: 0.3 }],
    ["weights under SGD", SIZES, { weights: MOMENTUM }],
    ["weights under Adam, and entropy", SIZES, { weights: ADAM, entropy: 0.3 }],
    ["many layers", MANY, { weights: ADAM }],
    ["many layers without weights", MANY, { entropy: 0.1 }],
  ])("compute the same bytes: %s", async (_, sizes, others) => {
    const options = optionsOf(sizes, others);
    const expected = bytesOf(train(new SerialSamplers(options), options, 4));
    for (const threads of [2, 3]) {
      for (const ahead of [false, true]) {
        const samplers = new ThreadedSamplers(options, threads);
        await samplers.open();
        const found = bytesOf(train(samplers, options, 4, ahead));
        await samplers.close();
        const differ = found.flatMap((bytes, i) => (bytes.equals(expected[i]) ? [] : [i]));
        expect(differ, `${threads} threads, ahead: ${ahead}`).toEqual([]);
        expect(found.length).toBe(expected.length);
      }
    }
  });

  test.each([2, 3])("do so where the first of %i takes no block", async (threads) => {
    const options = optionsOf(SIZES, { weights: ADAM, entropy: 0.1 });
    const expected = bytesOf(train(new SerialSamplers(options), options, 4));
    const samplers = new ThreadedSamplers(options, threads);
    await samplers.open();
    const take = vi.spyOn(Board.prototype, "take").mockReturnValue(undefined);
    const found = bytesOf(train(samplers, options, 4, true));
    expect(take).toHaveBeenCalledTimes(5);
    take.mockRestore();
    await samplers.close();
    expect(found.every((bytes, i) => bytes.equals(expected[i]))).toBe(true);
  });

  test("do so where there is a block for each of two and none besides, again and again", async () => {
    const options = optionsOf([{ rows: 8, n: 2048, k: 100 }], { weights: ADAM });
    const expected = bytesOf(train(new SerialSamplers(options), options, 60));
    const samplers = new ThreadedSamplers(options, 3);
    await samplers.open();
    const found = bytesOf(train(samplers, options, 60, true));
    await samplers.close();
    expect(found.every((bytes, i) => bytes.equals(expected[i]))).toBe(true);
  });

  test("leave the gradient of the mask, and draw the mask in arrays that onnxruntime takes", async () => {
    const options = optionsOf(SIZES, {});
    const samplers = new ThreadedSamplers(options, 2);
    await samplers.open();
    const [{ mask, gradient }] = samplers.all;
    samplers.sample({ step: 0, beta: 1, k: SIZES.map(({ k }) => k) });
    gradient.fill(0.25);
    samplers.update(1, ADAM.scalars(1, 0.1), SGD.scalars(1, 0.1));
    await samplers.close();
    expect(mask.buffer).toBeInstanceOf(ArrayBuffer);
    expect(mask.reduce((a, b) => a + b)).toBe(SIZES[0].rows * SIZES[0].k);
    expect(gradient.every((value) => value === 0.25)).toBe(true);
  });

  test("are as many as asked for, where there is work for them", () => {
    const large = optionsOf([{ rows: 200, n: 500, k: 3 }], {});
    expect(hostSamplers(large, 1)).toBeInstanceOf(SerialSamplers);
    expect(hostSamplers(large, 2)).toBeInstanceOf(ThreadedSamplers);
    expect(hostSamplers(optionsOf([{ rows: 199, n: 500, k: 3 }], {}), 16)).toBeInstanceOf(SerialSamplers);
    expect(hostSamplers([], 2)).toBeInstanceOf(SerialSamplers);
  });
});

describe("a thread that fails", { timeout: 120_000 }, () => {
  const sizes = [{ rows: 400, n: 500, k: 3 }];
  const options = optionsOf(sizes, {});

  /** Samplers whose other thread runs a script of its own; it begins with what it was told, and takes a block with `take`. */
  async function withScript(script: string, patience?: number): Promise<ThreadedSamplers> {
    const contents = `
      import { workerData } from "node:worker_threads";
      import { Board } from "./board.js";
      const { port, board: memory, blocks, samplers } = workerData;
      const board = new Board(memory, blocks.length, samplers.length);
      const take = () => {
        for (let calls = 0, block; ; ) {
          calls = board.awaitCall(calls);
          if ((block = board.take()) !== undefined) return block;
        }
      };
      ${script}
    `;
    const stdin = { contents, resolveDir: fileURLToPath(new URL("../../src/host/", import.meta.url)) };
    const { outputFiles } = await build({
      stdin,
      bundle: true,
      format: "cjs",
      platform: "node",
      write: false,
    });
    return new ThreadedSamplers(options, 2, outputFiles[0].text, patience);
  }

  /**
   * Samples until an error comes: on a busy machine the other thread may get no block for long. Between steps the event loop
   * turns, as it does while onnxruntime runs.
   */
  async function sampleUntilError(samplers: ThreadedSamplers): Promise<unknown> {
    try {
      const end = performance.now() + 60_000;
      for (let step = 0; performance.now() < end; step++) {
        samplers.sample({ step, beta: 1, k: [3] });
        await new Promise((resolve) => setImmediate(resolve));
      }
    } catch (error) {
      return error;
    } finally {
      await samplers.close();
    }
    return undefined;
  }

  test.each([
    ["throws at its start", `throw new RangeError("no memory for it");`, "no memory for it"],
    ["ends at its start", `process.exit(3);`, "exit code 3"],
  ])("is told of by open: it %s", async (_, script, reason) => {
    const samplers = await withScript(script);
    const error = await samplers.open().then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(KofnError);
    expect(String(error)).toContain(reason);
  });

  test("makes the step fail in which it fails, and those that follow", async () => {
    const samplers = new ThreadedSamplers(options, 2);
    const one = samplers.all[0] as { address: number };
    const { address } = one;
    // The other thread is told of a place where there is no memory.
    one.address = 2 ** 32 - 4096;
    await samplers.open();
    one.address = address;
    const error = await sampleUntilError(samplers);
    expect(error).toBeInstanceOf(KofnError);
    expect(String(error)).toContain("memory access out of bounds");
    expect(() => {
      samplers.update(1, ADAM.scalars(1, 0.1), SGD.scalars(1, 0.1));
    }).toThrow(KofnError);
  });

  test("makes a step fail if it ended between steps", async () => {
    const samplers = await withScript(
      `port.postMessage("ready"); board.awaitCall(0); throw new Error("gone");`,
    );
    await samplers.open();
    const error = await sampleUntilError(samplers);
    expect(error).toBeInstanceOf(KofnError);
    expect(String(error)).toContain("gone");
  });

  test("makes a step fail if it does not finish what it took", async () => {
    const samplers = await withScript(`port.postMessage("ready"); take(); process.exit(1);`, 1);
    await samplers.open();
    const error = await sampleUntilError(samplers);
    expect(error).toBeInstanceOf(KofnError);
    expect(String(error)).toContain("has not answered for 2 seconds");
  });
});

describe("close", () => {
  test("ends threads that wait, and may be called before open and twice", async () => {
    const samplers = new ThreadedSamplers(optionsOf(SIZES, {}), 3);
    await samplers.close();
    const others = new ThreadedSamplers(optionsOf(SIZES, {}), 3);
    await others.open();
    await others.close();
    await others.close();
    // All blocks are done in this thread then.
    others.sample({ step: 0, beta: 1, k: SIZES.map(({ k }) => k) });
    expect(others.all[3].mask[0]).toBe(1);
  });
});
