/** The sampler's Gumbel noise, made by a WebAssembly kernel (assembly/noise.ts) from (seed, layer, step). */

import { readFileSync } from "node:fs";
import { streamOf } from "../random.js";

interface Kernel {
  readonly memory: WebAssembly.Memory;
  base(): number;
  fill(
    out: number,
    count: number,
    key0: number,
    key1: number,
    stepLow: number,
    stepHigh: number,
    scale: number,
  ): void;
}

const PAGE = 65_536;
/** The kernel writes so many elements at once. */
const LANES = 16;

let compiled: WebAssembly.Module | undefined;

function instantiate(): Kernel {
  compiled ??= new WebAssembly.Module(readFileSync(new URL("../../wasm/noise.wasm", import.meta.url)));
  return new WebAssembly.Instance(compiled).exports as unknown as Kernel;
}

/**
 * Noise for tensors of a fixed size: `values` is filled anew for each step.
 *
 * @example
 * const noise = new GumbelNoise(300 * 784, 1, "fc1.weight");
 * noise.fill(step, 0.1); // noise.values is now 0.1 * Gumbel(0, 1), the same for the same (seed, name, step)
 */
export class GumbelNoise {
  readonly values: Float32Array<ArrayBuffer>;
  readonly #kernel: Kernel;
  readonly #count: number;
  readonly #key: readonly [number, number];

  constructor(size: number, seed: number, name: string) {
    this.#kernel = instantiate();
    this.#count = Math.ceil(size / LANES) * LANES;
    const bytes = this.#kernel.base() + 4 * this.#count;
    const missing = bytes - this.#kernel.memory.buffer.byteLength;
    if (missing > 0) this.#kernel.memory.grow(Math.ceil(missing / PAGE));
    this.values = new Float32Array(this.#kernel.memory.buffer, this.#kernel.base(), size);
    this.#key = [seed >>> 0, (Math.floor(seed / 2 ** 32) ^ streamOf(`${name}/noise`)) >>> 0];
  }

  /** Fills `values` with scale * Gumbel(0, 1) for this step. */
  fill(step: number, scale: number): void {
    const [key0, key1] = this.#key;
    const high = Math.floor(step / 2 ** 32);
    this.#kernel.fill(this.#kernel.base(), this.#count, key0, key1, step >>> 0, high, scale);
  }
}
