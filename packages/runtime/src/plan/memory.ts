/** The WebAssembly kernels and their memory: tables that stay, and an arena whose parts are used by one value after the other. */

import { NetworkError } from "../errors.js";
import type { Kernels } from "../wasm.generated.js";

const PAGE = 65_536;
const ALIGNMENT = 64;
/** Kernels read a few cells behind the end of what they are given. */
const GUARD = 4096;
/** Memory grows by so many bytes at most before they are needed. */
const MOST_AHEAD = 2 ** 24;

/** Gives out memory; none of it is ever given back. */
export class Memory {
  readonly kernels: Kernels;
  #end: number;
  #words: Uint32Array;
  #floats: Float32Array;

  constructor(kernels: Kernels) {
    this.kernels = kernels;
    this.#end = kernels.base() + GUARD;
    this.#words = new Uint32Array(kernels.memory.buffer);
    this.#floats = new Float32Array(kernels.memory.buffer);
  }

  /** All memory as whole numbers: until the next call of `take`, as `floats`. */
  get words(): Uint32Array {
    return this.#words;
  }

  get floats(): Float32Array {
    return this.#floats;
  }

  get bytes(): number {
    return this.#end;
  }

  /**
   * @returns the address of so many bytes of 0
   * @throws NetworkError if there is not enough memory.
   */
  take(bytes: number): number {
    const begin = this.#end;
    this.#end = Math.ceil((begin + bytes) / ALIGNMENT) * ALIGNMENT;
    const missing = this.#end + GUARD - this.#words.byteLength;
    if (missing > 0) {
      // More than is missing, as every growth is a new buffer for the collector of garbage.
      const pages = Math.ceil(Math.max(missing, Math.min(this.#end / 2, MOST_AHEAD)) / PAGE);
      try {
        this.kernels.memory.grow(pages);
      } catch {
        const needed = Math.ceil(this.#end / 2 ** 20);
        throw new NetworkError(`the network needs ${needed} MiB of memory, which WebAssembly does not give`);
      }
      this.#words = new Uint32Array(this.kernels.memory.buffer);
      this.#floats = new Float32Array(this.kernels.memory.buffer);
    }
    return begin;
  }

  /** @returns the address of a copy */
  floatTable(values: ArrayLike<number>, length = values.length): number {
    const address = this.take(4 * length);
    this.#floats.set(values, address / 4);
    return address;
  }
}

/** A part of the arena. */
interface Slot {
  readonly layout: string;
  cells: number;
  address: number;
}

/** Lends parts of the arena. Their sizes are known when all have been lent, their addresses after that. */
export class Arena {
  readonly #slots: Slot[] = [];
  readonly #free: Slot[] = [];

  /** @param layout a part serves only values of one layout, whose cells of 0 so stay 0. */
  lend(layout: string, cells: number): Slot {
    const fits = this.#free.filter((slot) => slot.layout === layout).sort((a, b) => a.cells - b.cells);
    const slot = fits.find((one) => one.cells >= cells) ?? fits.at(-1);
    if (slot === undefined) {
      const added = { layout, cells, address: 0 };
      this.#slots.push(added);
      return added;
    }
    this.#free.splice(this.#free.indexOf(slot), 1);
    slot.cells = Math.max(slot.cells, cells);
    return slot;
  }

  giveBack(slot: Slot): void {
    this.#free.push(slot);
  }

  /** @returns the bytes of the arena */
  place(memory: Memory): number {
    const begin = memory.bytes;
    for (const slot of this.#slots) slot.address = memory.take(4 * slot.cells);
    return memory.bytes - begin;
  }
}
