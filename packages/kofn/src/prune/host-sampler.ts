/** The sampler's draws on the host, made by a WebAssembly kernel (assembly/sampler.ts) from logits and (seed, layer, step). */

import { readFileSync } from "node:fs";
import { streamOf } from "../random.js";

interface Kernel {
  readonly memory: WebAssembly.Memory;
  base(): number;
  perturb(
    z: number,
    phi: number,
    count: number,
    key0: number,
    key1: number,
    stepLow: number,
    stepHigh: number,
    scale: number,
  ): void;
  draw(
    z: number,
    values: number,
    draws: number,
    rows: number,
    n: number,
    k: number,
    inverseTau: number,
    scratch: number,
  ): void;
}

const PAGE = 65_536;
/** The kernel perturbs so many elements at once. */
const LANES = 16;
/** Bytes of the kernel's table of buckets. */
const BUCKETS = 4 * 1025;

let compiled: WebAssembly.Module | undefined;

function instantiate(): Kernel {
  compiled ??= new WebAssembly.Module(readFileSync(new URL("../../wasm/sampler.wasm", import.meta.url)));
  return new WebAssembly.Instance(compiled).exports as unknown as Kernel;
}

/**
 * Draws k of n units in each of R rows: the k largest of z = logits + beta * g, with g standard Gumbel noise that is a
 * function of (seed, name, step) alone. Its arrays are filled anew for each step; they are what a training step's graph
 * takes when it is lowered with `draws: "host"`.
 *
 * @example
 * const sampler = new HostSampler(300, 784, 40, 1, "fc1.weight");
 * sampler.sample(logits, step, 0.1, 5);
 * sampler.indices; // of row 0's draws, from the largest: the first 40 elements
 */
export class HostSampler {
  /** z / tau, with -1e30 where a unit was drawn: [R, n]. */
  readonly undrawn: Float32Array<ArrayBuffer>;
  /** The drawn z, descending: [R, k]. */
  readonly values: Float32Array<ArrayBuffer>;
  /** Where they are, ties by lower index: [R, k]. */
  readonly indices: Int32Array<ArrayBuffer>;

  readonly #kernel: Kernel;
  readonly #logits: Float32Array;
  readonly #rows: number;
  readonly #n: number;
  readonly #k: number;
  readonly #key: readonly [number, number];
  readonly #scratch: number;

  constructor(rows: number, n: number, k: number, seed: number, name: string) {
    this.#kernel = instantiate();
    this.#rows = rows;
    this.#n = n;
    this.#k = k;
    this.#key = [seed >>> 0, (Math.floor(seed / 2 ** 32) ^ streamOf(`${name}/noise`)) >>> 0];
    const size = Math.ceil((rows * n) / LANES) * LANES;
    const logits = this.#kernel.base();
    const undrawn = logits + 4 * size;
    const values = undrawn + 4 * size;
    const indices = values + 4 * rows * k;
    this.#scratch = Math.ceil((indices + 4 * rows * k) / LANES) * LANES;
    const end = this.#scratch + 8 * n + BUCKETS;
    const missing = end - this.#kernel.memory.buffer.byteLength;
    if (missing > 0) this.#kernel.memory.grow(Math.ceil(missing / PAGE));
    const { buffer } = this.#kernel.memory;
    this.#logits = new Float32Array(buffer, logits, rows * n);
    this.undrawn = new Float32Array(buffer, undrawn, rows * n);
    this.values = new Float32Array(buffer, values, rows * k);
    this.indices = new Int32Array(buffer, indices, rows * k);
  }

  /**
   * @param logits [R, n]
   * @param beta scale of the noise
   * @param tau temperature of `undrawn`
   */
  sample(logits: Float32Array, step: number, beta: number, tau: number): void {
    this.#logits.set(logits);
    const [key0, key1] = this.#key;
    const z = this.undrawn.byteOffset;
    const size = Math.ceil((this.#rows * this.#n) / LANES) * LANES;
    const high = Math.floor(step / 2 ** 32);
    this.#kernel.perturb(z, this.#logits.byteOffset, size, key0, key1, step >>> 0, high, beta);
    this.#kernel.draw(
      z,
      this.values.byteOffset,
      this.indices.byteOffset,
      this.#rows,
      this.#n,
      this.#k,
      1 / tau,
      this.#scratch,
    );
  }
}
