/** The arithmetic of codes: rounding, ends, and factors as integers. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Codes,
  codesOf,
  dequantized,
  fixedPoint,
  quantized,
  rescaled,
  sharedFixedPoint,
} from "../../src/hardware/codes.js";
import { tensor } from "../../src/onnx/tensor.js";
import { residualModel } from "../integers/networks.js";
import { runModel } from "../import/support.js";
import { withQuantizedActivations } from "../../src/integers/simulate.js";
import { samples } from "./networks.js";

const UINT8: Codes = { type: "uint8", scale: Math.fround(0.1), zero: 3, low: 0, high: 255 };

describe("fixed point", () => {
  test("has 31 significant bits, and rescaling rounds to the nearest, ties up", () => {
    fc.assert(
      fc.property(fc.double({ min: 2 ** -30, max: 2 ** 29, noNaN: true }), fc.integer(), (factor, sum) => {
        const { multiplier, shift } = fixedPoint(factor);
        expect(multiplier).toBeLessThan(2 ** 31);
        expect(multiplier).toBeGreaterThanOrEqual(2 ** 30);
        expect(shift).toBeGreaterThanOrEqual(1);
        expect(shift).toBeLessThanOrEqual(62);
        expect(Math.abs(multiplier / 2 ** shift / factor - 1)).toBeLessThanOrEqual(2 ** -31);
        const exact = (BigInt(sum) * BigInt(multiplier) * 2n + (1n << BigInt(shift))) >> BigInt(shift + 1);
        expect(rescaled(sum, { multiplier, shift })).toBe(Number(exact));
      }),
    );
  });

  test("of the smallest and the largest factors stays in range", () => {
    expect(fixedPoint(0)).toEqual({ multiplier: 0, shift: 62 });
    expect(fixedPoint(2 ** -70)).toEqual({ multiplier: 0, shift: 62 });
    expect(fixedPoint(2 ** 40)).toEqual({ multiplier: 2 ** 31 - 1, shift: 1 });
    expect(fixedPoint(1 - 2 ** -40)).toEqual({ multiplier: 2 ** 30, shift: 30 });
    expect(rescaled(-(2 ** 31), fixedPoint(1))).toBe(-(2 ** 31));
  });

  test.each([
    [1, 1],
    [3, 2],
    [-1, 0],
    [-3, -1],
    [5, 3],
  ])("%i halves, shifted, are %i", (sum, code) => {
    expect(rescaled(sum, { multiplier: 2 ** 30, shift: 31 })).toBe(code);
  });

  test("of summands leaves sums in int32", () => {
    fc.assert(
      fc.property(
        fc.double({ min: 1e-6, max: 1e4, noNaN: true }),
        fc.double({ min: 1e-6, max: 1e4, noNaN: true }),
        (a, b) => {
          const { multipliers, shift } = sharedFixedPoint([a, b]);
          expect(255 * (multipliers[0] + multipliers[1]) + 2 ** (shift - 1)).toBeLessThan(2 ** 31);
          expect(Math.abs(multipliers[0] / 2 ** shift - a)).toBeLessThanOrEqual(2 ** -shift / 2 + 1e-9 * a);
        },
      ),
    );
  });
});

describe("codes of values", () => {
  test("are those of QuantizeLinear in onnxruntime", async () => {
    const activation = {
      tensor: "input",
      layer: "conv1",
      format: "uint8",
      scale: 0.0173,
      zeroPoint: 77,
    } as const;
    const codes = codesOf(activation);
    const model = withQuantizedActivations(residualModel(), [activation]);
    const [made] = model.graph.nodes.filter(({ op }) => op === "Mul").map(({ outputs }) => outputs[0]);
    const outputs = [{ name: made, type: { dtype: "float32", shape: undefined } as const }];
    const values = samples(1, 128)[0].map((value, i) =>
      i < 60 ? Math.fround(0.0173) * (i - 20.5) : value * 5,
    );
    const x = tensor("float32", [1, 2, 8, 8], values);
    const graph = { ...model.graph, outputs };
    const [ran] = [...(await runModel({ ...model, graph }, x)).values()];
    const mine = Array.from(values, (value) => dequantized(quantized(value, codes), codes));
    expect(mine).toEqual(ran.numbers());
  });

  test("are clamped, ends and nonsense too", () => {
    expect([Infinity, -Infinity, NaN, 1e30, -1e30].map((value) => quantized(value, UINT8))).toEqual([
      255, 0, 0, 255, 0,
    ]);
  });

  test("of two values change at the threshold", () => {
    const positive = codesOf({ tensor: "x", layer: "y", format: "binary", scale: 0.5, zeroPoint: 0 });
    expect([0.24, 0.25, -1].map((value) => dequantized(quantized(value, positive), positive))).toEqual([
      0, 0.5, 0,
    ]);
    const signs = codesOf({ tensor: "x", layer: "y", format: "binary", scale: 1, zeroPoint: 0.5 });
    expect([-1e-9, 0].map((value) => dequantized(quantized(value, signs), signs))).toEqual([-0.5, 0.5]);
  });
});
