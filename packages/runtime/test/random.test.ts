/** Random small networks against onnxruntime. */

import fc from "fast-check";
import { expect, test } from "vitest";
import { sparseContents } from "../../kofn/src/pack/contents.js";
import { SHAPE_RULES } from "../src/graph/shapes.js";
import { largestError, packedCase, TOLERANCE } from "./support/cases.js";
import { hostsOfFile } from "./support/hosts.js";
import { networkOf, recipes } from "./support/random-networks.js";

/** The same networks each time; or so many others as KOFN_FUZZ_RUNS says. */
const { KOFN_FUZZ_RUNS } = process.env;
const RUNS = KOFN_FUZZ_RUNS === undefined ? { numRuns: 700, seed: 5 } : { numRuns: Number(KOFN_FUZZ_RUNS) };

const hosts = hostsOfFile();

test("computes what onnxruntime computes, in all hosts", { timeout: 600_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(recipes, async (recipe) => {
      const contents = sparseContents(networkOf(recipe));
      const one = await packedCase("random", contents, [recipe.batch, ...recipe.image]);
      for (const host of hosts) {
        const [first, second] = await host.call(async ({ load }, { file, input }) => {
          const net = await load(file);
          return [net.run(input), net.run(input)] as const;
        }, one);
        expect(largestError(first, one.expected), host.name).toBeLessThan(TOLERANCE);
        // Memory that is used again must not change what follows.
        expect(second, host.name).toEqual(first);
      }
    }),
    RUNS,
  );
});

test("draws every operator that has a kernel", () => {
  const drawn = new Set<string>();
  for (const recipe of fc.sample(recipes, { numRuns: 700, seed: 5 }))
    for (const { op } of networkOf(recipe).graph.nodes) drawn.add(op);
  expect(Object.keys(SHAPE_RULES).filter((op) => !op.includes(":") && !drawn.has(op))).toEqual([]);
});
