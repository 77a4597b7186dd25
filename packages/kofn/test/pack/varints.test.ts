/** Varints that are too long, too large or in more bytes than they need, at every place of a file that has one. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ByteReader, ByteWriter } from "../../src/pack/bytes.js";
import { decodeKofn, encodeKofn } from "../../src/pack/file.js";
import { Random } from "../../src/random.js";
import { contentsOf, recipes } from "./networks.js";
import { endlessFile, largeVarints, outcome, varintsOf, withVarint, wrongVarints } from "./varints.js";

const SEED = 14;
const decoded = (file: Uint8Array): string =>
  outcome(ByteReader.prototype, file, () => decodeKofn(file, "test.kofn"));

describe("a varint of a .kofn file", () => {
  test("of 148 bytes is an error, not the end of all", () => {
    expect(decoded(endlessFile())).toMatch(/^InputError: .*a number of more than 8 bytes/);
  });

  test.each(fc.sample(recipes, { numRuns: 3, seed: SEED }).map((recipe, i) => [i, recipe] as const))(
    `is refused wherever it is wrong, and does no harm where it is large (network %i of seed ${SEED})`,
    (i, recipe) => {
      const file = encodeKofn(contentsOf(recipe), { entropy: true }).bytes;
      const random = new Random(SEED, "varints", i);
      const varints = varintsOf(file);
      expect(varints.length).toBeGreaterThan(100);
      for (const varint of varints) {
        const where = JSON.stringify(varint);
        for (const bytes of wrongVarints(file, varint, random))
          expect(decoded(withVarint(file, varint, bytes)), `${where}: ${String(bytes)}`).toMatch(
            /^InputError: /,
          );
        for (const bytes of largeVarints(random))
          expect(decoded(withVarint(file, varint, bytes)), `${where}: ${String(bytes)}`).toMatch(
            /^(InputError: |none$)/,
          );
      }
    },
  );

  test("comes back if it is right", () => {
    fc.assert(
      fc.property(
        fc.array(fc.maxSafeNat()),
        fc.array(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
        (uints, ints) => {
          const writer = new ByteWriter();
          for (const value of uints) writer.uint(value);
          for (const value of ints) writer.int(value);
          const reader = new ByteReader(writer.view(), "test");
          expect(uints.map(() => reader.uint())).toEqual(uints);
          expect(ints.map(() => reader.int())).toEqual(ints);
          reader.end();
        },
      ),
    );
  });
});
