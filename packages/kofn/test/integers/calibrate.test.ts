/** Quantization after training: scales of kept weights, ranges of activations, and what becomes of a model with them. */

import { describe, expect, test } from "vitest";
import { importModel } from "../../src/import/import.js";
import { calibrate } from "../../src/integers/calibrate.js";
import { exportQuantized } from "../../src/integers/export.js";
import { calibratedRange, type Observed } from "../../src/integers/ranges.js";
import { simulateQuantized } from "../../src/integers/simulate.js";
import { CALIBRATION_METHODS } from "../../src/integers/types.js";
import { calibratedScales } from "../../src/integers/weight-scales.js";
import { type Tensor, tensor } from "../../src/onnx/tensor.js";
import { int, int8, ternary, uint8 } from "../../src/quantize/spec.js";
import { codesOf, dequantized } from "../../src/quantize/weights.js";
import { Random } from "../../src/random.js";
import { evaluateModel } from "../../src/task/evaluate-model.js";
import { tinyData, tinyModel } from "../support/tiny.js";

const VIEW = { outer: 1, length: 2, inner: 1000 };

/** Two channels, of which half is pruned; the second is ten times as large. */
function prunedWeight(): Float32Array {
  const random = new Random(1, "calibrate");
  return Float32Array.from({ length: 2000 }, (_, i) => {
    const normal = Math.sqrt(-2 * Math.log(1 - random.uniform())) * Math.cos(2 * Math.PI * random.uniform());
    return i % 2 === 0 ? 0 : normal * (i < 1000 ? 1 : 10);
  });
}

function squaredError(weight: Float32Array, scale: Float32Array, format: "ternary" | "int4"): number {
  const mask = Uint8Array.from(weight, (value) => (value === 0 ? 0 : 1));
  const values = dequantized(codesOf(weight, scale, format, VIEW, mask), scale, VIEW);
  return weight.reduce((sum, value, i) => sum + (value - values[i]) ** 2, 0);
}

describe("calibratedScales", () => {
  const weight = prunedWeight();
  const magnitudes = Array.from(weight.subarray(0, 1000), Math.abs).filter((value) => value > 0);

  test("takes the whole range, or 99.9 % of it, of the kept weights of each channel", () => {
    const largest = Math.max(...magnitudes);
    const [first, second] = calibratedScales(weight, "int4", VIEW, "minmax");
    expect(first).toBeCloseTo(largest / 7, 6);
    expect(second).toBeGreaterThan(5 * first);
    const [cut] = calibratedScales(weight, "int4", VIEW, "percentile");
    expect(cut).toBeCloseTo(magnitudes.sort((a, b) => a - b)[499] / 7, 6);
  });

  test("has mean|w| over the kept weights for binary ones", () => {
    const mean = magnitudes.reduce((sum, value) => sum + value, 0) / magnitudes.length;
    for (const method of CALIBRATION_METHODS) {
      expect(calibratedScales(weight, "binary", VIEW, method)[0]).toBeCloseTo(mean, 5);
    }
  });

  test.each(["ternary", "int4"] as const)("has the least squared error with mse (%s)", (format) => {
    const found = calibratedScales(weight, format, VIEW, "mse");
    const least = squaredError(weight, found, format);
    for (let step = 1; step <= 40; step++) {
      const other = found.map((scale) => (scale * step) / 20);
      expect(least).toBeLessThanOrEqual(squaredError(weight, other, format) * 1.001);
    }
    const widest = calibratedScales(weight, format, VIEW, "minmax");
    expect(least).toBeLessThan(0.9 * squaredError(weight, widest, format));
  });

  test("has a scale for a channel without weights", () => {
    expect(calibratedScales(new Float32Array(2000), "int4", VIEW, "mse").every((scale) => scale > 0)).toBe(
      true,
    );
  });
});

describe("calibratedRange", () => {
  /** 1000 values in [0, 1], and one at 100. */
  const histogram = new Float64Array(2000).fill(50, 0, 20);
  histogram[1999] = 1;
  const outlier: Observed = { min: 0, max: 100, meanMagnitude: 0.6, histogram };

  test("takes in all values with minmax, and leaves out the outlier with the others", () => {
    const { scale, zeroPoint } = calibratedRange(outlier, "uint8", "minmax");
    expect(scale).toBeCloseTo(100 / 255, 6);
    expect(zeroPoint).toBe(0);
    expect(calibratedRange(outlier, "uint8", "percentile").scale).toBeGreaterThan(0.2);
    const many = { ...outlier, histogram: histogram.map((count, i) => (i < 20 ? count * 1000 : count)) };
    expect(calibratedRange(many, "uint8", "percentile").scale).toBeLessThan(1.1 / 255);
    expect(calibratedRange(many, "uint8", "mse").scale).toBeLessThan(0.5);
  });

  test("puts 0 on a code, also where values are all above or below it", () => {
    const above = { min: 2, max: 4, meanMagnitude: 3, histogram: new Float64Array(10).fill(1) };
    expect(calibratedRange(above, "uint8", "minmax").zeroPoint).toBe(0);
    expect(calibratedRange(above, "int8", "minmax")).toEqual({
      scale: Math.fround(4 / 255),
      zeroPoint: -128,
    });
    const below = { ...above, min: -4, max: -2 };
    expect(calibratedRange(below, "uint8", "minmax").zeroPoint).toBe(255);
    const constant = { ...above, min: 0, max: 0 };
    expect(calibratedRange(constant, "uint8", "mse")).toEqual({ scale: 1, zeroPoint: 0 });
  });

  test("has 2 mean|x| for binary activations", () => {
    expect(calibratedRange(outlier, "binary", "minmax")).toEqual({ scale: 1.2, zeroPoint: 0.5 });
  });
});

describe("calibrate", () => {
  const data = tinyData();
  const model = importModel(tinyModel());

  test.each(CALIBRATION_METHODS)(
    "makes a model whose export computes what it computes (%s)",
    async (method) => {
      const quantize = { "*": int8(), "activations.*": uint8() };
      const quantization = await calibrate(model, data, { quantize, method, threads: 1 });
      expect(quantization.weights.map(({ layer }) => layer)).toEqual(["conv", "fc"]);
      expect(quantization.activations.map(({ layer, tensor }) => [layer, tensor])).toEqual([
        ["conv", "input"],
        ["fc", "pool/Flatten"],
      ]);
      const simulated = simulateQuantized(model, quantization);
      const exported = exportQuantized(model, quantization);
      expect(exported.kernels.every((kernel) => "codes" in kernel)).toBe(true);
      const [expected, actual] = await Promise.all(
        [simulated, exported.model].map((one) => evaluateModel(one, data.test, data, { threads: 1 })),
      );
      expect(actual.accuracy).toBe(expected.accuracy);
      expect(Math.abs(actual.loss - expected.loss)).toBeLessThan(0.01);
    },
  );

  test("leaves the first and the last layer's activations as they are, and codes 0 where weights are pruned", async () => {
    const weight = model.graph.initializers.get("fc.weight") as Tensor<"float32">;
    const values = weight.array().map((value, i) => (i % 3 === 0 ? value : 0));
    const initializers = new Map(model.graph.initializers);
    initializers.set("fc.weight", tensor("float32", weight.dims, values));
    const pruned = { ...model, graph: { ...model.graph, initializers } };
    const { weights, activations } = await calibrate(pruned, data, {
      quantize: { fc: ternary(), conv: int(3), activations: uint8() },
    });
    expect(activations).toEqual([]);
    expect(weights.map(({ format }) => format)).toEqual(["int3", "ternary"]);
    expect(weights[1].codes.every((code, i) => i % 3 === 0 || code === 0)).toBe(true);
    expect(weights[1].codes.some((code) => code !== 0)).toBe(true);
  });

  test("refuses what it does not know", async () => {
    const quantize = { "*": int8() };
    await expect(calibrate(model, data, { quantize, method: "best" as "mse" })).rejects.toThrow(
      /calibration method: expected minmax, percentile, mse, got "best"/,
    );
    await expect(calibrate(model, data, { quantize, images: 0 })).rejects.toThrow(/at least 1, got 0/);
    await expect(calibrate(model, data, { quantize: { fc9: int8() } })).rejects.toThrow(
      /no layer with weights matches "fc9"/,
    );
  });
});
