/** The host's sampler: draws, noise, the gradient against the definition, and the update against the optimizer's graph. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { HostSampler } from "../../src/host/sampler.js";
import { inclusionProbabilities } from "../../src/metrics/inclusion.js";
import { Builder } from "../../src/onnx/builder.js";
import { evaluateGraph } from "../../src/onnx/evaluate.js";
import { emptyGraph, int } from "../../src/onnx/model.js";
import { type Tensor, tensorFrom } from "../../src/onnx/tensor.js";
import { optimizerOf } from "../../src/optim/optimizer.js";
import type { OptimizerOptions } from "../../src/optim/options.js";
import { philox, Random, streamOf } from "../../src/random.js";
import { poolOf } from "../support/noise.js";

interface Size {
  readonly rows: number;
  readonly n: number;
  readonly k: number;
}

function samplerOf(
  { rows, n, k }: Size,
  options: Partial<ConstructorParameters<typeof HostSampler>[0]> = {},
) {
  const optimizer = optimizerOf({ kind: "sgd", lr: 1 });
  return new HostSampler({ rows, n, most: k, seed: 1, name: "layer", optimizer, entropy: 0, ...options });
}

/** The mask of the k largest of each row by sorting, ties by lower index. */
function sortedMask(z: Float32Array, { rows, n, k }: Size): number[] {
  const mask = new Array<number>(rows * n).fill(0);
  for (let row = 0; row < rows; row++) {
    const values = z.subarray(row * n, (row + 1) * n);
    const order = [...values.keys()].sort((a, b) => values[b] - values[a] || a - b);
    for (const unit of order.slice(0, k)) mask[row * n + unit] = 1;
  }
  return mask;
}

function normals(count: number, stream: string): Float32Array {
  const random = new Random(5, stream);
  return Float32Array.from({ length: count }, () => random.normal());
}

describe("sample", () => {
  test("keeps the k largest, ties by lower index", () => {
    const sizes = fc.record({
      rows: fc.integer({ min: 1, max: 5 }),
      n: fc.integer({ min: 1, max: 150 }),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
      seed: fc.nat(),
      levels: fc.constantFrom(1, 2, 5, 1e6),
      outlier: fc.constantFrom(0, 1e6, -1e30),
    });
    fc.assert(
      fc.property(sizes, ({ rows, n, share, seed, levels, outlier }) => {
        const size = { rows, n, k: Math.max(1, Math.round(share * n)) };
        const random = new Random(seed, "logits");
        const sampler = samplerOf(size);
        // Few levels make ties; an outlier squeezes the rest into one bucket; halves of 0 make -0.
        sampler.logits.set(
          Float32Array.from(
            { length: rows * n },
            (_, i) => (random.below(levels) - levels / 2) * (i % 2 === 0 ? 1 : -1) + (i === 0 ? outlier : 0),
          ),
        );
        sampler.sample(3, 0, size.k);
        expect([...sampler.mask]).toEqual(sortedMask(sampler.logits, size));
      }),
      { numRuns: 200 },
    );
  });

  test("keeps the k largest in every step, however far the logits jump and whatever k is asked for", () => {
    const size = { rows: 7, n: 300, k: 120 };
    const sampler = samplerOf(size);
    const random = new Random(8, "jumps");
    for (let step = 0; step < 60; step++) {
      const [shift, scale] = [100 * random.normal(), random.normal() ** 5];
      sampler.logits.set(normals(size.rows * size.n, `jump ${step >> 2}`).map((x) => x * scale + shift));
      const k = [120, 119, 40, 1][step % 4];
      sampler.sample(step, 0.1, k);
      expect([...sampler.mask]).toEqual(sortedMask(sampler.perturbed, { ...size, k }));
    }
  });

  test.each([33, 40, 47])("tells values apart that nearly equal, at any place among %i", (n) => {
    for (let k = 1; k < n; k++) {
      const sampler = samplerOf({ rows: 1, n, k });
      // Descending from the last unit on; the k-th largest is one float above the next, which has the lower index.
      sampler.logits.set(Float32Array.from({ length: n }, (_, i) => 1 + i));
      sampler.logits[n - k - 1] = (n - k + 1) * (1 - 2 ** -24);
      sampler.sample(0, 0, k);
      expect([...sampler.mask], `k ${k}`).toEqual(sortedMask(sampler.logits, { rows: 1, n, k }));
    }
  });

  test("draws many of a long row", () => {
    const size = { rows: 1, n: 5001, k: 2500 };
    const sampler = samplerOf(size);
    sampler.logits.set(normals(size.n, "long").map((x) => x ** 9));
    sampler.sample(0, 0, size.k);
    expect([...sampler.mask]).toEqual(sortedMask(sampler.logits, size));
  });

  test("keeps exactly k where logits are not numbers", () => {
    const size = { rows: 2, n: 64, k: 9 };
    const sampler = samplerOf(size);
    sampler.logits.set(normals(128, "broken"));
    for (const step of [0, 1]) {
      sampler.logits.set([NaN, Infinity, -Infinity], 5);
      sampler.logits.fill(NaN, 64);
      sampler.sample(step, 0.1, size.k);
      for (const row of [0, 64]) {
        expect(sampler.mask.subarray(row, row + 64).reduce((sum, bit) => sum + bit, 0)).toBe(size.k);
      }
    }
  });
});

describe("noise", () => {
  test("is a function of seed, name, step and place", () => {
    const size = { rows: 30, n: 37, k: 5 };
    const draw = (seed: number, name: string, step: number): string => {
      const sampler = samplerOf(size, { seed, name });
      sampler.sample(step, 1, size.k);
      return Buffer.from(sampler.perturbed.slice().buffer).toString("base64");
    };
    const reference = draw(1, "fc1", 5);
    expect(draw(1, "fc1", 5)).toBe(reference);
    const others = [draw(2, "fc1", 5), draw(1, "fc2", 5), draw(1, "fc1", 6), draw(1, "fc1", 5 + 2 ** 32)];
    for (const other of [...others, draw(1 + 2 ** 32, "fc1", 5)]) expect(other).not.toBe(reference);
    const once = samplerOf(size);
    once.sample(0, 1, size.k);
    expect(new Set(once.perturbed).size).toBeGreaterThan(size.rows * size.n - 3);
  });

  test.each([
    { rows: 7, n: 9001, size: 2 ** 16 },
    { rows: 4, n: 300_001, size: 2 ** 20 },
  ])("reads -log(-log u) from a pool of $size, each block from a place of its own", ({ rows, n, size }) => {
    const sampler = samplerOf({ rows, n, k: 1 }, { seed: 9, name: "fc1" });
    const key = [9, streamOf("fc1/noise")] as const;
    const pool = poolOf(size, key);
    const place = new Uint32Array(4);
    for (const step of [0, 1, 2 ** 32 + 3]) {
      sampler.sample(step, 1, 1);
      let worst = 0;
      for (let i = 0; i < rows * n; i++) {
        if (i % size === 0) philox(place, [i / size, step >>> 0, Math.floor(step / 2 ** 32), 1], key);
        worst = Math.max(worst, Math.abs(sampler.perturbed[i] - pool[(place[0] + i) % size]));
      }
      expect(worst).toBeLessThan(3e-5);
    }
  });

  test("keeps units as often as independent noise would, and rows apart", () => {
    const size = { rows: 4, n: 12, k: 4 };
    const sampler = samplerOf(size, { seed: 4 });
    sampler.logits.set(Float32Array.from({ length: 48 }, (_, i) => (i % 12) / 8));
    const expected = inclusionProbabilities(sampler.logits, 4, 12, 4, 0.7);
    const steps = 20_000;
    const counts = new Float64Array(48);
    // How often the same unit is kept in two rows, or two units in the same row.
    let [together, pairs] = [0, 0];
    for (let step = 0; step < steps; step++) {
      sampler.sample(step, 0.7, size.k);
      const { mask } = sampler;
      for (let i = 0; i < 48; i++) counts[i] += mask[i];
      together += mask[5] * mask[17];
      pairs += sampler.perturbed[0] * sampler.perturbed[1];
    }
    const [p, q] = [expected[5], expected[17]];
    // Five standard deviations of independent steps.
    counts.forEach((count, i) => {
      const deviation = Math.sqrt((expected[i] * (1 - expected[i])) / steps);
      expect(Math.abs(count / steps - expected[i])).toBeLessThan(5 * deviation);
    });
    expect(Math.abs(together / steps - p * q)).toBeLessThan(5 * Math.sqrt((p * q * (1 - p * q)) / steps));
    const mean = 0.7 * 0.5772156649;
    expect(Math.abs(pairs / steps - mean * (mean + 1 / 8))).toBeLessThan(0.03);
  });

  test("keeps units as often as the metrics say, over all places of the pool, but for its sampling error", () => {
    const [n, k, size] = [16, 4, 2 ** 16];
    const sampler = samplerOf({ rows: 1, n: size, k: 1 }, { seed: 5 });
    sampler.sample(0, 1, 1);
    const pool = sampler.perturbed;
    const phi = normals(n, "phi");
    const counts = new Float64Array(n);
    const z = new Float32Array(n);
    for (let place = 0; place < size; place++) {
      for (let i = 0; i < n; i++) z[i] = phi[i] + pool[(place + i) % size];
      const least = z.toSorted()[n - k];
      for (let i = 0; i < n; i++) if (z[i] >= least) counts[i]++;
    }
    const expected = inclusionProbabilities(phi, 1, n, k, 1);
    const errors = Array.from(counts, (count, i) => count / size - expected[i]);
    const deviation = Math.sqrt(errors.reduce((sum, x) => sum + x * x, 0) / n);
    // As docs/sampler.md says; that of the integral is 1e-6.
    expect(deviation).toBeLessThan(0.002);
    expect(deviation).toBeGreaterThan(1e-4);
  });

  test("has the distribution of Gumbel(0, 1)", () => {
    const n = 200_000;
    const sampler = samplerOf({ rows: 1, n, k: 1 });
    sampler.sample(0, 1, 1);
    let distance = 0;
    Float64Array.from(sampler.perturbed)
      .sort()
      .forEach((value, i) => {
        const expected = Math.exp(-Math.exp(-value));
        distance = Math.max(distance, Math.abs(expected - i / n), Math.abs(expected - (i + 1) / n));
      });
    // Kolmogorov and Smirnov: 1.95 / sqrt(n) is exceeded by one sample in a thousand.
    expect(distance).toBeLessThan(1.95 / Math.sqrt(n));
  });
});

/** dPhi by the definition of KofNGrad at these perturbed logits, plus the regulariser's. */
function gradientByDefinition(
  sampler: HostSampler,
  upstream: Float32Array,
  size: Size,
  tau: number,
): number[] {
  const { rows, n, k } = size;
  const b = new Builder(emptyGraph("definition"));
  const names = [b.input("u", "float64", [rows, n]), b.input("z", "float64", [rows, n])];
  names.push(b.input("noise", "float64", [rows, n]), b.input("tau", "float64", []));
  b.output(b.op("KofNGrad", names, { k: int(k) }, "gradient"));
  const feeds = new Map<string, Tensor>([
    ["u", tensorFrom("float64", [rows, n], upstream)],
    ["z", tensorFrom("float64", [rows, n], sampler.perturbed)],
    ["noise", tensorFrom("float64", [rows, n], new Float64Array(rows * n))],
    ["tau", tensorFrom("float64", [], [tau])],
  ]);
  return [...(evaluateGraph(b.graph, feeds).get("gradient")?.numbers() ?? [])];
}

/** The least value that float32 still tells from 0 with all its digits. */
const TINY = 1e-30;

/** The largest difference within a row, relative to the row's largest value. */
function relativeError(actual: ArrayLike<number>, expected: readonly number[], n: number): number {
  let worst = 0;
  for (let row = 0; row < expected.length; row += n) {
    let scale = TINY;
    let difference = 0;
    for (let i = row; i < row + n; i++) {
      if (!Number.isFinite(actual[i])) return Infinity;
      scale = Math.max(scale, Math.abs(expected[i]));
      difference = Math.max(difference, Math.abs(actual[i] - expected[i]));
    }
    worst = Math.max(worst, difference / scale);
  }
  return worst;
}

describe("backward", () => {
  const sizes: Size[] = [
    { rows: 3, n: 9, k: 1 },
    { rows: 2, n: 9, k: 3 },
    { rows: 5, n: 4, k: 2 },
    { rows: 3, n: 50, k: 50 },
    { rows: 1, n: 120, k: 43 },
    { rows: 3, n: 203, k: 100 },
    { rows: 1, n: 700, k: 2 },
    { rows: 6, n: 34, k: 33 },
    { rows: 7, n: 6, k: 6 },
    { rows: 4, n: 61, k: 1 },
  ];
  test.each(sizes)("equals the definition at every temperature and spread: $rows x $n, k $k", (size) => {
    const count = size.rows * size.n;
    for (const tau of [0.05, 0.5, 5]) {
      for (const spread of [0, 1, 10, 50]) {
        const sampler = samplerOf(size);
        const random = new Random(7, `${size.n},${spread}`);
        sampler.logits.set(Float32Array.from({ length: count }, () => spread * (random.uniform() - 0.5)));
        sampler.sample(1, 0.1, size.k);
        const upstream = normals(count, "upstream");
        sampler.gradient.set(upstream);
        sampler.backward(tau);
        const expected = gradientByDefinition(sampler, upstream, size, tau);
        expect(
          relativeError(sampler.gradient, expected, size.n),
          `tau ${tau}, spread ${spread}`,
        ).toBeLessThan(1e-5);
      }
    }
  });

  test.each([1, 9, 40, 66, 67])("equals the definition where logits are equal, k %i", (k) => {
    const size = { rows: 6, n: 67, k };
    const sampler = samplerOf(size);
    // Rows of 1, 2 and 3 levels, and of numbers.
    sampler.logits.set(
      normals(402, "levels").map((x, i) => (i < 201 ? Math.round(i / 67) * Math.round(x) : x)),
    );
    for (const tau of [0.05, 0.7]) {
      sampler.sample(1, 0, k);
      const upstream = normals(402, "upstream");
      sampler.gradient.set(upstream);
      sampler.backward(tau);
      const expected = gradientByDefinition(sampler, upstream, size, tau);
      expect(relativeError(sampler.gradient, expected, size.n), `tau ${tau}`).toBeLessThan(1e-5);
    }
  });

  test("stays equal to the definition over thousands of draws", () => {
    const size = { rows: 1, n: 4003, k: 3000 };
    const sampler = samplerOf(size);
    sampler.logits.set(normals(size.n, "long"));
    sampler.sample(1, 0.1, size.k);
    const upstream = normals(size.n, "upstream");
    sampler.gradient.set(upstream);
    sampler.backward(5);
    const expected = gradientByDefinition(sampler, upstream, size, 5);
    expect(relativeError(sampler.gradient, expected, size.n)).toBeLessThan(3e-6);
  });

  test("adds the gradient of the entropy regulariser", () => {
    const size = { rows: 3, n: 21, k: 4 };
    const entropy = 0.3;
    const sampler = samplerOf(size, { entropy });
    const logits = normals(63, "phi").map((x) => 3 * x);
    sampler.logits.set(logits);
    sampler.sample(0, 0, size.k);
    sampler.gradient.fill(0);
    sampler.backward(1);
    const total = (phi: Float64Array): number => {
      let sum = 0;
      for (let row = 0; row < 63; row += 21) {
        const e = phi.subarray(row, row + 21).map(Math.exp);
        const all = e.reduce((a, b) => a + b, 0);
        for (const one of e) sum -= (one / all) * Math.log(one / all);
      }
      return entropy * sum;
    };
    for (let i = 0; i < 63; i++) {
      const [up, down] = [1e-5, -1e-5].map((step) => {
        const phi = Float64Array.from(logits);
        phi[i] += step;
        return total(phi);
      });
      expect(sampler.gradient[i]).toBeCloseTo((up - down) / 2e-5, 6);
    }
  });
});

describe("update", () => {
  test.each<OptimizerOptions>([
    { kind: "adam", lr: 0.1 },
    { kind: "adam", lr: 0.1, beta1: 0.5, beta2: 0.9, epsilon: 1e-3, weightDecay: 0.1 },
    { kind: "sgd", lr: 0.1 },
    { kind: "sgd", lr: 0.1, momentum: 0.9 },
    { kind: "sgd", lr: 0.1, momentum: 0.9, nesterov: true, weightDecay: 0.1 },
  ])("is that of the optimizer's graph: %o", (options) => {
    const size = { rows: 9, n: 1501, k: 3 };
    const shape = [size.rows, size.n];
    const count = size.rows * size.n;
    const optimizer = optimizerOf(options);
    const sampler = samplerOf(size, { optimizer });
    sampler.logits.set(normals(count, "logits"));

    const b = new Builder(emptyGraph("update"));
    const [parameter, gradient] = [b.input("p", "float32", shape), b.input("g", "float32", shape)];
    const state = optimizer.state.map((name) => b.input(name, "float32", shape));
    const scalars = new Map(optimizer.scalarNames.map((name) => [name, b.input(`s/${name}`, "float32", [])]));
    const updated = optimizer.update(b, { parameter, gradient, state, scalars, decays: true });
    const held = new Map([["p", sampler.logits], ...sampler.states]);
    const outputs = [updated.parameter, ...updated.state];
    for (let step = 0; step < 3; step++) {
      const feeds = new Map<string, Tensor>(
        [...held].map(([name, values]) => [name, tensorFrom("float32", shape, values)]),
      );
      const given = optimizer.scalars(step + 1, 0.1);
      for (const [name, input] of scalars) feeds.set(input, tensorFrom("float32", [], [given[name]]));
      sampler.sample(step, 0.1, size.k);
      sampler.gradient.set(normals(count, `gradient ${step}`));
      sampler.update(2, given);
      // The update leaves the logits' gradient where the mask's was.
      feeds.set("g", tensorFrom("float32", shape, sampler.gradient));
      const expected = evaluateGraph(b.graph, feeds, outputs);
      [...held.values()].forEach((values, i) => {
        const wanted = expected.get(outputs[i])?.numbers() ?? [];
        values.forEach((value, j) => {
          if (Math.abs(value - wanted[j]) > 1e-6 * (1 + Math.abs(wanted[j]))) expect(value).toBe(wanted[j]);
        });
      });
    }
  });

  test.each<Size>([
    { rows: 13, n: 1501, k: 3 },
    { rows: 7, n: 1203, k: 1203 },
    { rows: 50, n: 7, k: 2 },
  ])("with weights is that of logits and weights apart: $rows x $n, k $k", (size) => {
    const count = size.rows * size.n;
    const optimizer = optimizerOf({ kind: "adam", lr: 0.1, epsilon: 1e-3 });
    const weights = optimizerOf({ kind: "sgd", lr: 0.1, momentum: 0.9 });
    const whole = samplerOf(size, { optimizer, weights });
    const apart = samplerOf(size, { optimizer });
    const held = whole.weights?.values ?? new Float32Array();
    const expected = normals(count, "weights");
    const velocity = new Float32Array(count);
    // A kept weight of 0 learns as well.
    expected.fill(0, 0, size.n);
    held.set(expected);
    for (const one of [whole, apart]) one.logits.set(normals(count, "logits"));
    for (let step = 0; step < 3; step++) {
      const given = optimizer.scalars(step + 1, 0.1);
      for (const one of [whole, apart]) one.sample(step, 0.1, size.k);
      expect(whole.mask).toEqual(apart.mask.map((bit, i) => (bit === 1 ? expected[i] : 0)));
      const gradient = normals(count, `gradient ${step}`);
      whole.gradient.set(gradient);
      apart.gradient.set(gradient.map((g, i) => Math.fround(g * expected[i])));
      whole.update(2, given, weights.scalars(step + 1, 0.1));
      apart.update(2, given);
      expect(whole.gradient).toEqual(gradient);
      expect(whole.logits).toEqual(apart.logits);
      for (const [name, values] of whole.states) expect(values).toEqual(apart.states.get(name));
      for (let i = 0; i < count; i++) {
        velocity[i] = 0.9 * velocity[i] + (apart.mask[i] === 1 ? gradient[i] : 0);
        expected[i] -= 0.1 * velocity[i];
        if (Math.abs(held[i] - expected[i]) > 1e-6) expect(held[i]).toBe(expected[i]);
        expected[i] = held[i];
      }
    }
  });
});
