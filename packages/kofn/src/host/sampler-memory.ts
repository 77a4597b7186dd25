/** The memory of one pruned layer's sampler: its arrays, and what the WebAssembly kernels know of them (assembly/sampler.ts). */

import type { Optimizer, UpdateScalars } from "../optim/optimizer.js";
import { philox, streamOf } from "../random.js";
import { type Kernel, write } from "./kernel.js";
import { Learner } from "./learner.js";
import { type HostSamplerOptions, roomsFor, type SamplerLayout, type SamplerRoom } from "./sampler-room.js";
import type { Address } from "./wasm.generated.js";

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
  readonly kernel: Kernel;
  /** Where the kernels find it. */
  readonly address: Address<"Sampler">;
  readonly #rows: number;
  readonly #n: number;
  readonly #layout: SamplerLayout;
  readonly #key: readonly [number, number];
  readonly #offsets: Uint32Array;
  /** Addresses of the mask and the first block's gradients, as the kernels know them. */
  readonly #places: Readonly<Record<"mask" | "gradient", number>>;
  readonly #learners: Readonly<{ logits: Learner; weights: Learner | undefined }>;

  /** @param room default: one of its own, for one thread */
  constructor(options: HostSamplerOptions, room: SamplerRoom = roomsFor([options])[0]) {
    const { rows, n, most, seed, name, optimizer, entropy, weights } = options;
    const { kernel, layout } = room;
    const { block, gap, poolSize, reads, scratchBytes, productBytes } = layout;
    const [structure, order, guesses, scratch, product, pool, ...rest] = room.begins;
    const [offsets, mask, perturbed, gradient, ...others] = rest;
    const buffer: ArrayBufferLike = kernel.memory.buffer;
    const array = (begin: number): Float32Array<Memory> =>
      new Float32Array(buffer as Memory, begin, rows * n);
    const plain = (begin: number): Float32Array<ArrayBuffer> =>
      buffer instanceof ArrayBuffer ? new Float32Array(buffer, begin, rows * n) : new Float32Array(rows * n);
    const learned = (by: Optimizer): [Learner, Learned<Memory>] => {
      const [at, values, ...begins] = others.splice(0, 2 + by.state.length);
      const states = new Map(by.state.map((state, i) => [state, begins[i]]));
      const learner = new Learner(kernel, at, by, { values, states });
      const arrays = new Map([...states].map(([state, begin]) => [state, array(begin)]));
      return [learner, { values: array(values), states: arrays }];
    };
    const [ofLogits, logits] = learned(optimizer);
    const [ofWeights, held] = weights === undefined ? [] : learned(weights);
    this.logits = logits.values;
    this.states = logits.states;
    this.weights = held;
    this.mask = plain(mask);
    this.perturbed = array(perturbed);
    this.gradient = plain(gradient);
    this.kernel = kernel;
    this.address = write(kernel, "Sampler", structure, {
      ...{ entropy, n, most, block, mask, perturbed, gradient, gap, order, guesses },
      ...{ logits: ofLogits.address, weights: ofWeights?.address ?? 0 },
      ...{ pool, poolSize, offsets, scratch, scratchBytes, product, productBytes },
    });
    this.#rows = rows;
    this.#n = n;
    this.#layout = layout;
    this.#key = [seed >>> 0, (Math.floor(seed / 2 ** 32) ^ streamOf(`${name}/noise`)) >>> 0];
    this.#offsets = new Uint32Array(buffer, offsets, reads);
    this.#places = { mask, gradient };
    this.#learners = { logits: ofLogits, weights: ofWeights };
    kernel.fillPool(pool, poolSize, ...this.#key);
    const guessed = new Float32Array(buffer, guesses, 3 * rows);
    for (let row = 0; row < rows; row++) guessed[3 * row] = -Infinity;
  }

  /** The blocks of rows. */
  blocks(): { readonly first: number; readonly end: number }[] {
    const { block } = this.#layout;
    return Array.from({ length: Math.ceil(this.#rows / block) }, (_, i) => ({
      first: i * block,
      end: Math.min(this.#rows, (i + 1) * block),
    }));
  }

  /** For several threads: parts of the mask and the gradient of the rows of a block, as threads see them and as onnxruntime does. */
  copies(first: number, end: number): Record<"mask" | "gradient", Copy> {
    const { block, gap } = this.#layout;
    const { mask, gradient } = this.#places;
    const { buffer } = this.kernel.memory;
    const [from, to] = [first * this.#n, end * this.#n];
    const shared = (begin: number): Float32Array => new Float32Array(buffer, begin + 4 * from, to - from);
    return {
      mask: { shared: shared(mask), plain: this.mask.subarray(from, to) },
      gradient: { shared: shared(gradient + gap * (first / block)), plain: this.gradient.subarray(from, to) },
    };
  }

  /** Draws where a step begins to read the noise: to be called before rows are sampled. */
  drawNoise(step: number): void {
    const block = new Uint32Array(4);
    for (let i = 0; i < this.#offsets.length; i++) {
      philox(block, [i, step >>> 0, Math.floor(step / 2 ** 32), 1], this.#key);
      this.#offsets[i] = block[0] % this.#layout.poolSize;
    }
  }

  /** Says what the optimizers' scalars are: to be called before rows are updated. Without weights the latter are not read. */
  setScalars(ofLogits: UpdateScalars, ofWeights: UpdateScalars | undefined): void {
    const { logits, weights } = this.#learners;
    logits.set(ofLogits);
    if (weights === undefined) return;
    if (ofWeights === undefined)
      throw new TypeError("a sampler that holds weights needs their optimizer's scalars");
    weights.set(ofWeights);
  }
}
