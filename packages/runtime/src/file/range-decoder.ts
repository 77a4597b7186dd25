/** The decoder of range coded positions and symbols. */

import { FREQUENCIES, SMALLEST_RANGE } from "@kofn/format/file/fields.js";
import type { Reader } from "./reader.js";

const SYMBOLS = 256;

export class RangeDecoder {
  readonly #bytes: Uint8Array;
  #at = 0;
  #code = 0;
  #range = 2 ** 32 - 1;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    for (let i = 0; i < 4; i++) this.#code = this.#code * 256 + this.#next();
  }

  /** Whether every byte was looked at. */
  get isDone(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** Sets so many of each n units to 1. One is chosen with the probability (those left to choose) / (units left). */
  choose(counts: Uint32Array, n: number, units: Uint8Array): void {
    const bytes = this.#bytes;
    // In variables, as this is the longest loop of all.
    let [at, code, range] = [this.#at, this.#code, this.#range];
    for (let group = 0; group < counts.length; group++) {
      const end = (group + 1) * n;
      let left = counts[group];
      for (let unit = end - n; left > 0; unit++) {
        if (left < end - unit) {
          const bound = Math.floor((range * left) / (end - unit));
          const isChosen = code < bound;
          if (isChosen) range = bound;
          else {
            code -= bound;
            range -= bound;
          }
          while (range < SMALLEST_RANGE) {
            code = code * 256 + (at < bytes.length ? bytes[at++] : 0);
            range *= 256;
          }
          if (!isChosen) continue;
        }
        units[unit] = 1;
        left--;
      }
    }
    [this.#at, this.#code, this.#range] = [at, code, range];
  }

  /** The next symbol, by the symbol at each place of the table, and where each symbol's places begin and how many it has. */
  symbol(places: Uint8Array, starts: Uint16Array, frequencies: Uint16Array): number {
    const step = Math.floor(this.#range / FREQUENCIES);
    const symbol = places[Math.min(FREQUENCIES - 1, Math.floor(this.#code / step))];
    this.#code -= step * starts[symbol];
    this.#range = step * frequencies[symbol];
    this.#fill();
    return symbol;
  }

  #fill(): void {
    while (this.#range < SMALLEST_RANGE) {
      this.#code = this.#code * 256 + this.#next();
      this.#range *= 256;
    }
  }

  #next(): number {
    return this.#at < this.#bytes.length ? this.#bytes[this.#at++] : 0;
  }
}

/** Symbols behind a table of their frequencies. */
export function readSymbols(reader: Reader, count: number): Uint8Array {
  const frequencies = new Uint16Array(SYMBOLS);
  const starts = new Uint16Array(SYMBOLS);
  const places = new Uint8Array(FREQUENCIES);
  let symbol = reader.uint();
  for (let sum = 0; sum < FREQUENCIES; symbol++) {
    const frequency = reader.uint();
    if (symbol >= SYMBOLS || sum + frequency > FREQUENCIES)
      reader.fail("a table of frequencies that does not fit");
    frequencies[symbol] = frequency;
    starts[symbol] = sum;
    places.fill(symbol, sum, sum + frequency);
    sum += frequency;
    if (frequency === 0) symbol += reader.uint();
  }
  const decoder = new RangeDecoder(reader.bytes(reader.left));
  const symbols = Uint8Array.from({ length: count }, () => decoder.symbol(places, starts, frequencies));
  if (!decoder.isDone) reader.fail("bytes are left over");
  return symbols;
}
