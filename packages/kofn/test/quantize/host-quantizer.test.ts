/** Weight quantizers on the host: values against the papers' formulas, gradients against the surrogates that define them. */

import { describe, expect, test } from "vitest";
import { sizeOf } from "../../src/onnx/tensor.js";
import type { PrunableLayer } from "../../src/prune/types.js";
import { HostQuantizer } from "../../src/quantize/host-quantizer.js";
import type { WeightFormat, WeightRule } from "../../src/quantize/types.js";
import { channelView, codesOf, dequantized, forEachRun, largestCode } from "../../src/quantize/weights.js";
import { Random } from "../../src/random.js";

const layer = (dims: readonly number[], transposed = false): PrunableLayer => ({
  name: "fc",
  weight: "fc.weight",
  dims,
  transposed,
});

const LAYERS = { conv: layer([3, 2, 2, 2]), gemm: layer([4, 7]), matmul: layer([7, 4], true) };

function normals(count: number, stream: string, deviation = 1): Float32Array {
  const random = new Random(3, stream);
  return Float32Array.from({ length: count }, () => deviation * random.normal());
}

/** A quantizer with its scales, a weight that crosses its range, and what it makes of these. */
function made(of: PrunableLayer, rule: Required<WeightRule>) {
  const view = channelView(of);
  const learned = { values: new Float32Array(view.length), gradient: new Float32Array(view.length) };
  const quantizer = new HostQuantizer(of, rule, rule.method === "lsq" ? learned : undefined);
  const weight = normals(sizeOf(of.dims), "weight", 0.7);
  const keep = (index: number): boolean => index % 3 !== 0;
  quantizer.begin(weight, keep);
  // Smaller than they begin, so that some weights are out of range.
  if (rule.format !== "binary") learned.values.forEach((value, i) => (learned.values[i] = value - 0.4));
  quantizer.forward(weight, keep);
  return { view, learned, quantizer, weight, keep };
}

const FORMATS: readonly WeightFormat[] = ["ternary", "int2", "int3", "int4", "int8"];

describe.each(Object.entries(LAYERS))("%s", (_, of) => {
  test.each(FORMATS)("%s, lsq: values and gradients", (format) => {
    const { view, learned, quantizer, weight } = made(of, { format, method: "lsq" });
    const most = largestCode(format);
    const upstream = normals(weight.length, "upstream");
    const gradient = upstream.slice();
    quantizer.backward(weight, gradient);
    const ofScale = new Float64Array(view.length);
    let outside = 0;
    forEachRun(view, (channel, begin, end) => {
      const s = Math.exp(learned.values[channel]);
      for (let i = begin; i < end; i++) {
        const clamped = (w: number, scale: number): number => Math.max(-most, Math.min(most, w / scale));
        const code = Math.round(clamped(weight[i], s));
        expect(quantizer.quantized[i]).toBeCloseTo(s * code, 5);
        // Rounding is a constant shift to the straight-through estimator: s (clamp(w / s) + shift).
        const shift = code - clamped(weight[i], s);
        const surrogate = (w: number, scale: number): number => scale * (clamped(w, scale) + shift);
        const h = 1e-6;
        const dw = (surrogate(weight[i] + h, s) - surrogate(weight[i] - h, s)) / (2 * h);
        const ds = (surrogate(weight[i], s + h) - surrogate(weight[i], s - h)) / (2 * h);
        expect(gradient[i]).toBeCloseTo(upstream[i] * dw, 4);
        ofScale[channel] += upstream[i] * ds;
        if (dw < 0.5) outside++;
      }
    });
    if (most === 1) expect(outside).toBeGreaterThan(0);
    ofScale.forEach((ds, channel) => {
      expect(learned.gradient[channel]).toBeCloseTo(ds * Math.exp(learned.values[channel]), 3);
    });
  });

  test("binary, lsq: the sign's derivative is that of hard-tanh, the scale's a finite difference", () => {
    const { view, learned, quantizer, weight, keep } = made(of, { format: "binary", method: "lsq" });
    const upstream = normals(weight.length, "upstream");
    const gradient = upstream.slice();
    quantizer.backward(weight, gradient);
    const loss = (): number => quantizer.quantized.reduce((sum, value, i) => sum + value * upstream[i], 0);
    forEachRun(view, (channel, begin, end) => {
      const s = Math.exp(learned.values[channel]);
      for (let i = begin; i < end; i++) {
        expect(Math.abs(quantizer.quantized[i])).toBeCloseTo(s, 5);
        expect(Math.sign(quantizer.quantized[i])).toBe(Math.sign(weight[i]));
        expect(gradient[i]).toBeCloseTo(Math.abs(weight[i]) <= 1 ? s * upstream[i] : 0, 5);
      }
    });
    const found = learned.gradient.slice();
    for (let channel = 0; channel < view.length; channel++) {
      const at = learned.values[channel];
      const [above, below] = [0.01, -0.01].map((step) => {
        learned.values[channel] = at + step;
        quantizer.forward(weight, keep);
        return loss();
      });
      learned.values[channel] = at;
      expect(found[channel]).toBeCloseTo((above - below) / 0.02, 2);
    }
  });

  test("dpp: scales of the kept weights, and gradients that pass rounding", () => {
    const { view, quantizer, weight, keep } = made(of, { format: "int4", method: "dpp" });
    forEachRun(view, (channel, begin, end) => {
      for (let i = begin; i < end; i++) {
        if (keep(i)) expect(Math.abs(weight[i])).toBeLessThanOrEqual(quantizer.scale[channel] * 7 * 1.000001);
      }
    });
    const gradient = normals(weight.length, "upstream");
    const upstream = gradient.slice();
    quantizer.backward(weight, gradient);
    expect(gradient).toEqual(upstream);
  });
});

test("binary, dpp: the scale is the mean magnitude of the kept weights", () => {
  const quantizer = new HostQuantizer(layer([2, 3]), { format: "binary", method: "dpp" });
  const weight = Float32Array.of(1, -3, 100, 0, -0.5, 0.5);
  quantizer.forward(weight, (index) => index !== 2);
  expect([...quantizer.scale].map((s) => Number(s.toFixed(6)))).toEqual([2, 0.333333]);
  expect([...quantizer.quantized].map(Math.sign)).toEqual([1, -1, 1, 1, -1, 1]);
});

test("codes times scales are what a step saw, ties to even, and 0 where nothing is kept", () => {
  const view = channelView(LAYERS.gemm);
  const scale = Float32Array.of(0.5, 0.25, 1, 0.1);
  const weight = normals(28, "codes", 2);
  weight.set([0.25, 0.75, -0.25, -0.75]);
  const mask = Uint8Array.from({ length: 28 }, (_, i) => Number(i % 5 !== 4));
  const codes = codesOf(weight, scale, "int4", view, mask);
  expect([...codes.subarray(0, 5)]).toEqual([0, 2, 0, -2, 0]);
  expect(Math.max(...codes.map(Math.abs))).toBe(7);
  const values = dequantized(codes, scale, view);
  expect(values[1]).toBe(1);
  expect(
    codesOf(Float32Array.of(0, -0, -1), Float32Array.of(1), "binary", channelView(layer([1, 3]))),
  ).toEqual(Int8Array.of(1, 1, -1));
});
