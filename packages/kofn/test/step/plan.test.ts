/** Plans of steps: over all mixtures of granularities, quantizers and places, the graph reads and writes what the plan says. */

import { describe, expect, test } from "vitest";
import type { Graph } from "../../src/onnx/model.js";
import { optimizerOf } from "../../src/optim/optimizer.js";
import { planPrune } from "../../src/prune/plan.js";
import { kernels, maps, weights } from "../../src/prune/spec.js";
import type { PruneSpec } from "../../src/prune/types.js";
import { planQuantization } from "../../src/quantize/plan.js";
import { binary, int, uint8 } from "../../src/quantize/spec.js";
import type { QuantizeSpec } from "../../src/quantize/types.js";
import { stepGraph } from "../../src/step/graph.js";
import { maskedName } from "../../src/step/names.js";
import { type Path, planStep, type StepOptions, type StepPlan } from "../../src/step/plan.js";
import { normalisedModel } from "../support/normalised.js";
import { tinyModel } from "../support/tiny.js";

const PRUNE: Readonly<Record<string, PruneSpec>> = {
  nothing: {},
  weights: { conv: weights({ k: 4 }), fc: weights({ k: 12 }) },
  "shared weights": { fc: weights({ k: 7, share: 3 }) },
  "kernels and tiles": { conv: kernels({ k: 1 }), fc: weights({ tile: [2, 4] }) },
  maps: { conv: maps({ k: 2 }) },
  "maps and weights": { conv: maps({ k: 2 }), fc: weights({ k: 12 }) },
};

const QUANTIZE: Readonly<Record<string, QuantizeSpec>> = {
  nothing: {},
  learned: { "*": int(4) },
  fitted: { "*": binary({ method: "dpp" }) },
  "some, and activations": { fc: int(4), "activations.fc": uint8() },
};

const adam = optimizerOf({ kind: "adam", lr: 0.01 });
type Where = Pick<StepOptions, "weights" | "sampling">;
const PLACES: Readonly<Record<string, (k: readonly number[]) => Where>> = {
  host: () => ({ weights: "host", sampling: "host" }),
  "masks on the host": () => ({ weights: adam, sampling: "host" }),
  "updates on the host": (k) => ({ weights: "host", sampling: { k, optimizer: adam, entropy: 0.1 } }),
  graph: (k) => ({ weights: adam, sampling: { k, optimizer: adam, entropy: 0 } }),
};

function plan(prune: string, quantize: string, place: string): StepPlan {
  const model = tinyModel();
  const layers = planPrune(model.graph, PRUNE[prune]);
  const quantization = planQuantization(model.graph, QUANTIZE[quantize]);
  const where = PLACES[place](layers.map(({ k }) => k));
  return planStep(model, { batch: 2, layers, quantization, ...where });
}

const CASES = Object.keys(PRUNE).flatMap((prune) =>
  Object.keys(QUANTIZE).flatMap((quantize) =>
    Object.keys(PLACES).map((place) => [prune, quantize, place] as const),
  ),
);

const namesOf = (graph: Graph, side: "inputs" | "outputs"): Set<string> =>
  new Set(graph[side].map(({ name }) => name));

/** Checks one parameter's path against what the graph reads and writes. */
function check(name: string, path: Path, step: ReturnType<typeof stepGraph>): void {
  const { graph } = step.model;
  const inputs = namesOf(graph, "inputs");
  const isMasked = path.maskedBy === "quantizer" || path.maskedBy === "sampler";
  expect(inputs.has(name), `input ${name}`).toBe(!isMasked);
  expect(
    step.masks.some(({ weight }) => weight === name),
    `mask of ${name}`,
  ).toBe(isMasked);
  if (isMasked) expect(inputs).toContain(maskedName(name));
  expect(
    step.tensors.some((one) => one.name === name),
    `update of ${name}`,
  ).toBe(path.updatedBy === "graph");
  expect(
    step.parameters.some((one) => one.name === name),
    `gradient of ${name}`,
  ).toBe(path.updatedBy === "optimizer" && !isMasked);
  expect(graph.initializers.has(name), `constant ${name}`).toBe(false);
}

describe("planStep", () => {
  test.each(CASES)("pruned: %s; quantized: %s; %s", (prune, quantize, place) => {
    const refused = !["nothing"].includes(quantize) && PLACES[place]([]).weights !== "host";
    if (refused) {
      expect(() => plan(prune, quantize, place)).toThrow(
        /can't have them quantized; update them on the host/,
      );
      return;
    }
    const planned = plan(prune, quantize, place);
    expect([...planned.tensors.keys()]).toEqual([...planned.task.graph.initializers.keys()]);
    for (const phase of ["float", "quantized"] as const) {
      const step = stepGraph(planned, phase);
      const outputs = namesOf(step.model.graph, "outputs");
      for (const [name, tensor] of planned.tensors) {
        if (tensor.kind === "parameter") check(name, tensor.path, step);
      }
      const written = [...step.parameters, ...step.masks, ...step.scales].map(({ gradient }) => gradient);
      expect([...outputs].sort()).toEqual(
        [...written, ...step.tensors.map(({ updated }) => updated), "loss", "correct"].sort(),
      );
      expect(step.scales.length).toBe(phase === "quantized" ? planned.activations.length : 0);
      expect(step.masks.length + step.noises.length).toBe(planned.masks.length);
    }
  });

  test.each([
    ["weights", "learned", "quantizer"],
    ["weights", "fitted", "quantizer"],
    ["shared weights", "learned", "none"],
    ["shared weights", "fitted", "graph"],
    ["maps", "fitted", "graph"],
    ["nothing", "fitted", "none"],
  ])("pruned %s, scales %s: weights are kept by %s", (prune, quantize, by) => {
    const { quantizers, tensors, masks } = plan(prune, quantize, "host");
    const pruned = new Set(masks.map(({ layer }) => layer.weight));
    const own = quantizers.filter(({ layer }) => prune === "nothing" || pruned.has(layer.weight));
    expect(own.length).toBeGreaterThan(0);
    for (const quantizer of own) {
      expect(quantizer.keeps.by).toBe(by);
      const tensor = tensors.get(quantizer.layer.weight);
      expect(tensor).toMatchObject({ kind: "parameter", path: { updatedBy: "optimizer", quantizer } });
    }
  });

  test("tells statistics from constants by how batch normalisation is trained", () => {
    const model = normalisedModel();
    const kinds = (batchNorm: "train" | "frozen"): string[] => {
      const { tensors } = planStep(model, {
        batch: 2,
        layers: [],
        weights: "host",
        sampling: "host",
        batchNorm,
      });
      return [...tensors.values()].map(({ kind }) => kind);
    };
    expect(kinds("train")).toContain("statistic");
    expect(kinds("frozen")).not.toContain("statistic");
    expect(kinds("frozen").filter((kind) => kind === "parameter").length).toBe(
      kinds("train").filter((kind) => kind === "parameter").length,
    );
  });
});
