import { describe, expect, test } from "vitest";
import { Engine } from "../../src/engine/session.js";
import { lower } from "../../src/lower/lower.js";
import { Builder } from "../../src/onnx/builder.js";
import { evaluateGraph } from "../../src/onnx/evaluate.js";
import { emptyGraph, type Graph, int, IR_VERSION, type Model, OPSET } from "../../src/onnx/model.js";
import { type Tensor, tensorFrom } from "../../src/onnx/tensor.js";
import { Random } from "../../src/random.js";

type Float = "float32" | "float64";

/** mask and dPhi as one graph of the dialect. */
function samplerGraph(rows: number, n: number, k: number, dtype: Float): Graph {
  const b = new Builder(emptyGraph("sampler"));
  const phi = b.input("phi", dtype, [rows, n]);
  const noise = b.input("noise", dtype, [rows, n]);
  const tau = b.input("tau", dtype, []);
  const upstream = b.input("upstream", dtype, [rows, n]);
  b.output(b.op("KofN", [phi, noise, tau], { k: int(k) }, "mask"));
  b.output(b.op("KofNGrad", [upstream, phi, noise, tau], { k: int(k) }, "gradient"));
  return b.graph;
}

interface Case {
  rows: number;
  n: number;
  k: number;
  tau: number;
  /** Logits are uniform on an interval of this length. */
  spread: number;
}

function inputs({ rows, n, tau, spread }: Case, dtype: Float): Map<string, Tensor> {
  const random = new Random(7, `${rows},${n},${tau},${spread}`);
  const draw = (make: () => number): number[] => Array.from({ length: rows * n }, () => Math.fround(make()));
  return new Map<string, Tensor>([
    [
      "phi",
      tensorFrom(
        dtype,
        [rows, n],
        draw(() => spread * (random.uniform() - 0.5)),
      ),
    ],
    [
      "noise",
      tensorFrom(
        dtype,
        [rows, n],
        draw(() => -0.1 * Math.log(-Math.log(random.uniform()))),
      ),
    ],
    ["tau", tensorFrom(dtype, [], [Math.fround(tau)])],
    [
      "upstream",
      tensorFrom(
        dtype,
        [rows, n],
        draw(() => random.normal()),
      ),
    ],
  ]);
}

async function runLowered(graph: Graph, feeds: Map<string, Tensor>): Promise<Map<string, number[]>> {
  const model: Model = {
    irVersion: IR_VERSION,
    producerName: "test",
    producerVersion: "",
    opsets: new Map([["", OPSET]]),
    graph: lower(graph),
    metadata: new Map(),
  };
  const engine = await Engine.open({ threads: 1 });
  const session = await engine.session(model);
  const values = [...feeds.entries()]
    .filter(([name]) => model.graph.inputs.some((input) => input.name === name))
    .map(([name, value]) => {
      const { dtype, dims } = value as Tensor<Float | "int32">;
      return [name, engine.value(dtype, dims, (value as Tensor<Float | "int32">).array())] as const;
    });
  const results = await session.run(Object.fromEntries(values), { mask: null, gradient: null });
  await session.close();
  return new Map(
    Object.entries(results).map(([name, value]) => [name, Array.from(value.data as Float32Array)]),
  );
}

/** The graph takes differences of nearly equal doubles where every draw is nearly certain: what is less than this drowns. */
const TINY = 1e-8;

/** The largest difference within a row, relative to the row's largest value. */
function relativeError(actual: number[], expected: number[], n: number): number {
  let worst = 0;
  for (let row = 0; row < expected.length; row += n) {
    let scale = TINY;
    let difference = 0;
    for (let i = row; i < row + n; i++) {
      scale = Math.max(scale, Math.abs(expected[i]));
      difference = Math.max(difference, Math.abs(actual[i] - expected[i]));
      if (!Number.isFinite(actual[i])) return Infinity;
    }
    worst = Math.max(worst, difference / scale);
  }
  return worst;
}

const CASES: Case[] = [];
for (const tau of [0.05, 0.5, 5]) {
  for (const spread of [0, 1, 10, 50]) {
    for (const [n, k] of [
      [9, 1],
      [9, 3],
      [50, 50],
      [120, 43],
      [200, 100],
    ]) {
      CASES.push({ rows: 3, n, k, tau, spread });
    }
  }
}

describe("the lowered sampler", () => {
  for (const dtype of ["float64", "float32"] as const) {
    test(`equals the definition in ${dtype} at every temperature and spread`, async () => {
      for (const one of CASES) {
        const graph = samplerGraph(one.rows, one.n, one.k, dtype);
        const feeds = inputs(one, dtype);
        const expected = evaluateGraph(
          samplerGraph(one.rows, one.n, one.k, "float64"),
          dtype === "float64" ? feeds : inputs(one, "float64"),
        );
        const actual = await runLowered(graph, feeds);
        const mask = actual.get("mask") ?? [];
        for (let row = 0; row < one.rows; row++) {
          const ones = mask.slice(row * one.n, (row + 1) * one.n).reduce((sum, bit) => sum + bit, 0);
          expect(ones).toBe(one.k);
        }
        if (dtype === "float64") expect(mask).toEqual(expected.get("mask")?.numbers());
        const error = relativeError(
          actual.get("gradient") ?? [],
          expected.get("gradient")?.numbers() ?? [],
          one.n,
        );
        // In float32, z = phi + noise is rounded to 2^-24 |z|, which tau divides.
        const rounding = dtype === "float64" ? 0 : (2 ** -23 * (one.spread / 2 + 1)) / one.tau;
        expect(error, JSON.stringify(one)).toBeLessThan(1e-5 + rounding);
      }
    });
  }

  test("keeps exactly k of tied units, those of lower index", async () => {
    const feeds = new Map<string, Tensor>([
      ["phi", tensorFrom("float32", [2, 4], [1, 1, 1, 1, 0, 2, 2, 2])],
      ["noise", tensorFrom("float32", [2, 4], [0, 0, 0, 0, 0, 0, 0, 0])],
      ["tau", tensorFrom("float32", [], [1])],
      ["upstream", tensorFrom("float32", [2, 4], [1, 0, 0, 0, 1, 0, 0, 0])],
    ]);
    const actual = await runLowered(samplerGraph(2, 4, 2, "float32"), feeds);
    expect(actual.get("mask")).toEqual([1, 1, 0, 0, 0, 1, 1, 0]);
  });
});
