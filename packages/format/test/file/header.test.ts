/** The header of a .kofn file, byte by byte as docs/format.md has it. */

import { expect, test } from "vitest";
import { crc32 } from "../../src/file/crc32.js";
import { aligned, HEADER_BYTES, isKofn, readHeader, writeHeader } from "../../src/file/header.js";

const TABLE = [64, 10, 0xfedcba98, 76, 0, 0, 76, 3, 7, 80, 2 ** 32 - 1, 2 ** 31];

/** A file of so many bytes, at a place in memory that is no multiple of 4. */
function written(size: number): Uint8Array {
  const file = new Uint8Array(size + 1).subarray(1);
  writeHeader(file, TABLE);
  return file;
}

test("has its fields where they belong", () => {
  const file = written(100);
  const view = new DataView(file.buffer, file.byteOffset);
  expect(new TextDecoder().decode(file.subarray(0, 4))).toBe("kofn");
  expect([view.getUint16(4, true), view.getUint16(6, true), view.getUint32(8, true)]).toEqual([1, 4, 100]);
  expect(TABLE.map((_, i) => view.getUint32(16 + 4 * i, true))).toEqual(TABLE);
  const without = file.slice(0, HEADER_BYTES).fill(0, 12, 16);
  expect(view.getUint32(12, true)).toBe(crc32(without));
  expect(file.subarray(HEADER_BYTES).every((byte) => byte === 0)).toBe(true);
});

test("comes back, and leaves the file as it is", () => {
  const file = written(70);
  const before = file.slice();
  expect(readHeader(file)).toEqual({ version: 1, count: 4, length: 70, isWhole: true, table: TABLE });
  expect(readHeader(Buffer.from(file)).isWhole).toBe(true);
  expect(file).toEqual(before);
  expect(isKofn(file)).toBe(true);
});

test("is not whole if any bit of it is wrong", () => {
  for (let bit = 0; bit < 8 * HEADER_BYTES; bit++) {
    const file = written(70);
    file[bit >> 3] ^= 1 << (bit & 7);
    expect(readHeader(file).isWhole, `bit ${bit}`).toBe(false);
    expect(isKofn(file)).toBe(bit >= 32);
  }
});

test("is followed by sections at multiples of 4", () => {
  expect([0, 1, 4, 5, 2 ** 32 - 1].map(aligned)).toEqual([0, 4, 4, 8, 2 ** 32]);
});
