/** The k-of-n sampler of one pruned layer on the host, with its logits: a WebAssembly kernel (assembly/sampler.ts). */

import { allot, instantiate, type Kernel, optimizerStep, type PartUpdate } from "../kernel.js";
import type { HostArrays } from "../optim/host-optimizer.js";
import type { Optimizer } from "../optim/optimizer.js";
import { philox, streamOf } from "../random.js";

/** Rows are updated in blocks of about so many logits, which stay in the cache from their gradient to their update. */
const BLOCK = 8_192;

/**
 * Noise comes from a pool of at least as many values as the layer has logits, but for these bounds: a smaller pool would soon
 * show the same noise again, and a larger one is dear to read.
 */
const POOL = { least: 2 ** 16, most: 2 ** 20 };

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
  /**
   * Where each unit is one weight: the optimizer of the weights. The sampler then holds them too, so that a training step
   * takes W * M in place of W and M, and gives the gradient of that.
   */
  readonly weights?: Optimizer;
}

/**
 * Samples k of n units in each of R rows and learns the logits of which it samples: the k largest of z = logits + beta * g,
 * with g standard Gumbel noise that is a function of (seed, name, step) alone. The noise of a step is a run of values in a pool
 * that is made once, from a place that is drawn anew in each step, as Salimans et al. share noise (Evolution Strategies as a
 * Scalable Alternative to Reinforcement Learning, arXiv 1703.03864, section 2.1). Within a step no two units have the same
 * value of the pool, up to 2^20 units; larger layers read it in blocks of that many, each from a place of its own.
 *
 * It computes what the operators KofN and KofNGrad and the logits' optimizer mean, in the host's memory: a training step's
 * graph reads `mask` and writes `gradient`. With `weights` it also masks these and learns them: `mask` is W~ = W * M then,
 * and `gradient` dL/dW~, of which dL/dM = dL/dW~ * W and dL/dW = dL/dW~ * M. The arrays stay the same from step to step.
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
  /** 1 (or the unit's weight) at the k largest z of each row, ties by lower index, and 0 elsewhere: [R, n]. */
  readonly mask: Float32Array<ArrayBuffer>;
  /** z of the last sample: [R, n]. */
  readonly perturbed: Float32Array<ArrayBuffer>;
  /** dL/dmask, [R, n]. {@link backward} replaces it by dL/dlogits; with `weights` it stays. */
  readonly gradient: Float32Array<ArrayBuffer>;
  /** The weights, if the sampler holds them. */
  readonly weights: Omit<HostArrays, "gradient"> | undefined;

  readonly #kernel: Kernel;
  readonly #options: HostSamplerOptions;
  readonly #key: readonly [number, number];
  readonly #pool: number;
  readonly #poolSize: number;
  /** Where each block of the layer begins to read the pool. */
  readonly #offsets: Uint32Array<ArrayBuffer>;
  readonly #order: number;
  readonly #guesses: number;
  readonly #scratch: number;
  /** Where a block's gradients are made of that of the masked weights. */
  readonly #product: number;
  /** Rows of a block; it begins at a multiple of four elements. */
  readonly #block: number;
  #k = 0;

  constructor(options: HostSamplerOptions) {
    const { rows, n, most, seed, name, optimizer, weights } = options;
    const kernel = instantiate();
    this.#kernel = kernel;
    this.#options = options;
    this.#key = [seed >>> 0, (Math.floor(seed / 2 ** 32) ^ streamOf(`${name}/noise`)) >>> 0];
    // The kernel reads and writes whole vectors of 16 bytes.
    const bytes = 4 * rows * n + 16;
    this.#block = 4 * Math.max(1, Math.round(BLOCK / (4 * n)));
    const product = weights === undefined ? 0 : 4 * this.#block * n + 16;
    const units = Math.min(Math.max(rows * n, POOL.least), POOL.most);
    this.#poolSize = 2 ** Math.ceil(Math.log2(units));
    const blocks = Math.ceil((rows * n + 3) / this.#poolSize);
    const pool = 4 * this.#poolSize + 16;
    const sizes = [
      16 * Math.ceil(rows / 4) * most,
      12 * rows,
      kernel.scratchBytes(n, most),
      product,
      pool,
      4 * blocks,
    ];
    const own = ["logits", "mask", "perturbed", "gradient", ...optimizer.state];
    const held = weights === undefined ? [] : ["weights", ...weights.state];
    const begins = allot(kernel, [...sizes, ...[...own, ...held].map(() => bytes)]);
    const offsets = begins[5];
    [this.#order, this.#guesses, this.#scratch, this.#product, this.#pool] = begins;
    const [logits, mask, perturbed, gradient, ...others] = begins.slice(sizes.length);
    const states = others.splice(0, optimizer.state.length);
    const { buffer } = kernel.memory;
    this.#offsets = new Uint32Array(buffer, offsets, blocks);
    kernel.fillPool(this.#pool, this.#poolSize, ...this.#key);
    const array = (begin: number): Float32Array<ArrayBuffer> => new Float32Array(buffer, begin, rows * n);
    this.logits = array(logits);
    this.mask = array(mask);
    this.perturbed = array(perturbed);
    this.gradient = array(gradient);
    this.states = new Map(states.map((begin, i) => [optimizer.state[i], array(begin)]));
    if (weights !== undefined) {
      const [values, ...ofWeights] = others.map(array);
      this.weights = { values, states: new Map(weights.state.map((name, i) => [name, ofWeights[i]])) };
    }
    const guesses = new Float32Array(buffer, this.#guesses, 3 * rows);
    for (let row = 0; row < rows; row++) guesses[3 * row] = -Infinity;
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
    const block = new Uint32Array(4);
    for (let i = 0; i < this.#offsets.length; i++) {
      philox(block, [i, step >>> 0, Math.floor(step / 2 ** 32), 1], this.#key);
      this.#offsets[i] = block[0] % this.#poolSize;
    }
    this.#kernel.sample(
      this.logits.byteOffset,
      this.perturbed.byteOffset,
      this.weights?.values.byteOffset ?? 0,
      this.mask.byteOffset,
      this.#order,
      this.#guesses,
      this.#scratch,
      0,
      rows,
      n,
      k,
      this.#pool,
      this.#poolSize,
      this.#offsets.byteOffset,
      beta,
    );
  }

  /**
   * Replaces the gradient of the last mask by that of the logits, at temperature tau, with the entropy regulariser's. Not
   * with `weights`.
   */
  backward(tau: number): void {
    this.#backward(this.gradient.byteOffset, 0, this.#options.rows, tau);
  }

  #backward(result: number, first: number, end: number, tau: number): void {
    this.#kernel.backward(
      this.logits.byteOffset,
      this.perturbed.byteOffset,
      this.#order,
      this.weights?.values.byteOffset ?? 0,
      this.gradient.byteOffset,
      result,
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
   * The gradient of the logits, and the optimizer's update of them; with `weights`, of these too.
   *
   * @param scalars what the optimizer's `scalars` gave for this step
   * @param ofWeights what the weights' optimizer's gave, if the sampler holds them
   */
  update(
    tau: number,
    scalars: Readonly<Record<string, number>>,
    ofWeights: Readonly<Record<string, number>> = {},
  ): void {
    const { rows, n, optimizer, weights } = this.#options;
    const updateLogits = this.#step(optimizer, { values: this.logits, states: this.states }, scalars);
    const updateWeights =
      this.weights !== undefined && weights !== undefined
        ? this.#step(weights, this.weights, ofWeights)
        : undefined;
    for (let row = 0; row < rows; row += this.#block) {
      const end = Math.min(rows, row + this.#block);
      const offset = 4 * row * n;
      const count = Math.ceil(((end - row) * n) / 4) * 4;
      const gradient = this.gradient.byteOffset + offset;
      const result = updateWeights === undefined ? gradient : this.#product;
      this.#backward(result, row, end, tau);
      updateLogits(result, offset, count);
      if (updateWeights !== undefined) {
        this.#kernel.keepDrawn(result, gradient, this.#order + 4 * row * this.#k, end - row, n, this.#k);
        updateWeights(result, offset, count);
      }
    }
  }

  #step(
    optimizer: Optimizer,
    { values, states }: Omit<HostArrays, "gradient">,
    scalars: Readonly<Record<string, number>>,
  ): PartUpdate {
    const state = (name: string): number => states.get(name)?.byteOffset ?? 0;
    return optimizerStep(this.#kernel, optimizer, { values: values.byteOffset, state }, scalars);
  }
}
