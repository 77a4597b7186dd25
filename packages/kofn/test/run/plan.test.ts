/** Plans of runs: the same for a network before and after import, and resolved once. */

import { describe, expect, test } from "vitest";
import { importModel } from "../../src/import/import.js";
import { ZOO } from "../../src/models/zoo.js";
import { kernels, weights } from "../../src/prune/spec.js";
import { int8, uint8 } from "../../src/quantize/spec.js";
import { planRun } from "../../src/run/plan.js";
import { train } from "../../src/run/train.js";
import { tinyData, tinyModel } from "../support/tiny.js";

describe("planRun", () => {
  test.each(Object.entries(ZOO))("%s is imported as it is built", (_, build) => {
    const model = build();
    const options = { budget: { macs: 0.3 }, quantize: { "*": int8(), activations: uint8() } };
    expect(planRun(importModel(model), options)).toEqual(planRun(model, options));
  });
});

describe("train", () => {
  test("takes a plan that is at hand instead of resolving another", async () => {
    const model = tinyModel();
    const options = {
      model,
      data: tinyData(),
      epochs: 1,
      batch: 16,
      threads: 1,
      prune: { fc: weights({ k: 3 }) },
    };
    const plan = planRun(model, { prune: { conv: kernels({ k: 1 }), fc: weights({ k: 5 }) } });
    const ofPlan = await train(options, plan);
    expect(ofPlan.report.layers.map(({ name, k }) => [name, k])).toEqual([
      ["conv", 1],
      ["fc", 5],
    ]);
    const resolved = await train(options);
    expect(resolved.report.layers.map(({ name, k }) => [name, k])).toEqual([["fc", 3]]);
  });
});
