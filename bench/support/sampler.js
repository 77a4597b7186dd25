/** The k-of-n sampler alone, forward and backward, as a training step has it. */

import { internals } from "./internals.js";

/** @typedef {import("./peers.js").SamplerSize} SamplerSize */

const { optimizerOf } = await internals.optimizer();
const { HostSampler } = await internals.sampler();
const { Random } = await internals.random();

/** As in the published formulation's program. */
const TAU = 1;
const BETA = 1;

/** Draws masks and computes the gradient of the logits, again and again. */
export class Sampler {
  /** @type {import("./internals.js").HostSampler} */
  #sampler;
  /** @type {Float32Array} */
  #upstream;
  /** @type {number} */
  #k;
  #step = 0;

  /** @param {SamplerSize} size */
  constructor({ rows, n, k }) {
    const optimizer = optimizerOf({ kind: "sgd", lr: 1 });
    const options = { rows, n, most: k, seed: 1, name: "bench", optimizer, entropy: 0 };
    this.#sampler = new HostSampler(options);
    this.#sampler.logits.set(normal(rows * n, "phi"));
    this.#upstream = normal(rows * n, "upstream");
    this.#k = k;
  }

  /**
   * Makes noise, draws, and computes the gradient of the logits from that of the mask.
   *
   * @returns {{ total: number, draws: number }} milliseconds, and those of them that noise and draws took
   */
  run() {
    this.#sampler.gradient.set(this.#upstream);
    const begin = performance.now();
    this.#sampler.sample(this.#step++, BETA, this.#k);
    const drawn = performance.now();
    this.#sampler.backward(TAU);
    return { total: performance.now() - begin, draws: drawn - begin };
  }
}

/**
 * @param {number} count
 * @param {string} stream
 * @returns {Float32Array<ArrayBuffer>}
 */
function normal(count, stream) {
  const random = new Random(1, stream);
  const values = new Float32Array(count);
  for (let i = 0; i < count; i++) values[i] = random.normal();
  return values;
}
