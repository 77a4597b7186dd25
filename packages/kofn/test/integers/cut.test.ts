/** Channels that masks leave without effect, cut out of a quantized model. */

import { expect, test } from "vitest";
import type { Model, Node } from "../../src/onnx/model.js";
import { tensor } from "../../src/onnx/tensor.js";
import { cutQuantized } from "../../src/integers/cut.js";
import { simulateQuantized, withQuantizedWeights } from "../../src/integers/simulate.js";
import { exportQuantized } from "../../src/integers/export.js";
import { largestDifference, runModel, uniform } from "../import/support.js";
import { quantizedWeights, residualModel } from "./networks.js";

const WIDTH = 64;

test("cuts codes and scales like weights", async () => {
  const model = residualModel();
  // fc1 loses neurons 3 and 17: their weights and biases are 0.
  const weights = quantizedWeights(model.graph, "int4").map((one) => {
    if (one.layer !== "fc1") return one;
    const codes = one.codes.map((code, i) => ([3, 17].includes(Math.floor(i / 96)) ? 0 : code));
    return { ...one, codes, scale: one.scale.map((scale, c) => scale * (1 + c / WIDTH)) };
  });
  const initializers = new Map(model.graph.initializers);
  const bias = Float32Array.from({ length: 20 }, (_, c) => ([3, 17].includes(c) ? 0 : c / 20));
  initializers.set("fc1.bias", tensor("float32", [20], bias));
  const masked: Model = withQuantizedWeights({ ...model, graph: { ...model.graph, initializers } }, weights);
  const { model: small, quantization } = cutQuantized(masked, { weights, activations: [] });
  const [before, after] = [weights, quantization.weights].map((list) => {
    return list.find(({ layer }) => layer === "fc1");
  });
  expect(small.graph.initializers.get("fc1.weight")?.dims).toEqual([18, 96]);
  const kept = Array.from({ length: 20 }, (_, c) => c).filter((c) => c !== 3 && c !== 17);
  expect([...(after?.scale ?? [])]).toEqual(kept.map((c) => before?.scale[c]));
  expect([...(after?.codes ?? [])]).toEqual(
    kept.flatMap((c) => [...(before?.codes.subarray(c * 96, c * 96 + 96) ?? [])]),
  );
  const x = uniform([3, 2, 8, 8], 1);
  const [expected, actual] = await Promise.all([
    runModel(masked, x),
    runModel(exportQuantized(small, quantization).model, x),
  ]);
  expect(largestDifference(actual.get("logits"), expected.get("logits"))).toBeLessThan(1e-4);
});

test("moves constants into biases as quantized activations are read", async () => {
  const residual = residualModel();
  // fc2 as a Gemm, which has a bias.
  const nodes = residual.graph.nodes.flatMap((node): Node[] => {
    if (node.op === "MatMul") return [];
    const inputs = ["relu3", "fc2.weight", "fc2.bias"];
    return [node.outputs[0] === "logits" ? { ...node, op: "Gemm", inputs } : node];
  });
  // Neurons 3 and 17 of fc1 have no weights left, but biases.
  const initializers = new Map(residual.graph.initializers);
  initializers.set(
    "fc1.bias",
    tensor(
      "float32",
      [20],
      Float32Array.from({ length: 20 }, (_, c) => c / 7),
    ),
  );
  const model = { ...residual, graph: { ...residual.graph, nodes, initializers } };
  const weights = quantizedWeights(model.graph, "int4").map((one) => {
    if (one.layer !== "fc1") return one;
    return { ...one, codes: one.codes.map((code, i) => ([3, 17].includes(Math.floor(i / 96)) ? 0 : code)) };
  });
  const masked = withQuantizedWeights(model, weights);
  const reads = { tensor: "relu3", layer: "fc2", format: "uint8", scale: 0.9, zeroPoint: 0 } as const;
  const whole = { weights, activations: [reads] };
  const { model: small, quantization } = cutQuantized(masked, whole);
  expect(small.graph.initializers.get("fc1.weight")?.dims).toEqual([18, 96]);
  const x = uniform([16, 2, 8, 8], 3);
  const [expected, actual, rounded] = await Promise.all([
    runModel(simulateQuantized(masked, whole), x),
    runModel(exportQuantized(small, quantization).model, x),
    runModel(
      exportQuantized(cutQuantized(masked, { weights, activations: [] }).model, quantization).model,
      x,
    ),
  ]);
  expect(largestDifference(actual.get("logits"), expected.get("logits"))).toBeLessThan(1e-4);
  expect(largestDifference(rounded.get("logits"), expected.get("logits"))).toBeGreaterThan(0.1);
});
