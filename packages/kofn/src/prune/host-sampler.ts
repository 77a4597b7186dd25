/** The k-of-n sampler of one pruned layer on the host, with its logits: a WebAssembly kernel (assembly/sampler.ts). */

import { allot, instantiate, type Kernel, stepOptimizer } from "../kernel.js";
import type { Optimizer } from "../optim/optimizer.js";
import { streamOf } from "../random.js";

/** Rows are updated in blocks of about so many logits, which stay in the cache from their gradient to their update. */
const BLOCK = 8192;

/** What a {@link HostSampler} is made for. */
export interface HostSamplerOptions {
  /** R */
  readonly rows: number;
  readonly n: number;
  /** The largest k that will be asked for. */
  readonly most: number;
  readonly seed: number;
  /** With the seed, the key of the layer's noise. */
  readonly name: string;
  readonly optimizer: Optimizer;
  /** Weight of the entropy regulariser. */
  readonly entropy: number;
}

/**
 * Samples k of n units in each of R rows and learns the logits of which it samples: the k largest of z = logits + beta * g,
 * with g standard Gumbel noise that is a function of (seed, name, step) alone.
 *
 * It computes what the operators KofN and KofNGrad and the logits' optimizer mean, in the host's memory: a training step's
 * graph reads `mask` and writes `gradient`. The arrays stay the same from step to step.
 *
 * @example
 * const sampler = new HostSampler({ rows: 300, n: 784, most: 40, seed: 1, name: "fc1.weight", optimizer, entropy: 0 });
 * sampler.sample(step, 0.1, 40); // fills sampler.mask
 * sampler.gradient.set(gradientOfMask);
 * sampler.update(5, optimizer.scalars(step + 1, 0.03)); // sampler.logits have moved
 */
export class HostSampler {
  /** [R, n] */
  readonly logits: Float32Array<ArrayBuffer>;
  /** The optimizer's state tensors by their names, [R, n] each. */
  readonly states: ReadonlyMap<string, Float32Array<ArrayBuffer>>;
  /** 1 at the k largest z of each row, ties by lower index, and 0 elsewhere: [R, n]. */
  readonly mask: Float32Array<ArrayBuffer>;
  /** z of the last sample: [R, n]. */
  readonly perturbed: Float32Array<ArrayBuffer>;
  /** dL/dmask, which {@link backward} replaces by dL/dlogits: [R, n]. */
  readonly gradient: Float32Array<ArrayBuffer>;

  readonly #kernel: Kernel;
  readonly #options: HostSamplerOptions;
  readonly #key: readonly [number, number];
  readonly #order: number;
  readonly #guesses: number;
  readonly #scratch: number;
  #k = 0;

  constructor(options: HostSamplerOptions) {
    const { rows, n, most, seed, name, optimizer } = options;
    const kernel = instantiate();
    this.#kernel = kernel;
    this.#options = options;
    this.#key = [seed >>> 0, (Math.floor(seed / 2 ** 32) ^ streamOf(`${name}/noise`)) >>> 0];
    // The kernel reads and writes whole vectors of 16 bytes.
    const bytes = 4 * rows * n + 16;
    const sizes = [4 * rows * most, 8 * rows, kernel.scratchBytes(n, most), bytes, bytes, bytes, bytes];
    const begins = allot(kernel, [...sizes, ...optimizer.state.map(() => bytes)]);
    const [order, guessed, scratch, logits, mask, perturbed, gradient, ...states] = begins;
    this.#order = order;
    this.#guesses = guessed;
    this.#scratch = scratch;
    const { buffer } = kernel.memory;
    const array = (begin: number): Float32Array<ArrayBuffer> => new Float32Array(buffer, begin, rows * n);
    this.logits = array(logits);
    this.mask = array(mask);
    this.perturbed = array(perturbed);
    this.gradient = array(gradient);
    this.states = new Map(states.map((begin, i) => [optimizer.state[i], array(begin)]));
    const guesses = new Float32Array(buffer, this.#guesses, 2 * rows);
    for (let row = 0; row < rows; row++) guesses[2 * row] = -Infinity;
  }

  /**
   * Draws a mask.
   *
   * @param beta scale of the noise
   * @param k at most `most`
   */
  sample(step: number, beta: number, k: number): void {
    const { rows, n } = this.#options;
    this.#k = k;
    this.#kernel.sample(
      this.logits.byteOffset,
      this.perturbed.byteOffset,
      this.mask.byteOffset,
      this.#order,
      this.#guesses,
      this.#scratch,
      0,
      rows,
      n,
      k,
      ...this.#key,
      step >>> 0,
      Math.floor(step / 2 ** 32),
      beta,
    );
  }

  /** Replaces the gradient of the last mask by that of the logits, at temperature tau, with the entropy regulariser's. */
  backward(tau: number): void {
    this.#backward(0, this.#options.rows, tau);
  }

  #backward(first: number, end: number, tau: number): void {
    this.#kernel.backward(
      this.logits.byteOffset,
      this.perturbed.byteOffset,
      this.mask.byteOffset,
      this.#order,
      this.gradient.byteOffset,
      this.#scratch,
      first,
      end,
      this.#options.n,
      this.#k,
      tau,
      this.#options.entropy,
    );
  }

  /**
   * {@link backward}, and the optimizer's update of the logits.
   *
   * @param scalars what the optimizer's `scalars` gave for this step
   */
  update(tau: number, scalars: Readonly<Record<string, number>>): void {
    const { rows, n } = this.#options;
    // Blocks begin at multiples of four elements.
    const block = 4 * Math.max(1, Math.round(BLOCK / (4 * n)));
    for (let row = 0; row < rows; row += block) {
      const end = Math.min(rows, row + block);
      this.#backward(row, end, tau);
      this.#step(4 * row * n, Math.ceil(((end - row) * n) / 4) * 4, scalars);
    }
  }

  #step(offset: number, count: number, scalars: Readonly<Record<string, number>>): void {
    const values = this.logits.byteOffset + offset;
    const gradients = this.gradient.byteOffset + offset;
    const state = (name: string): number => (this.states.get(name)?.byteOffset ?? 0) + offset;
    stepOptimizer(this.#kernel, this.#options.optimizer, { values, gradients, state, count }, scalars);
  }
}
