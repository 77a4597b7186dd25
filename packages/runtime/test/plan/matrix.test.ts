/** Where weights are not 0: by the mask of the file as by looking at every weight. */

import fc from "fast-check";
import { expect, test } from "vitest";
import { encodeKofn } from "../../../kofn/src/pack/file.js";
import { contentsOf, recipes } from "../../../kofn/test/pack/networks.js";
import { readContainer } from "../../src/file/container.js";
import { readGraph } from "../../src/file/graph.js";
import type { Constant } from "../../src/graph/types.js";
import { columnsOf, type Matrix, matrixOf, seenBy } from "../../src/plan/matrix.js";

/** All weights with masks of a file. */
function maskedWeights(file: Uint8Array): Constant[] {
  const { constants } = readGraph(readContainer(file, "test"), file.length);
  return [...constants.values()].filter(({ stored }) => stored?.mask !== undefined);
}

/** The weight as the matrix of its layer, by its mask alone, and by its weights alone. */
function matricesOf({ kept = expect.fail("a mask is lost"), ...weight }: Constant): [Matrix, Matrix] {
  const { transposed } = kept;
  const [first, ...rest] = weight.dims;
  const others = rest.reduce((a, b) => a * b);
  const [outputs, fanIn] = transposed ? [others, first] : [first, others];
  const unread = (): number => expect.fail("a weight is looked at");
  return [
    { ...matrixOf({ ...weight, kept }, outputs, fanIn, transposed), at: unread },
    matrixOf(weight, outputs, fanIn, transposed),
  ];
}

test("finds by masks what it finds by weights, for all rows and runs of rows", () => {
  let zeros = 0;
  fc.assert(
    fc.property(recipes, fc.constantFrom("bitmap", "indices", "range"), (recipe, positions) => {
      for (const weight of maskedWeights(encodeKofn(contentsOf(recipe), { positions }).bytes)) {
        const [masked, scanned] = matricesOf(weight);
        const { outputs, fanIn } = masked;
        for (const count of [1, 4, outputs]) {
          for (let row = 0; row + count <= outputs; row++) {
            expect(columnsOf(masked, row, count)).toEqual(columnsOf(scanned, row, count));
            expect(seenBy(masked, row, count)).toEqual(seenBy(scanned, row, count));
          }
        }
        const { k, n, span, share } = weight.stored?.mask ?? expect.fail("no mask");
        const least = (outputs / share) * (fanIn / span / n) * k[0] * span * share;
        zeros += Math.max(0, least - seenBy(masked, 0, outputs).weights);
      }
    }),
    { numRuns: 150, seed: 14 },
  );
  // Codes of few bits are 0 in places that masks keep.
  expect(zeros).toBeGreaterThan(0);
});

test("looks at the weights if the mask is of the other orientation", () => {
  const data = Float32Array.of(0, 1, 2, 0, 0, 3);
  const kept = { transposed: true, ends: Uint32Array.of(0, 0, 0), columns: new Uint32Array() };
  const matrix = matrixOf({ dims: [2, 3], data, kept }, 2, 3);
  expect([0, 1].map((row) => [...columnsOf(matrix, row, 1)])).toEqual([[1, 2], [2]]);
});
