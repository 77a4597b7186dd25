/**
 * A range coder in whole numbers, the same on every machine: choices between two and symbols of a table become a little
 * more than the logarithm of their probability in bits. `docs/format.md` has its definition.
 */

import { FREQUENCIES, SMALLEST_RANGE } from "@kofn/format/file/fields.js";

const LARGEST_RANGE = 2 ** 32 - 1;

export class RangeEncoder {
  #low = 0;
  #range = LARGEST_RANGE;
  /** The last byte that may still change by a carry, and how many bytes of 255 follow it. */
  #held = -1;
  #full = 0;
  #bytes = new Uint8Array(1024);
  #length = 0;

  /** Codes one of two, the first of which has the probability count / total, 0 < count < total <= MOST_UNITS. */
  choose(isFirst: boolean, count: number, total: number): void {
    const bound = Math.floor((this.#range * count) / total);
    if (isFirst) {
      this.#range = bound;
    } else {
      this.#low += bound;
      this.#range -= bound;
    }
    while (this.#range < SMALLEST_RANGE) this.#shift();
  }

  /** Codes a symbol of a table, by its frequency and the sum of those before it. */
  symbol(before: number, frequency: number): void {
    const step = Math.floor(this.#range / FREQUENCIES);
    this.#low += step * before;
    this.#range = step * frequency;
    while (this.#range < SMALLEST_RANGE) this.#shift();
  }

  /** Ends the code. Bytes of 0 at its end are left out, as a decoder adds them. */
  finish(): Uint8Array {
    // The number in [low, low + range) with the most zeros at its end.
    const step = SMALLEST_RANGE;
    this.#low = Math.ceil(this.#low / step) * step;
    for (let i = 0; i < 5; i++) this.#shift();
    let end = this.#length;
    while (end > 0 && this.#bytes[end - 1] === 0) end--;
    return this.#bytes.subarray(0, end);
  }

  /** Moves the highest byte of `low` out. */
  #shift(): void {
    const carry = this.#low >= 2 ** 32 ? 1 : 0;
    if (carry === 1 || this.#low < 255 * SMALLEST_RANGE) {
      if (this.#held >= 0) this.#put(this.#held + carry);
      for (; this.#full > 0; this.#full--) this.#put((255 + carry) & 255);
      this.#held = Math.floor(this.#low / SMALLEST_RANGE) & 255;
    } else {
      this.#full++;
    }
    this.#low = (this.#low % SMALLEST_RANGE) * 256;
    this.#range *= 256;
  }

  #put(byte: number): void {
    if (this.#length === this.#bytes.length) {
      const larger = new Uint8Array(2 * this.#length);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes[this.#length++] = byte;
  }
}

export class RangeDecoder {
  readonly #bytes: Uint8Array;
  #at = 0;
  #code = 0;
  #range = LARGEST_RANGE;
  #step = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    for (let i = 0; i < 4; i++) this.#code = this.#code * 256 + this.#next();
  }

  /** How many bytes were not looked at. */
  get left(): number {
    return Math.max(0, this.#bytes.length - this.#at);
  }

  /** Whether it is the first of two, which has the probability count / total. */
  choose(count: number, total: number): boolean {
    const bound = Math.floor((this.#range * count) / total);
    const isFirst = this.#code < bound;
    if (isFirst) {
      this.#range = bound;
    } else {
      this.#code -= bound;
      this.#range -= bound;
    }
    if (this.#range < SMALLEST_RANGE) this.#fill();
    return isFirst;
  }

  /** A number below 2^12 that lies between the sum of the frequencies before the next symbol and that with its own. */
  place(): number {
    this.#step = Math.floor(this.#range / FREQUENCIES);
    return Math.min(FREQUENCIES - 1, Math.floor(this.#code / this.#step));
  }

  /** Goes past the symbol that {@link place} has shown. */
  take(before: number, frequency: number): void {
    this.#code -= this.#step * before;
    this.#range = this.#step * frequency;
    if (this.#range < SMALLEST_RANGE) this.#fill();
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
