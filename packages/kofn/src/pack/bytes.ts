/** Writes and reads the numbers and texts of a .kofn file's sections, front to back. */

import { InputError } from "../errors.js";

/** The most bytes of a `uint`, which is below 2^53, and of an `int`, which has 64 bits: seven bits in each. */
const UINT_BYTES = 8;
const INT_BYTES = 10;

/** A buffer that grows as it is written. */
export class ByteWriter {
  #bytes = new Uint8Array(256);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** What was written: a view that later writing may leave behind. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  byte(value: number): void {
    if (this.#length === this.#bytes.length) this.#grow(1);
    this.#bytes[this.#length++] = value;
  }

  bytes(values: Uint8Array): void {
    if (this.#length + values.length > this.#bytes.length) this.#grow(values.length);
    this.#bytes.set(values, this.#length);
    this.#length += values.length;
  }

  /** A whole number of at least 0, in LEB128. */
  uint(value: number): void {
    let rest = value;
    for (; rest >= 128; rest = Math.floor(rest / 128)) this.byte((rest % 128) | 128);
    this.byte(rest);
  }

  /** A whole number of 64 bits, in LEB128: those of at least 0 as 2 i, others as -2 i - 1. */
  int(value: bigint): void {
    let rest = value < 0n ? -2n * value - 1n : 2n * value;
    for (; rest >= 128n; rest >>= 7n) this.byte(Number(rest & 127n) | 128);
    this.byte(Number(rest));
  }

  f32(value: number): void {
    this.bytes(new Uint8Array(Float32Array.of(value).buffer));
  }

  f64(value: number): void {
    this.bytes(new Uint8Array(Float64Array.of(value).buffer));
  }

  /** Bytes, preceded by their number. */
  blob(values: Uint8Array): void {
    this.uint(values.length);
    this.bytes(values);
  }

  text(value: string): void {
    this.blob(new TextEncoder().encode(value));
  }

  list<T>(items: readonly T[], write: (item: T) => void): void {
    this.uint(items.length);
    items.forEach(write);
  }

  /** Fills up with 0 to a multiple of so many bytes. */
  align(multiple: number): void {
    while (this.#length % multiple !== 0) this.byte(0);
  }

  #grow(more: number): void {
    const larger = new Uint8Array(Math.max(this.#length + more, 2 * this.#bytes.length));
    larger.set(this.#bytes);
    this.#bytes = larger;
  }
}

/** Reads what a {@link ByteWriter} has written. Every mistake is an InputError that says where it is. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #where: string;
  #at = 0;

  /** @param where opens the message of an error: the file and the section. */
  constructor(bytes: Uint8Array, where: string) {
    this.#bytes = bytes;
    this.#where = where;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  /** A place in this section, for the message of an error. */
  where(what: string): string {
    return `${this.#where}, ${what}`;
  }

  fail(what: string): never {
    throw new InputError(`${this.#where}: ${what} (at byte ${this.#at}). The file is damaged; pack it anew.`);
  }

  byte(): number {
    if (this.#at === this.#bytes.length) this.fail("ends where more is expected");
    return this.#bytes[this.#at++];
  }

  /** A view of the next bytes. */
  bytes(count: number): Uint8Array {
    if (!(count >= 0 && count <= this.left))
      this.fail(`${count} bytes are expected where ${this.left} are left`);
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }

  /** @throws InputError if it is 2^53 or more, or takes more bytes than it needs. */
  uint(): number {
    const value = this.#leb128(UINT_BYTES).reduceRight((rest, byte) => 128 * rest + (byte & 127), 0);
    return value <= Number.MAX_SAFE_INTEGER ? value : this.fail("a number of 2^53 or more");
  }

  /** A `uint` below `end`. */
  below(end: number, what: string): number {
    const value = this.uint();
    return value < end ? value : this.fail(`expected ${what} below ${end}, got ${value}`);
  }

  /** @throws InputError if it has more than 64 bits, or takes more bytes than it needs. */
  int(): bigint {
    let value = 0n;
    for (const byte of this.#leb128(INT_BYTES).toReversed()) value = (value << 7n) | BigInt(byte & 127);
    if (value >= 1n << 64n) this.fail("a whole number of more than 64 bits");
    return value & 1n ? -(value + 1n) / 2n : value / 2n;
  }

  /** The bytes of the next number. */
  #leb128(most: number): Uint8Array {
    const start = this.#at;
    while (this.byte() >= 128)
      if (this.#at === start + most) this.fail(`a number of more than ${most} bytes`);
    if (this.#at > start + 1 && this.#bytes[this.#at - 1] === 0)
      this.fail("a number that takes more bytes than it needs");
    return this.#bytes.subarray(start, this.#at);
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
    const bytes = this.blob();
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

  align(multiple: number): void {
    while (this.#at % multiple !== 0) if (this.byte() !== 0) this.fail("expected 0 as filling");
  }

  /** @throws InputError if anything is left. */
  end(): void {
    if (this.left > 0) this.fail(`${this.left} bytes more than expected`);
  }

  #view(count: number): DataView {
    const { buffer, byteOffset } = this.bytes(count);
    return new DataView(buffer, byteOffset, count);
  }
}
