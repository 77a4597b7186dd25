/** The float simulation of a quantized model: onnxruntime computes with it the codes that it computes with the integer export. */

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Engine } from "../../src/engine/session.js";
import { decodeModel } from "../../src/onnx/codec.js";
import type { Model, Node } from "../../src/onnx/model.js";
import { type Tensor, tensor } from "../../src/onnx/tensor.js";
import { prunableLayers } from "../../src/layers/layers.js";
import { exportQuantized } from "../../src/integers/export.js";
import { fusedKernels } from "../../src/files/fused-kernels.js";
import {
  simulateQuantized,
  withoutQuantizedActivations,
  withQuantizedActivations,
} from "../../src/integers/simulate.js";
import type { Quantization } from "../../src/quantize/types.js";
import { uniform } from "../import/support.js";
import { branchingModel, quantizedActivations, quantizedWeights, residualModel } from "./networks.js";

const BATCH = 32;
const X = uniform([BATCH, 2, 8, 8], 11);

/** What onnxruntime makes of some values of a model. */
async function run(model: Model, names: readonly string[], dtype: "float32" | "uint8" | "int8") {
  const engine = await Engine.open({ threads: 1 });
  const outputs = names.map((name) => ({ name, type: { dtype, shape: undefined } as const }));
  const session = await engine.session({ ...model, graph: { ...model.graph, outputs } });
  const feeds = { input: engine.value("float32", X.dims, X.array()) };
  const results = await session.run(feeds, Object.fromEntries(names.map((name) => [name, null])));
  await session.close();
  return new Map(Object.entries(results).map(([name, { data }]) => [name, Array.from(data as Uint8Array)]));
}

/** Weights in a format whose channels have scales far apart, and activations in the ranges that they have on the images. */
async function quantizationOf(
  model: Model,
  format: "uint8" | "int8",
  weights: "int4" | "int8" = "int8",
): Promise<Quantization> {
  const names = model.graph.nodes.map(({ outputs }) => outputs[0]);
  const values = await run(model, names, "float32");
  values.set("input", [...X.array()]);
  const ranges = new Map([...values].map(([name, list]) => [name, spanOf(list)] as const));
  return {
    weights: quantizedWeights(model.graph, weights),
    activations: quantizedActivations(model, ranges, format),
  };
}

function spanOf(values: readonly number[]): [number, number] {
  return [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];
}

/** The model with weights of its channels that differ by up to 64 times, of the same results' range. */
function uneven(model: Model): Model {
  const initializers = new Map(model.graph.initializers);
  for (const { weight, dims, transposed } of prunableLayers(model.graph)) {
    if (transposed) continue;
    const values = (initializers.get(weight) as Tensor<"float32">).array();
    const inner = values.length / dims[0];
    const scaled = values.map((value, i) => value / 4 ** (Math.floor(i / inner) % 4));
    initializers.set(weight, tensor("float32", dims, scaled));
  }
  return { ...model, graph: { ...model.graph, initializers } };
}

/** For each value that both models quantize: how many of its codes differ. */
async function differingCodes(a: Model, b: Model, format: "uint8" | "int8"): Promise<Map<string, number>> {
  const quantizersOf = ({ graph }: Model): string[] =>
    graph.nodes.filter(({ op }) => op === "QuantizeLinear").map(({ outputs }) => outputs[0]);
  const names = quantizersOf(a).filter((name) => quantizersOf(b).includes(name));
  const [left, right] = await Promise.all([run(a, names, format), run(b, names, format)]);
  return new Map(
    names.map((name) => {
      const other = right.get(name) ?? [];
      expect(left.get(name)).toHaveLength(other.length);
      return [name, (left.get(name) ?? []).filter((code, i) => code !== other[i]).length] as const;
    }),
  );
}

/** The operators that multiply integers in what onnxruntime makes of a model. */
async function integerOperators(model: Model): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), "kofn-simulate-"));
  try {
    const path = join(folder, "optimized.onnx");
    const session = await (await Engine.open({ threads: 1 })).session(model, path);
    await session.close();
    const { graph } = decodeModel(readFileSync(path), path);
    return graph.nodes.map(({ op }) => op).filter((op) => /^Q(Linear|Gemm)|Integer/.test(op));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe.each([
  ["residual", residualModel],
  ["branching", branchingModel],
] as const)("the simulation of a %s network", (_, build) => {
  test.each([
    ["uint8", "int8"],
    ["int8", "int8"],
    ["uint8", "int4"],
  ] as const)("has the codes that the export has (%s activations, %s weights)", async (format, weights) => {
    const model = uneven(build());
    const quantization = await quantizationOf(model, format, weights);
    const exported = exportQuantized(model, quantization);
    expect((await fusedKernels(exported)).filter(({ op }) => op !== undefined).length).toBeGreaterThan(2);
    const differing = await differingCodes(simulateQuantized(model, quantization), exported.model, format);
    expect(differing.size).toBeGreaterThanOrEqual(7);
    expect([...differing].filter(([, count]) => count > 0)).toEqual([]);
  });

  test("is computed with the weights that it has, not with integers", async () => {
    const model = uneven(build());
    const simulated = simulateQuantized(model, await quantizationOf(model, "uint8"));
    expect(await integerOperators(simulated)).toEqual([]);
  });
});

describe("layers that multiply floats between quantized values", () => {
  test.each(["uint8", "int8"] as const)("keep their weights in an export (%s)", async (format) => {
    const model = uneven(residualModel());
    const { weights, activations } = await quantizationOf(model, format);
    const quantization = { weights: weights.filter(({ layer }) => layer !== "conv2"), activations };
    const exported = exportQuantized(model, quantization);
    expect((await fusedKernels(exported)).filter(({ op }) => op === undefined)).toEqual([
      { layer: "conv2", reason: "its weights are not quantized" },
    ]);
    const differing = await differingCodes(simulateQuantized(model, quantization), exported.model, format);
    expect([...differing].filter(([, count]) => count > 0)).toEqual([]);
  });
});

describe("biases of the simulation", () => {
  const stored = (model: Model, name: string): Float32Array =>
    (model.graph.initializers.get(name) as Tensor<"float32">).array();

  test("are whole numbers of steps, of which rounding makes the same again", async () => {
    const model = residualModel();
    const { weights, activations } = await quantizationOf(model, "uint8", "int4");
    const simulated = simulateQuantized(model, { weights, activations });
    const input = activations.find(({ tensor: name }) => name === "relu1");
    const weight = weights.find(({ layer }) => layer === "conv2");
    const [before, after] = [stored(model, "conv2.bias"), stored(simulated, "conv2.bias")];
    expect(after).not.toEqual(before);
    after.forEach((bias, c) => {
      const step = (input?.scale ?? NaN) * (weight?.scale[c] ?? NaN);
      expect(Math.abs(bias / step - Math.round(before[c] / step))).toBeLessThan(1e-4);
    });
    const bare = withoutQuantizedActivations(simulated, activations);
    const again = simulateQuantized(bare, { weights, activations });
    for (const name of ["conv2.bias", "conv3.bias", "beta", "fc1.bias", "fc2.bias"]) {
      const most = Math.max(
        ...stored(again, name).map((value, c) => Math.abs(value - stored(simulated, name)[c])),
      );
      expect(most).toBeLessThan(1e-6);
    }
  });

  test("change the offset of a batch normalisation and nothing else of it, nor any name or shape", async () => {
    const model = residualModel();
    const quantization = await quantizationOf(model, "uint8", "int4");
    const { initializers } = simulateQuantized(model, quantization).graph;
    const changed = [...model.graph.initializers].flatMap(([name, { dims, bytes }]) => {
      const now = initializers.get(name);
      expect(now?.dims).toEqual(dims);
      return Buffer.compare(bytes, now?.bytes ?? Buffer.of()) === 0 ? [] : [name];
    });
    const weights = quantization.weights.map(({ weight }) => weight);
    expect(changed.filter((name) => !weights.includes(name)).sort()).toEqual([
      "beta",
      "conv2.bias",
      "conv3.bias",
      "fc1.bias",
      "fc2.bias",
    ]);
  });

  test("stay as they are where several nodes read them", async () => {
    const model = branchingModel();
    const nodes = model.graph.nodes.map((node) => {
      const inputs = node.inputs.map((input) => (input === "conv4.bias" ? "conv3.bias" : input));
      return { ...node, inputs };
    });
    const sharing = { ...model, graph: { ...model.graph, nodes } };
    const simulated = simulateQuantized(sharing, await quantizationOf(sharing, "uint8", "int4"));
    expect(stored(simulated, "conv3.bias")).toEqual(stored(model, "conv3.bias"));
    expect(stored(simulated, "conv5.bias")).not.toEqual(stored(model, "conv5.bias"));
  });
});

test("quantized activations can be taken out where DequantizeLinear brings them back", async () => {
  const model = residualModel();
  const { activations } = await quantizationOf(model, "int8");
  const { graph } = withQuantizedActivations(model, activations);
  const nodes = graph.nodes.flatMap((node): Node[] => {
    if (node.op === "Cast" || node.op === "Sub") return [];
    const quantizer = graph.nodes.find(
      ({ op, inputs }) => op === "QuantizeLinear" && inputs[1] === node.inputs[1],
    );
    if (node.op !== "Mul" || quantizer === undefined) return [node];
    const inputs = [quantizer.outputs[0], ...quantizer.inputs.slice(1)];
    return [{ ...node, op: "DequantizeLinear", inputs }];
  });
  expect(nodes.filter(({ op }) => op === "DequantizeLinear")).toHaveLength(activations.length);
  const bare = withoutQuantizedActivations({ ...model, graph: { ...graph, nodes } }, activations);
  expect(bare.graph.nodes).toEqual(model.graph.nodes);
});
