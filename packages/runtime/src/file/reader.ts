/** Reads the numbers and texts of a section, front to back. */

import { ALIGNMENT } from "@kofn/format/file/header.js";
import { NetworkError } from "../errors.js";

export class Reader {
  readonly #bytes: Uint8Array;
  readonly #where: string;
  #at = 0;

  /** @param where opens the message of an error. */
  constructor(bytes: Uint8Array, where: string) {
    this.#bytes = bytes;
    this.#where = where;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  fail(what: string): never {
    throw new NetworkError(`${this.#where}: ${what} (at byte ${this.#at}); the file is damaged`);
  }

  byte(): number {
    if (this.left === 0) this.fail("it ends where more is expected");
    return this.#bytes[this.#at++];
  }

  /** A view of the next bytes. */
  bytes(count: number): Uint8Array {
    if (!(count >= 0 && count <= this.left))
      this.fail(`${count} bytes are expected where ${this.left} are left`);
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }

  /**
   * A whole number in LEB128, in as few bytes as it needs: at most 8 up to 2^53, 10 up to 2^64. From 2^53 on it is rounded.
   */
  #whole(most: number): number {
    let value = 0;
    for (let scale = 1; scale <= most; scale *= 128) {
      const byte = this.byte();
      value += (byte & 127) * scale;
      if (value > most || (byte === 0 && scale > 1)) break;
      if (byte < 128) return value;
    }
    return this.fail("a number that is too large, or takes more bytes than it needs");
  }

  uint(): number {
    return this.#whole(Number.MAX_SAFE_INTEGER);
  }

  /** A `uint` below `end`. */
  below(end: number, what: string): number {
    const value = this.uint();
    return value < end ? value : this.fail(`expected ${what} below ${end}, got ${value}`);
  }

  /** A whole number with a sign. */
  int(): number {
    const value = this.#whole(2 ** 64);
    return value % 2 === 1 ? -(value + 1) / 2 : value / 2;
  }

  f32(): number {
    return this.#view(4).getFloat32(0, true);
  }

  f64(): number {
    return this.#view(8).getFloat64(0, true);
  }

  blob(): Uint8Array {
    return this.bytes(this.uint());
  }

  text(): string {
    return this.decode(this.blob());
  }

  decode(bytes: Uint8Array): string {
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      return this.fail("a text that is no UTF-8");
    }
  }

  /** A list whose items take at least a byte each. */
  list<T>(read: () => T): T[] {
    const count = this.uint();
    if (!(count <= this.left)) this.fail(`a list of ${count} items where ${this.left} bytes are left`);
    return Array.from({ length: count }, read);
  }

  /** Goes to where an array may begin. */
  align(): void {
    while (this.#at % ALIGNMENT !== 0) if (this.byte() !== 0) this.fail("expected 0 as filling");
  }

  /** @throws NetworkError if anything is left. */
  end(): void {
    if (this.left > 0) this.fail(`${this.left} bytes more than expected`);
  }

  #view(count: number): DataView {
    const { buffer, byteOffset } = this.bytes(count);
    return new DataView(buffer, byteOffset, count);
  }
}
