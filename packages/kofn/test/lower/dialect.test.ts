/** The lowered dialect on onnxruntime in float32 against the reference evaluator in float64, over the matrix of cases. */

import { describe, expect, test } from "vitest";
import { lower } from "../../src/lower/lower.js";
import { Builder } from "../../src/onnx/builder.js";
import { evaluateNode } from "../../src/onnx/evaluate/node.js";
import { type Attribute, emptyGraph, type Graph, ints } from "../../src/onnx/model.js";
import { KOFN_OPS, type KofnOp } from "../../src/onnx/ops.js";
import { type Tensor, tensor } from "../../src/onnx/tensor.js";
import { double, execute, single } from "../support/execute.js";
import { type OpCase, opCases } from "../support/ops.js";
import { opCase, Values } from "../support/ops/case.js";

/** Checked in sampler.test.ts, with bounds of their own. */
const SAMPLER: readonly KofnOp[] = ["KofN", "KofNGrad"];

/**
 * Convolutions whose result is about as large as their input: for these dX is lowered to a Conv, else to a ConvTranspose.
 * Pads wider than the kernel rule the former out again.
 */
const SAME_SIZE: readonly {
  about: string;
  x: number[];
  w: number[];
  attributes: Record<string, Attribute>;
}[] = [
  { about: "1x1", x: [2, 3, 5, 4], w: [4, 3, 1, 1], attributes: {} },
  { about: "1-D", x: [2, 3, 9], w: [4, 3, 5], attributes: { pads: ints([3, 1]) } },
  { about: "2-D", x: [2, 3, 7, 6], w: [4, 3, 3, 4], attributes: { pads: ints([2, 0, 0, 3]) } },
  {
    about: "dilations",
    x: [1, 2, 9, 8],
    w: [3, 2, 3, 2],
    attributes: { pads: ints([1, 2, 3, 0]), dilations: ints([2, 3]) },
  },
  { about: "3-D", x: [1, 2, 4, 5, 4], w: [2, 2, 3, 2, 3], attributes: { pads: ints([1, 0, 2, 1, 1, 0]) } },
  { about: "wide begins", x: [1, 2, 6, 6], w: [3, 2, 2, 3], attributes: { pads: ints([3, 0, 0, 2]) } },
  { about: "wide ends", x: [1, 2, 6, 6], w: [3, 2, 2, 3], attributes: { pads: ints([0, 0, 3, 2]) } },
];

function sameSizeCases(): OpCase[] {
  const values = new Values("same size");
  return SAME_SIZE.flatMap(({ about, x, w, attributes }) => {
    const [input, weight] = values.distinct(x, w);
    const conv = opCase("Conv", about, [input, weight], { attributes });
    const dY = values.one(...evaluateNode(conv.node, conv.inputs)[0].dims);
    const toInput = { ...attributes, input_shape: ints(x) };
    const toWeight = { ...attributes, kernel_shape: ints(w.slice(2)) };
    return [
      opCase("ConvGradInput", `same size, ${about}`, [dY, weight], { attributes: toInput }),
      opCase("ConvGradWeight", `same size, ${about}`, [dY, input], { attributes: toWeight }),
    ];
  });
}

const CASES = [...opCases(), ...sameSizeCases()].filter(({ node }) => node.domain === "kofn");

/** The inputs, which the dialect never leaves out, in float32. */
function feedsOf({ node, inputs }: OpCase): Map<string, Tensor> {
  return new Map(
    inputs.flatMap((value, i) => (value === undefined ? [] : [[node.inputs[i], single(value)]])),
  );
}

function graphOf(one: OpCase): Graph {
  const b = new Builder(emptyGraph(one.op));
  for (const [name, { dtype, dims }] of feedsOf(one)) b.input(name, dtype, dims);
  b.push({ ...one.node });
  for (const output of one.node.outputs) b.output(output);
  return b.graph;
}

async function check(one: OpCase): Promise<void> {
  const feeds = feedsOf(one);
  const expected = evaluateNode(one.node, [...feeds.values()].map(double));
  const lowered = lower(graphOf(one));
  expect(lowered.nodes.filter(({ domain }) => domain !== "")).toEqual([]);
  const results = await execute(lowered, feeds);
  one.node.outputs.forEach((output, position) => {
    const actual = results.get(output);
    expect(actual?.dims).toEqual(expected[position].dims);
    const wanted = expected[position].numbers();
    const scale = Math.max(...wanted.map(Math.abs));
    actual?.numbers().forEach((value, i) => {
      if (!(Math.abs(value - wanted[i]) <= 1e-4 * Math.abs(wanted[i]) + 1e-6 * scale)) {
        throw new Error(`${one.title}: ${output}, element ${i} is ${value}, by definition ${wanted[i]}`);
      }
    });
  });
}

describe("lowering of ConvGradInput", () => {
  test("takes both ways over the cases", () => {
    const ways = CASES.filter(({ op }) => op === "ConvGradInput").map((one) =>
      lower(graphOf(one)).nodes.some(({ op }) => op === "ConvTranspose"),
    );
    expect(new Set(ways).size).toBe(2);
  });
});

describe("lowering of MaxPoolGrad", () => {
  const kernel = { kernel_shape: ints([2, 2]) };
  test.each<[string, Record<string, Attribute>, number[]]>([
    ["windows that tile", { ...kernel, strides: ints([2, 2]) }, [2, 2]],
    ["windows that overlap", kernel, [3, 3]],
  ])("hands on the whole gradient where maxima are tied: %s", async (_, attributes, output) => {
    const [x, y] = [new Float32Array(16), new Float32Array(output[0] * output[1])];
    const dY = Float32Array.from(y, (_, i) => i + 1);
    const inputs = [
      tensor("float32", [1, 1, ...output], dY),
      tensor("float32", [1, 1, 4, 4], x),
      tensor("float32", [1, 1, ...output], y),
    ];
    const one = opCase("MaxPoolGrad", "ties", inputs, { attributes });
    const results = await execute(lower(graphOf(one)), feedsOf(one));
    const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
    expect(sum(results.get("y0")?.numbers() ?? [])).toBeCloseTo(sum([...dY]), 5);
  });
});

describe.each(KOFN_OPS.filter((op) => !SAMPLER.includes(op)))("lowering of %s", (op) => {
  const cases = CASES.filter((one) => one.op === op);

  test("has cases", () => {
    expect(cases.length).toBeGreaterThan(0);
  });

  test.each(cases)("$title", check);
});
