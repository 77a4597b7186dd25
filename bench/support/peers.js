/** The PyTorch programs that kofn is measured beside: a dense training step, and the sampler as published. */

import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { messageOf, peakMemory, run } from "./process.js";

const PYTHON = "/usr/bin/python3";
const FOLDER = fileURLToPath(new URL("../../../shared/peers/", import.meta.url));
const STEP = `${FOLDER}torch_step.py`;
const SAMPLER = `${FOLDER}reference_dpp.py`;

/** Draws what the published sampler's program draws in each of its timed runs besides the noise. */
const DRAW_INPUTS = `
import sys, time, torch
rows, n, threads = map(int, sys.argv[1:])
torch.set_num_threads(threads)
times = []
for _ in range(9):
    start = time.perf_counter()
    for _ in range(2): torch.randn(rows, n, dtype=torch.float64).to(torch.float32)
    times.append(time.perf_counter() - start)
print(sorted(times)[4] * 1e3)
`;

/**
 * @typedef {object} SamplerSize
 * @property {number} rows
 * @property {number} n
 * @property {number} k
 */

/**
 * The peers, or why there are none.
 *
 * @returns {Promise<Peers | { missing: string }>}
 */
export async function findPeers() {
  for (const file of [STEP, SAMPLER]) {
    if (!existsSync(file)) return { missing: `the peers' program ${file} is absent` };
  }
  try {
    const version = await run(PYTHON, ["-c", "import torch; print(torch.__version__)"]);
    return new Peers(version.trim());
  } catch (error) {
    return { missing: `${PYTHON} has no PyTorch (${lastLine(messageOf(error))})` };
  }
}

export class Peers {
  /** @param {string} version PyTorch's */
  constructor(version) {
    this.version = version;
  }

  /**
   * Median milliseconds of `steps` dense training steps with Adam, in a process of their own, after 3 to warm up.
   *
   * @param {string} network
   * @param {number} batch
   * @param {number} threads
   * @param {number} steps
   * @returns {Promise<number>}
   */
  async stepMs(network, batch, threads, steps) {
    const { stepMs } = /** @type {{ stepMs: number }} */ (
      JSON.parse(await run(PYTHON, stepArguments(network, batch, threads, steps)))
    );
    return stepMs;
  }

  /**
   * Peak resident MiB of the program that `stepMs` runs.
   *
   * @param {string} network
   * @param {number} batch
   * @param {number} threads
   * @param {number} steps
   * @returns {Promise<number>}
   */
  stepMemory(network, batch, threads, steps) {
    return peakMemory(PYTHON, stepArguments(network, batch, threads, steps));
  }

  /**
   * Peak resident MiB of importing PyTorch.
   *
   * @returns {Promise<number>}
   */
  idleMemory() {
    return peakMemory(PYTHON, ["-c", "import time, torch; time.sleep(0.1)"]);
  }

  /**
   * Median milliseconds of 5 runs of the published sampler, forward and backward, after 1 to warm up.
   *
   * @param {SamplerSize} size
   * @param {number} threads
   * @returns {Promise<number>}
   */
  async samplerMs(size, threads) {
    const { forwardBackwardMs } = /** @type {{ forwardBackwardMs: number }} */ (
      JSON.parse(await run(PYTHON, samplerArguments(size, threads)))
    );
    return forwardBackwardMs;
  }

  /**
   * Peak resident MiB of the program that `samplerMs` runs.
   *
   * @param {SamplerSize} size
   * @param {number} threads
   * @returns {Promise<number>}
   */
  samplerMemory(size, threads) {
    return peakMemory(PYTHON, samplerArguments(size, threads));
  }

  /**
   * The part of `samplerMs` that goes into drawing logits and an upstream gradient, which are no part of the sampler.
   *
   * @param {SamplerSize} size
   * @param {number} threads
   * @returns {Promise<number>}
   */
  async samplerInputsMs({ rows, n }, threads) {
    return Number(await run(PYTHON, ["-c", DRAW_INPUTS, String(rows), String(n), String(threads)]));
  }
}

/**
 * @param {string} network
 * @param {number} batch
 * @param {number} threads
 * @param {number} steps
 */
function stepArguments(network, batch, threads, steps) {
  return [STEP, network, "--batch", `${batch}`, "--threads", `${threads}`, "--steps", `${steps}`];
}

/**
 * @param {SamplerSize} size
 * @param {number} threads
 */
function samplerArguments({ rows, n, k }, threads) {
  return [SAMPLER, "--rows", `${rows}`, "--n", `${n}`, "--k", `${k}`, "--threads", `${threads}`];
}

/** @param {string} text */
function lastLine(text) {
  return text.trim().split("\n").at(-1) ?? "";
}
