import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HostSampler } from "../../src/prune/host-sampler.js";
import { philox, Random, streamOf } from "../../src/random.js";

const DRAWN = Math.fround(-1e30);

/** z as the sampler had it: its draws, and the rest times tau. */
function perturbed(sampler: HostSampler, rows: number, n: number, k: number, tau: number): Float64Array {
  const z = Float64Array.from(sampler.undrawn, (value) => value * tau);
  for (let row = 0; row < rows; row++) {
    for (let j = 0; j < k; j++) z[row * n + sampler.indices[row * k + j]] = sampler.values[row * k + j];
  }
  return z;
}

function expectDraws(sampler: HostSampler, logits: Float32Array, rows: number, n: number, k: number): void {
  for (let row = 0; row < rows; row++) {
    const z = logits.subarray(row * n, (row + 1) * n);
    const order = [...z.keys()].sort((a, b) => z[b] - z[a] || a - b).slice(0, k);
    expect([...sampler.indices.subarray(row * k, (row + 1) * k)]).toEqual(order);
    expect([...sampler.values.subarray(row * k, (row + 1) * k)]).toEqual(order.map((i) => z[i] + 0));
    z.forEach((value, i) => {
      expect(sampler.undrawn[row * n + i]).toBe(order.includes(i) ? DRAWN : Math.fround(value * 2));
    });
  }
}

describe("HostSampler", () => {
  it("draws the k largest in order, ties by lower index", () => {
    const sizes = fc.record({
      rows: fc.integer({ min: 1, max: 5 }),
      n: fc.integer({ min: 1, max: 90 }),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
      seed: fc.nat(),
      levels: fc.constantFrom(1, 2, 5, 1e6),
      outlier: fc.constantFrom(0, 1e6),
    });
    fc.assert(
      fc.property(sizes, ({ rows, n, share, seed, levels, outlier }) => {
        const k = Math.max(1, Math.round(share * n));
        const random = new Random(seed, "logits");
        // Few levels make ties; an outlier squeezes the rest into one bucket; halves of 0 make -0.
        const logits = Float32Array.from(
          { length: rows * n },
          (_, i) => (random.below(levels) - levels / 2) * (i % 2 === 0 ? 1 : -1) + (i === 0 ? outlier : 0),
        );
        const sampler = new HostSampler(rows, n, k, 1, "layer");
        sampler.sample(logits, 3, 0, 0.5);
        expectDraws(sampler, logits, rows, n, k);
      }),
      { numRuns: 200 },
    );
  });

  it("draws many of a long row", () => {
    const [n, k] = [5000, 2500];
    const random = new Random(3, "long");
    const logits = Float32Array.from({ length: n }, () => random.normal() ** 9);
    const sampler = new HostSampler(1, n, k, 1, "layer");
    sampler.sample(logits, 0, 0, 0.5);
    expectDraws(sampler, logits, 1, n, k);
  });

  it("adds noise that is a function of seed, name and step", () => {
    const [rows, n, k] = [2, 37, 5];
    const draws = (seed: number, name: string, step: number): string => {
      const sampler = new HostSampler(rows, n, k, seed, name);
      sampler.sample(new Float32Array(rows * n), step, 1, 1);
      return Buffer.from(sampler.undrawn.slice().buffer).toString("base64") + sampler.indices.join();
    };
    const reference = draws(1, "fc1", 5);
    expect(draws(1, "fc1", 5)).toBe(reference);
    const others = [draws(2, "fc1", 5), draws(1, "fc2", 5), draws(1, "fc1", 6), draws(1, "fc1", 5 + 2 ** 32)];
    for (const other of [...others, draws(1 + 2 ** 32, "fc1", 5)]) expect(other).not.toBe(reference);
  });

  it("makes its noise from Philox4x32-7, as -log(-log u)", () => {
    const n = 64;
    const sampler = new HostSampler(1, n, 1, 9, "fc1");
    sampler.sample(new Float32Array(n), 2, 1, 1);
    const z = perturbed(sampler, 1, n, 1, 1);
    const bits = new Uint32Array(4);
    for (let i = 0; i < n; i++) {
      philox(bits, [i >> 2, 2, 0, 0], [9, streamOf("fc1/noise")], 7);
      const u = ((bits[i % 4] >>> 9) + 0.5) / 2 ** 23;
      expect(z[i]).toBeCloseTo(-Math.log(-Math.log(u)), 4);
    }
  });

  it("makes noise with the distribution of Gumbel(0, 1)", () => {
    const n = 200_000;
    const sampler = new HostSampler(1, n, 1, 1, "fc1");
    sampler.sample(new Float32Array(n), 0, 1, 1);
    const sorted = perturbed(sampler, 1, n, 1, 1).sort();
    let distance = 0;
    sorted.forEach((value, i) => {
      const expected = Math.exp(-Math.exp(-value));
      distance = Math.max(distance, Math.abs(expected - i / n), Math.abs(expected - (i + 1) / n));
    });
    // Kolmogorov and Smirnov: 1.95 / sqrt(n) is exceeded by one sample in a thousand.
    expect(distance).toBeLessThan(1.95 / Math.sqrt(n));
  });
});
