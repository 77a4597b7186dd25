/** Sizes of parameters against exact binomials, enumeration, and counts by hand. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { layerSizes, log2Choose, maskBits, sizesOf } from "../../src/metrics/size.js";
import { emptyGraph, int, type Graph } from "../../src/onnx/model.js";
import { tensor } from "../../src/onnx/tensor.js";
import { prunableLayers } from "../../src/layers/layers.js";
import { maps, resolvePrune, weights } from "../../src/prune/spec.js";
import type { PruneSpec } from "../../src/prune/types.js";

/** A graph with one matrix [out, in], its bias and a following layer. */
function network(outputs: number, inputs: number): Graph {
  const graph = emptyGraph("g");
  const store = (name: string, ...dims: number[]): void => {
    const size = dims.reduce((product, dim) => product * dim, 1);
    graph.initializers.set(name, tensor("float32", dims, new Float32Array(size)));
  };
  store("fc1.weight", outputs, inputs);
  store("fc1.bias", outputs);
  store("fc2.weight", 3, outputs);
  graph.initializers.set("shape", tensor("int64", [2], BigInt64Array.of(-1n, 10n)));
  for (const [name, inputs] of [
    ["fc1", ["x", "fc1.weight", "fc1.bias"]],
    ["fc2", ["fc1", "fc2.weight"]],
  ] as const) {
    const attributes = new Map([["transB", int(1)]]);
    graph.nodes.push({ op: "Gemm", domain: "", name, inputs: [...inputs], outputs: [name], attributes });
  }
  return graph;
}

const sizes = (graph: Graph, spec: PruneSpec): ReturnType<typeof sizesOf> =>
  sizesOf(graph, resolvePrune(prunableLayers(graph), spec));

describe("log2Choose", () => {
  test("agrees with exact binomials", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), fc.nat(), (n, seed) => {
        const k = seed % (n + 1);
        let exact = 1n;
        for (let i = 1; i <= k; i++) exact = (exact * BigInt(n - k + i)) / BigInt(i);
        const digits = exact.toString(2);
        const expected = digits.length - 53 > 0 ? Number(BigInt(`0b${digits.slice(0, 53)}`)) : Number(exact);
        const shift = Math.max(0, digits.length - 53);
        expect(log2Choose(n, k)).toBeCloseTo(Math.log2(expected) + shift, 9);
      }),
    );
  });

  test("is symmetric, and 0 where there is no choice", () => {
    expect(log2Choose(1e6, 3)).toBeCloseTo(log2Choose(1e6, 1e6 - 3), 9);
    expect([log2Choose(5, 5), log2Choose(5, 0), log2Choose(1, 1)]).toEqual([0, 0, 0]);
  });

  test("agrees with Stirling's series at a million", () => {
    const logFactorial = (n: number): number =>
      n * Math.log(n) - n + Math.log(2 * Math.PI * n) / 2 + 1 / (12 * n) - 1 / (360 * n ** 3);
    const [n, k] = [1_000_000, 400_000];
    const expected = (logFactorial(n) - logFactorial(k) - logFactorial(n - k)) / Math.LN2;
    expect(Math.abs(log2Choose(n, k) / expected - 1)).toBeLessThan(1e-12);
  });
});

describe("sizesOf", () => {
  test("a dense model is as large at the limit", () => {
    const bytes = 4 * (300 * 784 + 300 + 3 * 300);
    expect(sizes(network(300, 784), {})).toEqual({ bytesDense: bytes, bytesLimit: bytes });
    expect(sizes(network(300, 784), { fc1: weights({ keep: 1 }) }).bytesLimit).toBe(bytes);
  });

  test("masks take log2 C(n, k) bits for each group", () => {
    const rest = 4 * (300 + 900);
    const { bytesLimit } = sizes(network(300, 784), { fc1: weights({ k: 40 }) });
    expect(bytesLimit).toBe(4 * 300 * 40 + Math.ceil((300 * log2Choose(784, 40)) / 8) + rest);
  });

  test("2:4 takes log2(6) bits for each tile", () => {
    const { bytesLimit } = sizes(network(16, 64), { fc1: weights({ tile: [2, 4] }) });
    expect(bytesLimit).toBe(Math.ceil((256 * Math.log2(6)) / 8) + 4 * (16 * 32 + 16 + 48));
  });

  test("removed maps take their biases along, and shared masks are stored once", () => {
    const choice = (n: number, k: number, groups = 1): number => Math.ceil((groups * log2Choose(n, k)) / 8);
    expect(sizes(network(16, 64), { fc1: maps({ k: 4 }) }).bytesLimit).toBe(
      4 * (4 * 64 + 4 + 48) + choice(16, 4),
    );
    const shared = sizes(network(16, 64), { fc1: weights({ k: 2, share: 4 }) }).bytesLimit;
    expect(shared).toBe(4 * (16 * 2 + 16 + 48) + choice(64, 2, 4));
  });

  test("the limit is the logarithm of the number of masks", () => {
    const layers = prunableLayers(network(2, 6));
    const [layer] = resolvePrune(layers, { fc1: weights({ k: 2 }) });
    const count = (n: number, k: number): number =>
      k === 0 ? 1 : n === 0 ? 0 : count(n - 1, k - 1) + count(n - 1, k);
    expect(maskBits(layer)).toBeCloseTo(Math.log2(count(6, 2) ** 2), 12);
  });
});

describe("layerSizes", () => {
  const graph = network(300, 784);
  const weight = (layer: string, format: "int4" | "binary", channels: number) => ({
    layer,
    weight: `${layer}.weight`,
    format,
    axis: 0,
    scale: new Float32Array(channels),
    codes: new Int8Array(graph.initializers.get(`${layer}.weight`)?.size ?? 0),
  });
  const quantization = { weights: [weight("fc1", "int4", 300), weight("fc2", "binary", 3)], activations: [] };
  const pruned = resolvePrune(prunableLayers(graph), { fc1: weights({ k: 41 }) });

  test("counts the bits of kept values by group, the mask, and 4 bytes a channel for scales", () => {
    expect(layerSizes(graph, pruned, undefined, quantization)).toEqual([
      {
        name: "fc1",
        weight: "fc1.weight",
        format: "int4",
        bits: 4,
        kept: 300 * 41,
        bytes: { weights: 300 * 21, indices: Math.ceil((300 * log2Choose(784, 41)) / 8), scales: 1200 },
      },
      {
        name: "fc2",
        weight: "fc2.weight",
        format: "binary",
        bits: 1,
        kept: 900,
        bytes: { weights: 113, indices: 0, scales: 12 },
      },
    ]);
    expect(layerSizes(graph, pruned)[0]).toMatchObject({ format: "float32", bits: 32, bytes: { scales: 0 } });
  });

  test("is what the totals count, with the biases", () => {
    const { bytesLimit } = sizesOf(graph, pruned, undefined, quantization);
    const rows = layerSizes(graph, pruned, undefined, quantization);
    const sum = rows.reduce((all, { bytes }) => all + bytes.weights + bytes.indices + bytes.scales, 0);
    expect(bytesLimit).toBe(sum + 4 * 300);
  });
});
