/**
 * Random convolutions and pools through all passes of a training step, on onnxruntime in float32: against the definition in
 * float64, whose gradients are checked against finite differences, and against the forward pass alone.
 */

import type { Provider } from "@kofn/format/run/words.js";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { differentiate } from "../../src/autodiff/differentiate.js";
import { blockOf } from "../../src/engine/block.js";
import { Engine } from "../../src/engine/session.js";
import { importModel } from "../../src/import/import.js";
import { BLOCKED_DOMAIN } from "../../src/lower/blocked/layouts.js";
import { modelOf } from "../../src/lower/model.js";
import { poolByPhases } from "../../src/lower/pool-phases.js";
import { atBatch } from "../../src/onnx/batch.js";
import { Builder } from "../../src/onnx/builder.js";
import { evaluateGraph } from "../../src/onnx/evaluate.js";
import { emptyGraph, type Graph } from "../../src/onnx/model.js";
import { type Tensor, tensorFrom } from "../../src/onnx/tensor.js";
import { Random } from "../../src/random.js";
import { execute, single } from "../support/execute.js";
import { type Recipe, recipes, valuesOf, windowModel } from "../support/ops/random-windows.js";

const block = await blockOf(await Engine.open({ threads: 1 }));
const STEP = 1e-7;

/** The same cases each time; or so many others as KOFN_FUZZ_RUNS says. */
const { KOFN_FUZZ_RUNS } = process.env;
const RUNS = KOFN_FUZZ_RUNS === undefined ? { numRuns: 200, seed: 1 } : { numRuns: Number(KOFN_FUZZ_RUNS) };

/** The model as evaluation gets it, and its forward pass in a training step. */
function graphsOf(recipe: Recipe): { evaluated: Graph; forward: Graph } {
  const model = windowModel(recipe);
  const dims = model.graph.inputs[0].type?.shape?.map(Number) ?? [];
  const { graph: evaluated } = importModel(model);
  return { evaluated, forward: atBatch(evaluated, "x", dims, [...evaluated.initializers.keys()]) };
}

/** A loss that weighs the elements of the output, and its gradients: outputs "loss", the forward pass's, and "d:INPUT". */
function withGradients(forward: Graph, dtype: "float32" | "float64"): Graph {
  const b = new Builder(emptyGraph("step"));
  for (const { name, type } of forward.inputs) b.input(name, dtype, (type?.shape ?? []).map(Number));
  const trained = forward.inputs.map(({ name }) => name);
  for (const [name, value] of forward.initializers) if (!trained.includes(name)) b.initializer(name, value);
  for (const node of forward.nodes) b.push({ ...node });
  const [{ name: y }] = forward.outputs;
  const dims = b.shape(y);
  const weights = b.input("weights", dtype, dims);
  b.output(y);
  b.output(b.sum(b.mul(y, weights), [...dims.keys()], false, "loss"));
  for (const [name, gradient] of differentiate(b, "loss", trained)) b.output(gradient, `d:${name}`);
  return b.graph;
}

function feedsOf(recipe: Recipe, { inputs }: Graph): Map<string, Tensor> {
  return new Map(
    inputs.map(({ name, type }) => [name, valuesOf(recipe, name, (type?.shape ?? []).map(Number))]),
  );
}

function expectClose(actual: ReadonlyMap<string, Tensor>, expected: ReadonlyMap<string, Tensor>): void {
  for (const [name, value] of actual) {
    const wanted = expected.get(name);
    expect(value.dims, name).toEqual(wanted?.dims);
    const numbers = wanted?.numbers() ?? [];
    const scale = Math.max(1, ...numbers.map(Math.abs));
    value.numbers().forEach((got, i) => {
      if (!(Math.abs(got - numbers[i]) <= 1e-4 * scale))
        throw new Error(`${name}, element ${i} is ${got}, expected ${numbers[i]}`);
    });
  }
}

/** Compares the derivative of the loss in a random direction of each input. */
function checkDifferences(
  graph: Graph,
  feeds: ReadonlyMap<string, Tensor>,
  gradients: ReadonlyMap<string, Tensor>,
): void {
  for (const { name } of graph.outputs) {
    if (!name.startsWith("d:")) continue;
    const input = name.slice(2);
    const at = feeds.get(input)?.numbers() ?? [];
    const random = new Random(1, `direction of ${input}`);
    const direction = at.map(() => random.normal());
    const lossAt = (step: number): number => {
      const moved = tensorFrom(
        "float64",
        feeds.get(input)?.dims ?? [],
        at.map((x, i) => x + step * direction[i]),
      );
      return (
        evaluateGraph(graph, new Map(feeds).set(input, moved), ["loss"]).get("loss")?.numbers()[0] ?? NaN
      );
    };
    const difference = (lossAt(STEP) - lossAt(-STEP)) / (2 * STEP);
    const derivative = (gradients.get(name)?.numbers() ?? []).reduce(
      (sum, d, i) => sum + d * direction[i],
      0,
    );
    if (!(Math.abs(difference - derivative) <= 1e-4 * (1 + Math.abs(difference))))
      throw new Error(`${name} is ${derivative} along a direction, by finite differences ${difference}`);
  }
}

/** The step as onnxruntime's builds run it; in the blocked layout, pools that can be are rewritten first, as in training. */
function stepsOf(forward: Graph): { step: Graph; provider: Provider }[] {
  const plain = withGradients(forward, "float32");
  const rewritten = withGradients(poolByPhases(forward, block ?? 16), "float32");
  return [
    { step: modelOf(plain).graph, provider: "cpu" },
    { step: modelOf(plain).graph, provider: "wasm" },
    { step: modelOf(rewritten, { block }).graph, provider: "cpu" },
  ];
}

describe("convolutions and pools", () => {
  test("have the gradients of finite differences, and in the step the values of evaluation", async () => {
    await fc.assert(
      fc.asyncProperty(recipes, async (recipe) => {
        const { evaluated, forward } = graphsOf(recipe);
        const exact = withGradients(forward, "float64");
        const feeds = feedsOf(recipe, exact);
        const expected = evaluateGraph(exact, feeds);
        checkDifferences(exact, feeds, expected);
        const given = new Map([...feeds].map(([name, value]) => [name, single(value)]));
        const image = new Map([...given].filter(([name]) => name === "x"));
        expectClose(await execute(evaluated, image), expected);
        for (const { step, provider } of stepsOf(forward)) {
          const results = await execute(step, given, { provider, threads: 1 });
          expect([...results.keys()].sort()).toEqual([...expected.keys()].sort());
          expectClose(results, expected);
        }
      }),
      RUNS,
    );
  });

  test("do not pass the check with a wrong gradient", () => {
    const [recipe] = fc.sample(recipes, { numRuns: 1, seed: 1 });
    const exact = withGradients(graphsOf(recipe).forward, "float64");
    const feeds = feedsOf(recipe, exact);
    const gradients = evaluateGraph(exact, feeds);
    const dX = gradients.get("d:x");
    const wrong = tensorFrom("float64", dX?.dims ?? [], dX?.numbers().map((d) => 1.01 * d) ?? []);
    expect(() => {
      checkDifferences(exact, feeds, new Map(gradients).set("d:x", wrong));
    }).toThrow(/by finite differences/);
  });

  test("are drawn so that they take every way of lowering", () => {
    const ops = new Set<string>();
    for (const recipe of fc.sample(recipes, { numRuns: 200, seed: 1 })) {
      const { forward } = graphsOf(recipe);
      for (const { step } of stepsOf(forward))
        for (const { op, domain } of step.nodes) ops.add(`${domain}.${op}`);
    }
    const blocked = block === undefined ? [] : [`${BLOCKED_DOMAIN}.Conv`, `${BLOCKED_DOMAIN}.ReorderOutput`];
    // Max-pools of windows side by side, of others, and by the places of a window.
    const plain = [".MatMul", ".ScatterElements", ".ReduceMax"];
    expect([...ops]).toEqual(expect.arrayContaining([...plain, ...blocked]));
  });
});
