/** One call of a kernel by itself: memory in which every cell that it should not read is no number, and what it is to leave there. */

import { Random } from "../../../kofn/src/random.js";
import type { Kernels } from "../../src/wasm.generated.js";

export type Name = Exclude<keyof Kernels, "memory" | "base">;

/** A call, and the cells that it writes: all others have to stay as they are. */
export interface Expected<K extends Name> {
  readonly args: Parameters<Kernels[K]>;
  readonly cells: ReadonlyMap<number, number>;
  /** By how much a cell may differ, as a part of its value, or of 1 if that is less. */
  readonly tolerance: number;
}

/** Draws a case of a kernel. */
export type Draw<K extends Name> = (trial: Trial) => Expected<K>;

/** No number; and cells of it, which are never written unless they should be. */
const NONE = 0x7fc0_0bad;
const GUARD = 32;

export const bitsOf = (value: number): number => new Uint32Array(Float32Array.of(value).buffer)[0];

/** Random numbers, and memory that is given out with gaps, at multiples of 4 that are none of 16. */
export class Trial {
  readonly #random: Random;
  readonly #words: Uint32Array;
  #end: number;

  /** @param path of the random numbers */
  constructor({ memory, base }: Kernels, seed: number, ...path: readonly [string, number]) {
    this.#random = new Random(seed, ...path);
    this.#words = new Uint32Array(memory.buffer).fill(NONE);
    this.#end = base() / 4;
  }

  integer(least: number, most: number): number {
    return least + this.#random.below(most - least + 1);
  }

  pick<T>(...list: readonly T[]): T {
    return list[this.#random.below(list.length)];
  }

  /** A number of 32 bits. */
  float(least = -1, most = 1): number {
    return Math.fround(least + (most - least) * this.#random.uniform());
  }

  list<T>(count: number, of: (i: number) => T): T[] {
    return Array.from({ length: count }, (_, i) => of(i));
  }

  floats(count: number, least = -1, most = 1): number[] {
    return this.list(count, () => this.float(least, most));
  }

  /** Takes none, some or all of a list. */
  some<T>(list: readonly T[]): T[] {
    const share = this.pick(0, 0.3, 0.7, 1);
    return list.filter(() => this.#random.uniform() < share);
  }

  /** The address of so many cells that are to be written. */
  space(cells: number): number {
    const begin = this.#end + GUARD + this.integer(0, 3);
    this.#end = begin + cells;
    if (this.#end + GUARD > this.#words.length) throw new Error("the case is too large for the memory");
    return 4 * begin;
  }

  /** The address of numbers. */
  put(values: readonly number[]): number {
    return this.putWords(values.map(bitsOf));
  }

  putWords(values: readonly number[]): number {
    const address = this.space(values.length);
    this.#words.set(values, address / 4);
    return address;
  }
}

/** What a kernel has done wrong, cell by cell. */
export function mistakes<K extends Name>(
  kernels: Kernels,
  name: K,
  { args, cells, tolerance }: Expected<K>,
): string[] {
  const { buffer } = kernels.memory;
  const before = new Uint32Array(buffer).slice();
  const run: (...args: readonly number[]) => void = kernels[name];
  run(...args);
  const [words, floats] = [new Uint32Array(buffer), new Float32Array(buffer)];
  const found: string[] = [];
  for (let i = 0; i < words.length; i++) {
    const expected = cells.get(4 * i);
    if (expected === undefined) {
      if (words[i] !== before[i]) found.push(`cell ${4 * i} was written: ${floats[i]}`);
    } else if (!isNear(floats[i], expected, tolerance)) {
      found.push(`cell ${4 * i} is ${floats[i]}, expected ${expected}`);
    }
  }
  return found;
}

function isNear(value: number, expected: number, tolerance: number): boolean {
  if (Object.is(value, expected) || value === expected) return true;
  return Math.abs(value - expected) <= tolerance * Math.max(1, Math.abs(expected));
}

/** A clamp that a kernel ends with: none, ReLU, or another. */
export function limitsOf(trial: Trial): [least: number, most: number] {
  return trial.pick<[number, number]>(
    [-Infinity, Infinity],
    [0, Infinity],
    [Math.fround(-0.3), Math.fround(0.6)],
  );
}

export const clamp = (value: number, least: number, most: number): number =>
  Math.min(Math.max(value, least), most);
