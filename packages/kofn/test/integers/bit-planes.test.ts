/** Codes in few bits. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bitPlanes, bitsFor, nibbles, offsetOf } from "../../src/integers/bit-planes.js";

/** The codes that planes hold, digit by digit. */
function unpacked(planes: Uint8Array, bits: number, length: number): number[] {
  const bytes = planes.length / bits;
  return Array.from({ length }, (_, i) => {
    let value = 0;
    for (let digit = 0; digit < bits; digit++) {
      value += 2 ** digit * ((planes[digit * bytes + Math.floor(i / 8)] >> (i % 8)) & 1);
    }
    return bits === 1 ? 2 * value - 1 : value - offsetOf(bits);
  });
}

describe("bitsFor", () => {
  test.each([
    [[-1, 1, 1], 1],
    [[-1, 0, 1], 2],
    [[-2, 1], 2],
    [[2], 3],
    [[-4, 3], 3],
    [[7], 4],
    [[-9], 5],
    [[31, -32], 6],
    [[63], 7],
    [[64], 8],
    [[-128], 8],
    [[0], 2],
  ])("%j takes %i", (codes, bits) => {
    expect(bitsFor(Int8Array.from(codes))).toBe(bits);
  });
});

describe("bitPlanes", () => {
  test("holds any codes", () => {
    const limits = fc.integer({ min: 1, max: 127 });
    fc.assert(
      fc.property(
        limits.chain((most) =>
          fc.array(fc.integer({ min: -most, max: most }), { minLength: 1, maxLength: 70 }),
        ),
        (values) => {
          const codes = Int8Array.from(values);
          const bits = bitsFor(codes);
          const planes = bitPlanes(codes, bits);
          expect(planes).toHaveLength(bits * Math.ceil(values.length / 8));
          expect(unpacked(planes, bits, values.length)).toEqual(values);
        },
      ),
    );
  });
});

describe("nibbles", () => {
  test("puts the first of two codes into the lower half of a byte", () => {
    expect([...nibbles(Int8Array.of(1, -1, -8))]).toEqual([0xf1, 0x08]);
  });
});
