/** Weight quantizers on the host: values against the papers' formulas, gradients against the surrogates that define them. */

import type { WeightFormat } from "@kofn/format/run/words.js";
import { describe, expect, test } from "vitest";
import { HostOptimizer } from "../../src/host/optimizer.js";
import { HostQuantizer, type QuantizerPlace } from "../../src/host/quantizer.js";
import type { PrunableLayer } from "../../src/layers/types.js";
import { sizeOf } from "../../src/onnx/tensor.js";
import { optimizerOf } from "../../src/optim/optimizer.js";
import type { WeightRule } from "../../src/quantize/types.js";
import {
  channelView,
  codesOf,
  dequantized,
  forEachRun,
  largestCode,
  roundHalfToEven,
} from "../../src/quantize/weights.js";
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

/** A quantizer in the memory of an optimizer which holds its weight, between others; with where its scales are learned. */
function placed(of: PrunableLayer, rule: Required<WeightRule>, mask?: QuantizerPlace["mask"]) {
  const parameters = [
    { name: "before", dims: [3], decays: true },
    { name: "fc.weight", dims: of.dims, decays: true },
    { name: "behind", dims: [5], decays: true },
  ];
  const optimizer = optimizerOf({ kind: "sgd", lr: 1, momentum: 0 });
  const bytes = HostQuantizer.bytes(of, rule, mask !== undefined);
  const host = new HostOptimizer(optimizer, parameters, 2 * bytes);
  const weight = host.arrays.get("fc.weight");
  if (weight === undefined) throw new Error("no weight");
  const place = { kernel: host.kernel, weight, address: host.spare, ...(mask === undefined ? {} : { mask }) };
  const channels = channelView(of).length;
  const learned = { values: new Float32Array(channels), gradient: new Float32Array(channels) };
  const make = (address: number) =>
    new HostQuantizer(of, rule, { ...place, address }, rule.method === "lsq" ? learned : undefined);
  const quantizer = make(host.spare);
  return { host, weight, learned, quantizer, other: make(host.spare + bytes) };
}

/** A quantizer with its scales, a weight that crosses its range, and what it makes of these. */
function made(of: PrunableLayer, rule: Required<WeightRule>) {
  const { weight, learned, quantizer } = placed(of, rule);
  weight.values.set(normals(sizeOf(of.dims), "weight", 0.7));
  const keep = (index: number): boolean => index % 3 !== 0;
  quantizer.kept?.forEach((_, i, kept) => (kept[i] = Number(keep(i))));
  quantizer.begin(keep);
  // Smaller than they begin, so that some weights are out of range.
  if (rule.format !== "binary") learned.values.forEach((value, i) => (learned.values[i] = value - 0.4));
  quantizer.forward();
  return {
    view: channelView(of),
    learned,
    quantizer,
    weight: weight.values,
    gradient: weight.gradient,
    keep,
  };
}

const FORMATS: readonly WeightFormat[] = ["ternary", "int2", "int3", "int4", "int8"];

describe.each(Object.entries(LAYERS))("%s", (_, of) => {
  test.each(FORMATS)("%s, lsq: values and gradients", (format) => {
    const { view, learned, quantizer, weight, gradient } = made(of, { format, method: "lsq" });
    const most = largestCode(format);
    const upstream = normals(weight.length, "upstream");
    gradient.set(upstream);
    quantizer.backward();
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
    const { view, learned, quantizer, weight, gradient } = made(of, { format: "binary", method: "lsq" });
    const upstream = normals(weight.length, "upstream");
    gradient.set(upstream);
    quantizer.backward();
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
        quantizer.forward();
        return loss();
      });
      learned.values[channel] = at;
      expect(found[channel]).toBeCloseTo((above - below) / 0.02, 2);
    }
  });

  test("dpp: scales of the kept weights, and gradients that pass rounding", () => {
    const { view, quantizer, weight, gradient, keep } = made(of, { format: "int4", method: "dpp" });
    forEachRun(view, (channel, begin, end) => {
      for (let i = begin; i < end; i++) {
        if (keep(i)) expect(Math.abs(weight[i])).toBeLessThanOrEqual(quantizer.scale[channel] * 7 * 1.000001);
      }
    });
    const upstream = normals(weight.length, "upstream");
    gradient.set(upstream);
    quantizer.backward();
    expect(gradient).toEqual(upstream);
  });
});

test("binary, dpp: the scale is the mean magnitude of the kept weights", () => {
  const { quantizer, weight } = placed(layer([2, 3]), { format: "binary", method: "dpp" });
  weight.values.set([1, -3, 100, 0, -0.5, 0.5]);
  quantizer.kept?.set([0], 2);
  quantizer.forward();
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

/** The indices of each channel's weights. */
function indicesOf(of: PrunableLayer): number[][] {
  const view = channelView(of);
  const indices: number[][] = Array.from({ length: view.length }, () => []);
  forEachRun(view, (channel, begin, end) => {
    for (let i = begin; i < end; i++) indices[channel].push(i);
  });
  return indices;
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** The scales of the method dpp, by definition. */
function fitted(
  of: PrunableLayer,
  format: WeightFormat,
  weight: Float32Array,
  kept: Uint8Array,
): Float32Array {
  return Float32Array.from(indicesOf(of), (own) => {
    const magnitudes = own.filter((i) => kept[i] === 1).map((i) => Math.abs(weight[i]));
    if (format === "binary") return Math.max(1e-8, sum(magnitudes) / (magnitudes.length || 1));
    return Math.max(1e-8, Math.max(0, ...magnitudes) / largestCode(format));
  });
}

/** What a quantizer makes of a weight, number by number: the formulas at the head of host-quantizer.ts in double precision. */
function byDefinition(
  of: PrunableLayer,
  { format, method }: Required<WeightRule>,
  scale: Float32Array,
  weight: Float32Array,
  upstream: Float32Array,
) {
  const most = largestCode(format);
  const quantized = new Float32Array(weight.length);
  const gradient = upstream.slice();
  const ofScale = indicesOf(of).map((own, channel) => {
    const s = scale[channel];
    const summands = own.map((i) => {
      if (format === "binary") {
        const sign = weight[i] < 0 ? -1 : 1;
        quantized[i] = s * sign;
        gradient[i] = Math.abs(weight[i]) <= 1 ? s * upstream[i] : 0;
        return upstream[i] * sign;
      }
      const ratio = Math.fround(weight[i] / s);
      const code = roundHalfToEven(Math.max(-most, Math.min(most, ratio)));
      quantized[i] = s * code;
      const isInside = Math.abs(ratio) <= most;
      if (!isInside && method === "lsq") gradient[i] = 0;
      return upstream[i] * (isInside ? code - ratio : code);
    });
    return { value: s * sum(summands), size: s * sum(summands.map(Math.abs)) };
  });
  return { quantized, gradient, ofScale };
}

/** The first place where two arrays differ in a bit, or -1. */
function difference(actual: ArrayLike<number>, expected: Float32Array): number {
  return expected.findIndex((value, i) => !Object.is(value, actual[i]));
}

const SHAPES: readonly PrunableLayer[] = [
  ...[
    [1, 1],
    [3, 1],
    [1, 5],
    [5, 4],
    [16, 25],
    [6, 1, 5, 5],
    [8, 3, 3, 3],
    [33, 131],
  ].map((dims) => layer(dims)),
  ...[
    [1, 1],
    [1, 3],
    [5, 1],
    [4, 5],
    [25, 16],
    [131, 33],
  ].map((dims) => layer(dims, true)),
];

const EVERY: readonly Required<WeightRule>[] = (["lsq", "dpp"] as const).flatMap((method) =>
  (["binary", "ternary", "int2", "int3", "int4", "int5", "int6", "int7", "int8"] as const).map((format) => ({
    format,
    method,
  })),
);

/** Weights with ties, zeros of both signs, and magnitudes far off, at scales that are powers of two: [weight, logarithms]. */
function hard(of: PrunableLayer, spread: number): [Float32Array, Float32Array] {
  const random = new Random(11, `hard/${of.dims.join()}/${spread}`);
  const view = channelView(of);
  const exponents = Array.from({ length: view.length }, () => Math.round(spread * random.normal()));
  const weight = new Float32Array(sizeOf(of.dims));
  forEachRun(view, (channel, begin, end) => {
    for (let i = begin; i < end; i++) {
      const halves = Math.round(6 * random.normal()) / 2;
      const ratios = [
        halves,
        halves,
        0,
        -0,
        1e5 * halves,
        1e-5 * halves,
        random.normal(),
        70 * random.normal(),
      ];
      weight[i] = ratios[Math.floor(random.uniform() * ratios.length)] * 2 ** exponents[channel];
    }
  });
  return [weight, Float32Array.from(exponents, (exponent) => exponent * Math.LN2)];
}

describe.each(EVERY)("$method, $format, beside the definition", (rule) => {
  test.each(SHAPES)("weights of $dims, transposed: $transposed", (of) => {
    const { host, weight, learned, quantizer, other } = placed(of, rule);
    const neighbours = [
      host.arrays.get("before")?.gradient,
      host.arrays.get("behind")?.gradient,
      other.quantized,
    ];
    for (const one of neighbours) one?.fill(7);
    for (const spread of [0, 15]) {
      const [values, logarithms] = hard(of, spread);
      const upstream = normals(values.length, "upstream");
      const random = new Random(5, of.dims.join());
      const kept = Uint8Array.from(values, () => Number(random.uniform() < 0.4));
      weight.values.set(values);
      weight.gradient.set(upstream);
      learned.values.set(logarithms);
      quantizer.kept?.set(kept);
      quantizer.forward();
      const scale = quantizer.scale.slice();
      if (rule.method === "lsq") expect(difference(scale, logarithms.map(Math.exp))).toBe(-1);
      else if (rule.format !== "binary")
        expect(difference(scale, fitted(of, rule.format, values, kept))).toBe(-1);
      else {
        const expected = fitted(of, rule.format, values, kept);
        for (const [i, s] of scale.entries()) expect(Math.abs(s / expected[i] - 1)).toBeLessThan(1e-6);
      }

      quantizer.backward();
      const { quantized, gradient, ofScale } = byDefinition(of, rule, scale, values, upstream);
      expect(difference(quantizer.quantized, quantized)).toBe(-1);
      expect(difference(weight.gradient, gradient)).toBe(-1);
      expect(difference(weight.values, values)).toBe(-1);
      for (const one of neighbours) expect(one?.every((value) => value === 7)).toBe(true);
      if (rule.method === "dpp") continue;
      const found = learned.gradient.slice();
      for (const [channel, { value, size }] of ofScale.entries()) {
        expect(Math.abs(found[channel] - value)).toBeLessThanOrEqual(1e-6 * size);
      }
      weight.gradient.set(upstream);
      quantizer.backward();
      expect(difference(weight.gradient, gradient)).toBe(-1);
      expect(difference(learned.gradient, found)).toBe(-1);
    }
  });
});

describe.each(EVERY)("$method, $format, with a mask", (rule) => {
  test.each(SHAPES.filter(({ transposed }) => !transposed))("weights of $dims", (of) => {
    const size = sizeOf(of.dims);
    const random = new Random(5, of.dims.join());
    const mask = { values: new Float32Array(size), gradient: new Float32Array(size) };
    const { host, weight, learned, quantizer, other } = placed(of, rule, mask);
    const neighbours = [
      host.arrays.get("before")?.gradient,
      host.arrays.get("behind")?.gradient,
      other.quantized,
    ];
    for (const one of neighbours) one?.fill(7);
    for (const spread of [0, 15]) {
      const [values, logarithms] = hard(of, spread);
      const upstream = normals(size, "upstream");
      const kept = Uint8Array.from(values, () => Number(random.uniform() < 0.4));
      const masked = (array: Float32Array): Float32Array =>
        array.map((value, i) => (kept[i] === 1 ? value : 0));
      mask.values.set(kept);
      weight.values.set(values);
      weight.gradient.set(upstream);
      learned.values.set(logarithms);
      quantizer.forward();
      if (rule.method === "dpp" && rule.format !== "binary") {
        expect(difference(quantizer.scale, fitted(of, rule.format, values, kept))).toBe(-1);
      }
      const expected = byDefinition(of, rule, quantizer.scale, values, masked(upstream));
      expect(difference(quantizer.quantized, masked(expected.quantized))).toBe(-1);

      quantizer.backward();
      const ofMask = upstream.map((value, i) => value * expected.quantized[i]);
      expect(difference(mask.gradient, ofMask)).toBe(-1);
      expect(difference(weight.gradient, masked(expected.gradient))).toBe(-1);
      for (const one of neighbours) expect(one?.every((value) => value === 7)).toBe(true);
      if (rule.method === "dpp") continue;
      for (const [channel, { value, size }] of expected.ofScale.entries()) {
        expect(Math.abs(learned.gradient[channel] - value)).toBeLessThanOrEqual(1e-6 * size);
      }

      weight.gradient.set(upstream);
      quantizer.mask();
      expect(difference(quantizer.quantized, masked(values))).toBe(-1);
      quantizer.maskBackward();
      expect(
        difference(
          mask.gradient,
          upstream.map((value, i) => value * values[i]),
        ),
      ).toBe(-1);
      expect(difference(weight.gradient, masked(upstream))).toBe(-1);
    }
  });
});

test("what is pruned adds nothing to the gradient of scales", () => {
  const of = layer([5, 7]);
  const { weight, learned, quantizer } = placed(of, { format: "int4", method: "lsq" });
  const masked = normals(35, "upstream").map((value, i) => (i % 3 === 0 ? value : 0));
  const gradients = [0, 1].map((seed) => {
    const pruned = normals(35, `pruned ${seed}`);
    weight.values.set(normals(35, "weight").map((value, i) => (i % 3 === 0 ? value : pruned[i])));
    weight.gradient.set(masked);
    learned.values.fill(-1);
    quantizer.forward();
    quantizer.backward();
    return learned.gradient.slice();
  });
  expect(gradients[0]).toEqual(gradients[1]);
  expect(gradients[0].every((value) => value !== 0)).toBe(true);
});
