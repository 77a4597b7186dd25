/** The graphs of a step, to look at: valid, and what they say they are. */

import { expect, test } from "vitest";
import { decodeModel, encodeModelBytes } from "../../src/onnx/codec.js";
import { printGraph } from "../../src/onnx/print.js";
import { validate } from "../../src/onnx/validate.js";
import { planPrune } from "../../src/prune/plan.js";
import { weights } from "../../src/prune/spec.js";
import { stepModels } from "../../src/step/models.js";
import { planStep } from "../../src/step/plan.js";
import { tinyModel } from "../support/tiny.js";

test("are a step in kofn's dialect, and the same in standard operators", () => {
  const model = tinyModel();
  const layers = planPrune(model.graph, { fc: weights({ k: 12 }) });
  const { step, lowered } = stepModels(
    planStep(model, { batch: 2, layers, weights: "host", sampling: "host" }),
  );
  for (const one of [step, lowered]) validate(decodeModel(encodeModelBytes(one), "step.onnx"));
  expect(printGraph(step)).toMatch(/SoftmaxCrossEntropy\(%fc, %labels/);
  expect(printGraph(step)).toMatch(/^graph "tiny\/step" \(opset 21, kofn 1\)/);
  const namesOf = (values: readonly { name: string }[]): string[] => values.map(({ name }) => name);
  expect(namesOf(lowered.graph.outputs)).toEqual(namesOf(step.graph.outputs));
  expect(lowered.graph.nodes.some(({ domain }) => domain === "kofn")).toBe(false);
});
