/** The networks that are benched, how they are pruned, and trainers of them whose steps can be timed one by one. */

import { internals } from "./internals.js";

/** @typedef {keyof typeof PRUNE} NetworkName */
/** @typedef {"dense" | "dpp"} Mode */

const { Trainer } = await internals.trainer();
const { withDefaults } = await internals.settings();
const { ZOO } = await internals.zoo();
const { glyphs } = await internals.glyphs();
const { prunableLayers } = await internals.layers();
const { parsePrune, resolvePrune } = await internals.pruneSpec();

export const BATCH = 64;

/** As on the command line: 16.6 times and 21.5 times fewer weights. */
export const PRUNE = {
  "lenet-300-100": ["fc1=weights:40", "fc2=weights:30"],
  "lenet-5": ["conv2=weights:50", "fc1=weights:32", "fc2=weights:100"],
};

export const NETWORKS = /** @type {NetworkName[]} */ (Object.keys(PRUNE));

/** @type {readonly Mode[]} */
export const MODES = ["dense", "dpp"];

/**
 * @param {NetworkName} network
 * @param {Mode} mode
 */
export function networkOf(network, mode) {
  const model = ZOO[network]();
  const specs = mode === "dpp" ? PRUNE[network] : [];
  const prune = new Map(
    specs.map((spec) => {
      const { pattern, rule } = parsePrune(spec);
      return [pattern, rule];
    }),
  );
  return { model, layers: resolvePrune(prunableLayers(model.graph), prune) };
}

/** @type {ReturnType<typeof glyphs> | undefined} */
let digits;

/** Trains on the built-in glyphs, epochs of a few steps each, and takes the time of every step. */
export class TimedTrainer {
  /** @type {import("./internals.js").Trainer} */
  #trainer;
  #epoch = 0;

  /** @param {import("./internals.js").Trainer} trainer */
  constructor(trainer) {
    this.#trainer = trainer;
  }

  /**
   * @param {NetworkName} network
   * @param {Mode} mode
   * @param {object} options
   * @param {number} options.threads
   * @param {number} options.epochs the schedules go over so many
   * @param {number} options.steps of an epoch
   * @param {string} [options.profile] prefix of the file for onnxruntime's profile
   * @returns {Promise<TimedTrainer>}
   */
  static async create(network, mode, { threads, epochs, steps, profile }) {
    const { model, layers } = networkOf(network, mode);
    const settings = withDefaults({ batch: BATCH, threads, epochs });
    digits ??= glyphs();
    return new TimedTrainer(
      await Trainer.create(model, digits, steps * BATCH, layers, settings, { profile }),
    );
  }

  /**
   * Trains for one epoch.
   *
   * @returns {Promise<number[]>} milliseconds of each step: schedules, noise, draws, filling the batch, the graph's run
   */
  async epoch() {
    // The trainer asks its signal once before each step, which tells where one step ends and the next begins.
    const { signal } = new AbortController();
    /** @type {number[]} */
    const begins = [];
    signal.throwIfAborted = () => {
      begins.push(performance.now());
    };
    await this.#trainer.epoch(++this.#epoch, undefined, signal);
    begins.push(performance.now());
    const steps = begins.slice(1).map((end, i) => end - begins[i]);
    if (steps.length !== this.#trainer.stepsPerEpoch) {
      throw new Error(
        `the trainer took ${this.#trainer.stepsPerEpoch} steps, but ${steps.length} were timed`,
      );
    }
    return steps;
  }

  /** @returns {Promise<void>} */
  close() {
    return this.#trainer.close();
  }
}
