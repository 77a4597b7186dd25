/** Mask metrics against cases worked out by hand. */

import { describe, expect, test } from "vitest";
import { InputError } from "../../src/errors.js";
import { inclusionProbabilities } from "../../src/metrics/inclusion.js";
import {
  churn,
  confidence,
  diversity,
  inclusionHistogram,
  jensenShannon,
  layerMetrics,
  meanConfidence,
  neverChosen,
  overlap,
  softmaxEntropy,
} from "../../src/metrics/masks.js";
import { Random } from "../../src/random.js";

const entropyOf = (p: number): number => -p * Math.log(p) - (1 - p) * Math.log(1 - p);

describe("layerMetrics", () => {
  test("uniform: no confidence, no diversity", () => {
    const metrics = layerMetrics({
      logits: new Float32Array(3 * 8).fill(0.7),
      rows: 3,
      n: 8,
      k: 2,
      beta: 0.5,
    });
    const { inclusion, ...figures } = metrics;
    for (const value of Object.values(figures)) expect(value).toBeCloseTo(0, 6);
    // All 24 units have pi = 1/4, up to its error: on the border of two bins.
    expect(inclusion[4] + inclusion[5]).toBe(24);
  });

  test("deterministic, identical groups: all confidence, no diversity", () => {
    const row = [50, -50, -50, 50];
    const metrics = layerMetrics({
      logits: Float32Array.from([...row, ...row]),
      rows: 2,
      n: 4,
      k: 2,
      beta: 0.1,
    });
    expect(metrics.confidence).toBe(1);
    expect(metrics.diversity).toBeCloseTo(0, 12);
    // Two of four share the softmax: log 2 / log 4.
    expect(metrics.softmaxConfidence).toBeCloseTo(0.5, 12);
    expect(metrics.jensenShannon).toBeCloseTo(0, 12);
  });

  test("deterministic, disjoint groups: all confidence, all diversity", () => {
    const logits = Float32Array.of(50, 50, -50, -50, -50, -50, 50, 50);
    const metrics = layerMetrics({ logits, rows: 2, n: 4, k: 2, beta: 0.1 });
    expect(metrics.confidence).toBe(1);
    expect(metrics.diversity).toBeCloseTo(1, 12);
    expect(metrics.softmaxConfidence).toBeCloseTo(0.5, 12);
    expect(metrics.jensenShannon).toBeCloseTo(0.5, 12);
    expect(metrics.inclusion).toEqual([4, ...new Array<number>(18).fill(0), 4]);
  });

  test("without noise the mask is certain, whatever the logits", () => {
    expect(layerMetrics({ logits: Float32Array.of(1, 1, 1), rows: 1, n: 3, k: 1, beta: 0 }).confidence).toBe(
      1,
    );
  });

  test("k = n leaves nothing to choose", () => {
    const metrics = layerMetrics({ logits: Float32Array.of(0, 1, 2, 0), rows: 2, n: 2, k: 2, beta: 1 });
    expect(metrics).toMatchObject({ confidence: 1, diversity: 0 });
    const single = layerMetrics({ logits: Float32Array.of(0, 1), rows: 2, n: 1, k: 1, beta: 1 });
    expect(single).toMatchObject({ confidence: 1, diversity: 0, softmaxConfidence: 1, jensenShannon: 0 });
  });

  test("diversity lies between 0 and confidence", () => {
    const random = new Random(3, "masks");
    for (const beta of [0.05, 0.3, 2]) {
      const logits = Float32Array.from({ length: 6 * 20 }, () => random.normal());
      const metrics = layerMetrics({ logits, rows: 6, n: 20, k: 5, beta });
      expect(metrics.diversity).toBeGreaterThan(0);
      expect(metrics.diversity).toBeLessThan(metrics.confidence);
      expect(metrics.confidence).toBeLessThan(1);
    }
  });
});

test("confidence and diversity of probabilities", () => {
  // One certain row and one at 1/2: the mean entropy is half of h(1/2).
  expect(confidence(Float64Array.of(1, 0, 0.5, 0.5), 1, 2)).toBeCloseTo(0.5, 12);
  // Column means 3/4 and 1/4.
  const expected = (entropyOf(0.75) - Math.log(2) / 2) / Math.log(2);
  expect(diversity(Float64Array.of(1, 0, 0.5, 0.5), 2, 2, 1)).toBeCloseTo(expected, 12);
});

test("the histogram of inclusion probabilities counts all units; 1 is in the last bin", () => {
  expect(inclusionHistogram(Float64Array.of(0, 0.049, 0.05, 0.51, 0.999, 1), 20)).toEqual([
    2,
    1,
    ...new Array<number>(8).fill(0),
    1,
    ...new Array<number>(8).fill(0),
    2,
  ]);
});

test("the mean confidence counts masks alike", () => {
  expect(meanConfidence([])).toBeUndefined();
  expect(meanConfidence([{ confidence: 0.25 }, { confidence: 0.75 }])).toBe(0.5);
});

test("with two units and one kept, they are the softmax figures of phi / beta", () => {
  const logits = Float32Array.of(0.3, -0.4, -1, 0.2, 0.5, 0.5);
  const scaled = logits.map((logit) => logit / 0.5);
  const metrics = layerMetrics({ logits, rows: 3, n: 2, k: 1, beta: 0.5 });
  expect(metrics.confidence).toBeCloseTo(1 - softmaxEntropy(scaled, 3, 2), 6);
  expect(metrics.diversity).toBeCloseTo(jensenShannon(scaled, 3, 2), 6);
});

test("softmaxEntropy and jensenShannon by hand", () => {
  // softmax(0, log 3) = (1/4, 3/4); softmax(log 3, 0) = (3/4, 1/4); their mean is uniform.
  const logits = Float32Array.of(0, Math.log(3), Math.log(3), 0);
  const share = entropyOf(0.25) / Math.log(2);
  expect(softmaxEntropy(logits, 2, 2)).toBeCloseTo(share, 6);
  expect(jensenShannon(logits, 2, 2)).toBeCloseTo(1 - share, 6);
  expect(softmaxEntropy(Float32Array.of(1e30, -1e30, 0), 1, 3)).toBe(0);
});

describe("masks", () => {
  const a = Uint8Array.of(1, 1, 0, 0, 1, 1, 0, 0);
  const b = Uint8Array.of(1, 0, 1, 0, 1, 1, 0, 0);

  test("churn is the share of changed bits of those that are set", () => {
    const inverse = a.map((bit) => 1 - bit);
    expect(churn(a, a)).toBe(0);
    // 2 changed of 2 * 4 kept: one of four units was replaced.
    expect(churn(a, b)).toBe(0.25);
    expect(churn(a, inverse)).toBe(1);
  });

  test("churn with another k: what was dropped counts against both masks", () => {
    const all = new Uint8Array(8).fill(1);
    // From 8 to 4 kept: 4 changed of 12.
    expect(churn(all, a)).toBeCloseTo(1 / 3, 12);
    expect(churn(a, all)).toBe(churn(all, a));
    expect(churn(Uint8Array.of(1, 1, 1, 0), Uint8Array.of(0, 0, 0, 1))).toBe(1);
  });

  test("overlap is the share of kept units in common", () => {
    expect(overlap(a, a)).toBe(1);
    expect(overlap(a, b)).toBe(0.75);
    expect(
      overlap(
        a,
        a.map((bit) => 1 - bit),
      ),
    ).toBe(0);
  });

  test("neverChosen counts over epochs, or over the rows of one mask", () => {
    expect(neverChosen([a, b])).toBe(3);
    expect(neverChosen([a.subarray(0, 4), a.subarray(4)])).toBe(2);
    expect(neverChosen([Uint8Array.of(1, 1)])).toBe(0);
    expect(a).toEqual(Uint8Array.of(1, 1, 0, 0, 1, 1, 0, 0));
  });

  test("masks that do not fit are refused", () => {
    expect(() => churn(a, b.subarray(1))).toThrow(/churn: .* got 8 and 7 units/);
    expect(() => overlap(a, b.subarray(1))).toThrow(InputError);
    expect(() => neverChosen([a, b.subarray(1)])).toThrow(InputError);
    expect(() => overlap(new Uint8Array(8), b)).toThrow(/keeps none/);
    expect(() => churn(new Uint8Array(8), new Uint8Array(8))).toThrow(/keep none/);
    expect(() => neverChosen([])).toThrow(/at least one mask/);
  });
});

test("the entropies use the inclusion probabilities of the sampler", () => {
  const logits = Float32Array.of(0.2, -0.1, 0.4, 0, 0.3, 0.3);
  const pi = inclusionProbabilities(logits, 2, 3, 2, 0.5);
  let mean = 0;
  for (const p of pi) mean += entropyOf(p) / 6;
  expect(confidence(pi, 2, 3)).toBeCloseTo(1 - mean / entropyOf(2 / 3), 12);
  expect(layerMetrics({ logits, rows: 2, n: 3, k: 2, beta: 0.5 }).confidence).toBe(confidence(pi, 2, 3));
});
