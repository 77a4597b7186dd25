/** The numbers that say how masks are stored. */

import { expect, test } from "vitest";
import { maskKind, maskNumber, POSITION_CODECS } from "../../src/file/fields.js";

test("every kind of mask has a number of its own, as docs/format.md has it, and all others have none", () => {
  const kinds = new Map<number, object>();
  for (const [number, codec] of POSITION_CODECS.entries()) {
    for (const countsDiffer of [false, true]) {
      for (const transposed of [false, true]) {
        const kind = { codec, countsDiffer, transposed };
        expect(maskNumber(kind)).toBe(1 + 2 * number + (countsDiffer ? 8 : 0) + (transposed ? 16 : 0));
        kinds.set(maskNumber(kind), kind);
      }
    }
  }
  expect(kinds.size).toBe(4 * POSITION_CODECS.length);
  for (const high of [0, 2 ** 5, 2 ** 8, 2 ** 32, 2 ** 33, 2 ** 52]) {
    for (let number = high; number < high + 32; number++) {
      expect(maskKind(number), String(number)).toEqual(kinds.get(number));
    }
  }
});
