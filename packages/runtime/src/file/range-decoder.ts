/** The decoder of range coded positions and symbols. */

import type { Reader } from "./reader.js";

const TOTAL = 2 ** 12;
const SMALLEST_RANGE = 2 ** 24;
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

  /** Whether it is the first of two, which has the probability count / total. */
  choose(count: number, total: number): boolean {
    const bound = Math.floor((this.#range * count) / total);
    const isFirst = this.#code < bound;
    if (!isFirst) this.#code -= bound;
    this.#range = isFirst ? bound : this.#range - bound;
    this.#fill();
    return isFirst;
  }

  /** The next symbol, by the symbol at each place of the table, and where each symbol's places begin and how many it has. */
  symbol(places: Uint8Array, starts: Uint16Array, frequencies: Uint16Array): number {
    const step = Math.floor(this.#range / TOTAL);
    const symbol = places[Math.min(TOTAL - 1, Math.floor(this.#code / step))];
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
  const places = new Uint8Array(TOTAL);
  let symbol = reader.uint();
  for (let sum = 0; sum < TOTAL; symbol++) {
    const frequency = reader.uint();
    if (symbol >= SYMBOLS || sum + frequency > TOTAL) reader.fail("a table of frequencies that does not fit");
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
