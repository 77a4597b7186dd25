/** Varints that are too long, too large or in more bytes than they need, at every place of a file that has one. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeKofn } from "../../../kofn/src/pack/file.js";
import { Random } from "../../../kofn/src/random.js";
import { contentsOf, recipes } from "../../../kofn/test/pack/networks.js";
import {
  endlessFile,
  largeVarints,
  outcome,
  varintsOf,
  withVarint,
  wrongVarints,
} from "../../../kofn/test/pack/varints.js";
import { readContainer } from "../../src/file/container.js";
import { readGraph } from "../../src/file/graph.js";
import { readInfo } from "../../src/file/info.js";
import { Reader } from "../../src/file/reader.js";

const SEED = 14;
const decoded = (file: Uint8Array): string =>
  outcome(Reader.prototype, file, () => {
    const readers = readContainer(file, "test.kofn");
    readGraph(readers, file.length);
    readInfo(readers.info);
  });

describe("a varint of a file", () => {
  test("of 148 bytes is an error, not the end of all", () => {
    expect(decoded(endlessFile())).toMatch(/^NetworkError: .*takes more bytes than it needs/);
  });

  test.each(fc.sample(recipes, { numRuns: 3, seed: SEED }).map((recipe, i) => [i, recipe] as const))(
    `is refused wherever it is wrong, and does no harm where it is large (network %i of seed ${SEED})`,
    (i, recipe) => {
      const file = encodeKofn(contentsOf(recipe), { entropy: true }).bytes;
      const random = new Random(SEED, "varints", i);
      for (const varint of varintsOf(file)) {
        const where = JSON.stringify(varint);
        for (const bytes of wrongVarints(file, varint, random))
          expect(decoded(withVarint(file, varint, bytes)), `${where}: ${String(bytes)}`).toMatch(
            /^NetworkError: /,
          );
        for (const bytes of largeVarints(random))
          expect(decoded(withVarint(file, varint, bytes)), `${where}: ${String(bytes)}`).toMatch(
            /^(NetworkError: |none$)/,
          );
      }
    },
  );
});
