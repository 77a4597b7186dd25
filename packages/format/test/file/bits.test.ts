/** Fields of a few bits: round trips, and how they lie. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { packBits, unpackBits, widthOf } from "../../src/file/bits.js";

describe("fields of bits", () => {
  test("come back, in as many bytes as their bits need", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 24 }), fc.array(fc.nat()), (width, numbers) => {
        const values = Uint32Array.from(numbers, (value) => value % 2 ** width);
        const bytes = packBits(values, width);
        expect(bytes).toHaveLength(Math.ceil((values.length * width) / 8));
        const back = new Uint32Array(values.length);
        expect(unpackBits(bytes, width, back)).toBe(true);
        expect(back).toEqual(values);
      }),
    );
  });

  test("have their lowest bit first, as docs/format.md says", () => {
    expect(packBits(Uint8Array.of(1, 0, 1, 1, 0, 0, 0, 0, 1), 1)).toEqual(Uint8Array.of(0b1101, 1));
    expect(packBits(Uint32Array.of(5, 2, 7), 3)).toEqual(Uint8Array.of(0b11_010_101, 0b1));
  });

  test("tell of bits that are left over and not 0", () => {
    expect(unpackBits(Uint8Array.of(0b1000_0001), 1, new Uint8Array(3))).toBe(false);
  });

  test("are as wide as the largest number needs", () => {
    expect([1, 2, 3, 4, 5, 784, 1024, 1025].map(widthOf)).toEqual([0, 1, 2, 2, 3, 10, 10, 11]);
  });
});
