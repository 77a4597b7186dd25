/** The memory of one pruned layer's sampler: its arrays, and where they lie for the WebAssembly kernel (assembly/sampler.ts). */

import type { Optimizer } from "../optim/optimizer.js";
import { philox, streamOf } from "../random.js";
import { instantiate, instantiateIn, type Kernel, type SharedKernel, shareKernel } from "./kernel.js";
import { allot } from "./memory.js";
import { gradientOf, type LearnedPlace, type SamplerPlace } from "./sampler-block.js";

/** Rows are updated in blocks of about so many logits, which stay in the cache from their gradient to their update. */
const BLOCK = 8_192;

/** Bytes between the gradients of blocks that may be those of different threads, and between what threads have of their own. */
const APART = 64;

/**
 * Noise comes from a pool of at least as many values as the layer has logits, but for these bounds: a smaller pool would soon
 * show the same noise again, and a larger one is dear to read.
 */
const POOL = { least: 2 ** 16, most: 2 ** 20 };

/** What a sampler is made for. */
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

/** Numbers that a sampler learns. */
export interface Learned<Memory extends ArrayBufferLike = ArrayBufferLike> {
  readonly values: Float32Array<Memory>;
  /** The optimizer's state tensors by their names. */
  readonly states: ReadonlyMap<string, Float32Array<Memory>>;
}

/** The same numbers in memory that threads share, and in an array for onnxruntime. */
export interface Copy {
  readonly shared: Float32Array;
  readonly plain: Float32Array;
}

/**
 * A sampler's arrays, which stay the same from step to step. For several threads all lie in memory that these share, but for
 * `mask` and `gradient`: onnxruntime takes no such arrays.
 */
export class SamplerMemory<Memory extends ArrayBufferLike = ArrayBufferLike> {
  /** [R, n] */
  readonly logits: Float32Array<Memory>;
  /** The optimizer's state tensors by their names, [R, n] each. */
  readonly states: ReadonlyMap<string, Float32Array<Memory>>;
  /** 1 (or the unit's weight) at the k largest z of each row, ties by lower index, and 0 elsewhere: [R, n]. */
  readonly mask: Float32Array<ArrayBuffer>;
  /** z of the last sample: [R, n]. */
  readonly perturbed: Float32Array<Memory>;
  /** dL/dmask, [R, n]. */
  readonly gradient: Float32Array<ArrayBuffer>;
  /** The weights, if the sampler holds them. */
  readonly weights: Learned<Memory> | undefined;
  readonly place: SamplerPlace;
  readonly kernel: Kernel;
  /** Where there are several threads. */
  readonly shared: SharedKernel | undefined;
  readonly #key: readonly [number, number];
  readonly #offsets: Uint32Array;

  /** @param threads that are to work on it. */
  constructor(options: HostSamplerOptions, threads = 1) {
    const { rows, n, most, seed, name, optimizer, entropy, weights } = options;
    const shared = threads > 1 ? shareKernel() : undefined;
    const kernel = shared === undefined ? instantiate() : instantiateIn(shared);
    this.shared = shared;
    this.kernel = kernel;
    this.#key = [seed >>> 0, (Math.floor(seed / 2 ** 32) ^ streamOf(`${name}/noise`)) >>> 0];
    const block = 4 * Math.max(1, Math.round(BLOCK / (4 * n)));
    const gap = shared === undefined ? 0 : APART;
    // The kernel reads and writes whole vectors of 16 bytes.
    const bytes = 4 * rows * n + 16;
    const gradients = bytes + gap * Math.ceil(rows / block);
    const scratch = apart(kernel.scratchBytes(n, most));
    const product = weights === undefined ? 0 : apart(4 * block * n + 16);
    const units = Math.min(Math.max(rows * n, POOL.least), POOL.most);
    const poolSize = 2 ** Math.ceil(Math.log2(units));
    const reads = Math.ceil((rows * n + 3) / poolSize);
    const ofOrder = 16 * Math.ceil(rows / 4) * most;
    const sizes = [ofOrder, 12 * rows, threads * scratch, threads * product, 4 * poolSize + 16, 4 * reads];
    const learned = [optimizer, ...(weights === undefined ? [] : [weights])];
    const ofLearned = learned.flatMap(({ state }) => ["values", ...state].map(() => bytes));
    const begins = allot(kernel, [...sizes, bytes, bytes, gradients, ...ofLearned]);
    const [order, guesses, ofScratch, ofProduct, pool, offsets, mask, perturbed, gradient] = begins;
    const others = begins.slice(sizes.length + 3);
    const [logits, held] = learned.map(({ state, constants }): LearnedPlace => {
      const [values, ...states] = others.splice(0, 1 + state.length);
      return { values, states: new Map(state.map((name, i) => [name, states[i]])), optimizer: constants };
    });
    this.place = {
      ...{ rows, n, most, block, entropy, logits, mask, perturbed, gradient, gap, order, guesses },
      ...{ pool, poolSize, offsets, scratch: [ofScratch, scratch], product: [ofProduct, product] },
      ...(weights === undefined ? {} : { weights: held }),
    };
    const buffer = kernel.memory.buffer as ArrayBufferLike as Memory;
    const array = (begin: number): Float32Array<Memory> => new Float32Array(buffer, begin, rows * n);
    const arrays = ({ values, states }: LearnedPlace): Learned<Memory> => ({
      values: array(values),
      states: new Map([...states].map(([name, begin]) => [name, array(begin)])),
    });
    const plain = (begin: number): Float32Array<ArrayBuffer> =>
      shared === undefined
        ? new Float32Array(kernel.memory.buffer, begin, rows * n)
        : new Float32Array(rows * n);
    const own = arrays(logits);
    this.logits = own.values;
    this.states = own.states;
    this.weights = weights === undefined ? undefined : arrays(held);
    this.perturbed = array(perturbed);
    this.mask = plain(mask);
    this.gradient = plain(gradient);
    this.#offsets = new Uint32Array(buffer, offsets, reads);
    kernel.fillPool(pool, poolSize, ...this.#key);
    const guessed = new Float32Array(buffer, guesses, 3 * rows);
    for (let row = 0; row < rows; row++) guessed[3 * row] = -Infinity;
  }

  /** The blocks of rows. */
  blocks(): { readonly first: number; readonly end: number }[] {
    const { rows, block } = this.place;
    return Array.from({ length: Math.ceil(rows / block) }, (_, i) => ({
      first: i * block,
      end: Math.min(rows, (i + 1) * block),
    }));
  }

  /** For several threads: parts of the mask and the gradient of rows within a block, as threads see them and as onnxruntime does. */
  copies(first: number, end: number): Record<"mask" | "gradient", Copy> {
    const { n, mask } = this.place;
    const { buffer } = this.kernel.memory;
    const [from, to] = [first * n, end * n];
    const shared = (begin: number): Float32Array => new Float32Array(buffer, begin, to - from);
    return {
      mask: { shared: shared(mask + 4 * from), plain: this.mask.subarray(from, to) },
      gradient: { shared: shared(gradientOf(this.place, first)), plain: this.gradient.subarray(from, to) },
    };
  }

  /** Draws where a step begins to read the noise: to be called before rows are sampled. */
  drawNoise(step: number): void {
    const block = new Uint32Array(4);
    for (let i = 0; i < this.#offsets.length; i++) {
      philox(block, [i, step >>> 0, Math.floor(step / 2 ** 32), 1], this.#key);
      this.#offsets[i] = block[0] % this.place.poolSize;
    }
  }
}

/** So many bytes and a few more, so that pieces of this size have no line of the cache in common. */
function apart(bytes: number): number {
  return Math.ceil(bytes / APART) * APART;
}
