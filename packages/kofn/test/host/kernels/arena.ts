/** Memory for calls of single kernels: arrays anywhere in it, and between them numbers that nobody may write. */

import { kernelFor } from "../../../src/host/memory.js";
import type { Kernel } from "../../../src/host/kernel.js";
import { Random } from "../../../src/random.js";

const BYTES = 2 ** 18;
/** Words between arrays. */
const BAND = 32;
/** What lies there: a number that would be seen in all that is computed with it, and of which two have a finite product. */
const GUARD = 3e15;

export interface Where {
  /** Words from a multiple of 64 bytes to the array. */
  readonly offset?: number;
  /** Words behind the array that a kernel may write as well. */
  readonly spill?: number;
}

export class Arena {
  readonly kernel: Kernel;
  readonly #begin: number;
  readonly #words: Float32Array;
  /** Of arrays and what may be written behind them: first word, and the word behind. */
  readonly #taken: [first: number, end: number][] = [];

  constructor() {
    const { kernel, begins } = kernelFor([BYTES]);
    this.kernel = kernel;
    this.#begin = begins[0];
    this.#words = new Float32Array(kernel.memory.buffer, this.#begin, BYTES / 4);
    this.clear();
  }

  /** Forgets all arrays. */
  clear(): void {
    this.#words.fill(GUARD);
    this.#taken.length = 0;
  }

  /** Room for so many bytes. */
  take(bytes: number, { offset = 0, spill = 0 }: Where = {}): number {
    const [, before] = this.#taken.at(-1) ?? [0, 0];
    const first = Math.ceil((before + BAND) / 16) * 16 + offset;
    const end = first + Math.ceil(bytes / 4) + spill;
    if (end + BAND > this.#words.length) throw new RangeError("the arena is too small for this case");
    this.#taken.push([first, end]);
    return this.#begin + 4 * first;
  }

  /** An array of these numbers. */
  floats(values: ArrayLike<number>, where?: Where): Float32Array {
    const at = this.take(4 * values.length, where);
    const array = new Float32Array(this.kernel.memory.buffer, at, values.length);
    array.set(values);
    return array;
  }

  /** An array of so many numbers, which are the guard's: nobody reads them before they are written. */
  empty(length: number, where?: Where): Float32Array {
    return new Float32Array(this.kernel.memory.buffer, this.take(4 * length, where), length);
  }

  /** How many words outside of arrays have been written. */
  get broken(): number {
    const guard = Math.fround(GUARD);
    let broken = 0;
    let at = 0;
    for (const [first, end] of [...this.#taken, [this.#words.length, 0]]) {
      for (; at < first; at++) if (this.#words[at] !== guard) broken++;
      at = end;
    }
    return broken;
  }
}

export function normals(count: number, seed: number, stream: string): Float32Array {
  const random = new Random(seed, stream);
  return Float32Array.from({ length: count }, () => random.normal());
}

/** The first place where two arrays differ in a bit, or -1. */
export function difference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  return Array.from(expected).findIndex((value, i) => !Object.is(value, actual[i]));
}
