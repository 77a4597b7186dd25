/** Random small networks against onnxruntime. */

import fc from "fast-check";
import { expect, it } from "vitest";
import { sparseContents } from "../../kofn/src/pack/contents.js";
import { SHAPE_RULES } from "../src/graph/shapes.js";
import { load } from "../src/load.js";
import { largestError, packedCase, TOLERANCE } from "./support/cases.js";
import { networkOf, recipes } from "./support/random-networks.js";

/** The same networks each time; or so many others as KOFN_FUZZ_RUNS says. */
const { KOFN_FUZZ_RUNS } = process.env;
const RUNS = KOFN_FUZZ_RUNS === undefined ? { numRuns: 700, seed: 5 } : { numRuns: Number(KOFN_FUZZ_RUNS) };

it("computes what onnxruntime computes", { timeout: 600_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(recipes, async (recipe) => {
      const model = networkOf(recipe);
      const contents = sparseContents(model);
      const { file, input, expected } = await packedCase("random", contents, [recipe.batch, ...recipe.image]);
      const net = await load(file);
      const results = net.run(input);
      expect(largestError(results, expected)).toBeLessThan(TOLERANCE);
      // Memory that is used again must not change what follows.
      expect(net.run(input)).toEqual(results);
    }),
    RUNS,
  );
});

it("draws every operator that has a kernel", () => {
  const drawn = new Set<string>();
  for (const recipe of fc.sample(recipes, { numRuns: 700, seed: 5 }))
    for (const { op } of networkOf(recipe).graph.nodes) drawn.add(op);
  expect(Object.keys(SHAPE_RULES).filter((op) => !op.includes(":") && !drawn.has(op))).toEqual([]);
});
