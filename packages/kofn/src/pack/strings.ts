/** The strings of a .kofn file: each is written once, less what it shares with the one before, and has a number. */

import { ESCAPE, MOST_STRING_BYTES } from "@kofn/format/file/fields.js";
import type { ByteReader, ByteWriter } from "./bytes.js";

/** Numbers strings; "" is 0. */
export class StringTable {
  readonly #numbers: Map<string, number>;

  /** @param strings those that come first; others follow in the order in which they come up. */
  constructor(strings: Iterable<string> = []) {
    this.#numbers = new Map(["", ...strings].map((value, i) => [value, i]));
  }

  /** The same strings in alphabetical order, in which they share most. */
  sorted(): StringTable {
    const [, ...strings] = this.#numbers.keys();
    return new StringTable(strings.sort((a, b) => (a < b ? -1 : 1)));
  }

  number(value: string): number {
    const number = this.#numbers.get(value) ?? this.#numbers.size;
    this.#numbers.set(value, number);
    return number;
  }

  write(writer: ByteWriter): void {
    const [, ...strings] = this.#numbers.keys();
    let before = new Uint8Array();
    writer.list(strings, (value) => {
      const bytes = new TextEncoder().encode(value);
      let shared = 0;
      while (shared < Math.min(before.length, bytes.length) && before[shared] === bytes[shared]) shared++;
      const sizes = [bytes.length - shared, shared];
      const [low, high] = sizes.map((size) => Math.min(size, ESCAPE));
      writer.byte(low + 16 * high);
      for (const size of sizes) if (size >= ESCAPE) writer.uint(size - ESCAPE);
      writer.bytes(bytes.subarray(shared));
      before = bytes;
    });
  }
}

/** Reads the strings of a file, and then names by their numbers. */
export class StringReader {
  readonly #reader: ByteReader;
  readonly #strings: readonly string[];

  constructor(reader: ByteReader) {
    this.#reader = reader;
    let before = new Uint8Array();
    let total = 0;
    const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    const strings = reader.list(() => {
      const byte = reader.byte();
      const [length, shared] = [byte & 15, byte >> 4].map((size) =>
        size === ESCAPE ? ESCAPE + reader.uint() : size,
      );
      if (shared > before.length)
        reader.fail(`a string that shares ${shared} bytes with one of ${before.length}`);
      const rest = reader.bytes(length);
      total += shared + rest.length;
      if (total > MOST_STRING_BYTES) reader.fail(`strings of more than ${MOST_STRING_BYTES} bytes`);
      const bytes = new Uint8Array(shared + rest.length);
      bytes.set(before.subarray(0, shared));
      bytes.set(rest, shared);
      before = bytes;
      try {
        return decoder.decode(bytes);
      } catch {
        return reader.fail("a string that is no UTF-8");
      }
    });
    this.#strings = ["", ...strings];
  }

  /** Reads the number of a string. */
  name(): string {
    return this.at(this.#reader.uint());
  }

  at(number: number): string {
    return this.#strings.at(number) ?? this.#reader.fail(`string ${number}, of ${this.#strings.length}`);
  }
}
