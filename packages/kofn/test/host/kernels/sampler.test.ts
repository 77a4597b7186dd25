/** The kernels of the sampler, one by one: draws by sorting, and gradients by their definition in double precision, draw by draw. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { write } from "../../../src/host/kernel.js";
import { type Address, STRUCTURES } from "../../../src/host/wasm.generated.js";
import { Random } from "../../../src/random.js";
import { poolOf } from "../../support/noise.js";
import { Arena, difference, normals } from "./arena.js";

const arena = new Arena();
const f = Math.fround;

const POOL_SIZE = 64;
/** Rows of a block. */
const BLOCK = 8;

const CASE = fc
  .record({
    seed: fc.nat(),
    rows: fc.integer({ min: 1, max: 19 }),
    // Rows of up to 32 units are ranked whole.
    n: fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 10, max: 70 })),
    share: fc.constantFrom(0, 0.2, 0.9, 1),
    offset: fc.integer({ min: 0, max: 3 }),
    gap: fc.constantFrom(0, 64),
    thread: fc.integer({ min: 0, max: 2 }),
    holdsWeights: fc.boolean(),
    entropy: fc.constantFrom(0, 0.3),
    tau: fc.constantFrom(0.05, 0.5, 5),
    beta: fc.constantFrom(0, 0.5),
    /** Logits of few levels have ties. */
    levels: fc.constantFrom(1, 3, 0),
    spread: fc.constantFrom(1, 20),
  })
  .map(({ share, ...own }) => {
    const most = Math.max(1, Math.round(share * own.n));
    return { ...own, most, k: Math.max(1, most - (own.seed % 3)) };
  });
type Case = typeof CASE extends fc.Arbitrary<infer T> ? T : never;

/** A sampler in the arena. */
class Placed {
  readonly logits: Float32Array;
  readonly weights: Float32Array;
  readonly perturbed: Float32Array;
  readonly mask: Float32Array;
  readonly noise: Float32Array;
  readonly offsets: Uint32Array;
  readonly address: Address<"Sampler">;
  readonly blocks: readonly {
    readonly first: number;
    readonly end: number;
    readonly gradient: Float32Array;
  }[];

  readonly own: Case;

  constructor(own: Case) {
    this.own = own;
    arena.clear();
    const { seed, rows, n, most, offset, gap, thread, holdsWeights, entropy, levels, spread } = own;
    const { kernel } = arena;
    const size = rows * n;
    const random = new Random(seed, "logits");
    const { buffer } = kernel.memory;
    const spill = 3;
    this.logits = arena.floats(
      Float32Array.from({ length: size }, () =>
        levels === 0 ? spread * random.normal() : spread * (random.below(levels) - 1),
      ),
      { offset, spill },
    );
    this.weights = arena.floats(normals(size, seed, "weights"), { offset, spill });
    this.perturbed = arena.empty(size, { offset, spill });
    this.mask = arena.empty(size, { offset, spill });
    const last = Math.ceil(rows / BLOCK) - 1;
    const gradients = arena.floats(new Float32Array(size + (last * gap) / 4), { offset });
    this.blocks = Array.from({ length: last + 1 }, (_, i) => {
      const [first, end] = [BLOCK * i, Math.min(rows, BLOCK * (i + 1))];
      const at = gradients.byteOffset + 4 * first * n + gap * i;
      const gradient = new Float32Array(buffer, at, (end - first) * n);
      gradient.set(normals(gradient.length, seed, `gradient ${i}`));
      return { first, end, gradient };
    });
    const guesses = arena.floats(
      Float32Array.from({ length: 3 * rows }, (_, i) => (i % 3 === 0 ? -Infinity : 0)),
    );
    const pool = arena.take(4 * POOL_SIZE + 16);
    kernel.fillPool(pool, POOL_SIZE, seed, 5);
    this.noise = new Float32Array(buffer, pool, POOL_SIZE);
    const reads = Math.ceil((size + 3) / POOL_SIZE);
    this.offsets = new Uint32Array(buffer, arena.take(4 * reads), reads);
    for (let i = 0; i < reads; i++) this.offsets[i] = random.below(POOL_SIZE);
    const learner = (values: Float32Array): Address<"Learner"> =>
      write(kernel, "Learner", arena.take(STRUCTURES.Learner.bytes), {
        // p <- p - g
        ...{ values: values.byteOffset, m: 0, v: 0, velocity: 0, isAdam: 0, beta1: 0, beta2: 0 },
        ...{ momentum: 0, isNesterov: 0, rate: 1, epsilon: 0, decay: 1 },
      });
    const scratchBytes = Math.ceil(kernel.scratchBytes(n, most) / 4) * 4;
    const productBytes = 4 * BLOCK * n + 16;
    // Only what belongs to this thread may be written.
    const scratch = arena.take(scratchBytes) - scratchBytes * thread;
    const product = arena.take(productBytes) - productBytes * thread;
    const order = arena.take(16 * Math.ceil(rows / 4) * most);
    this.address = write(kernel, "Sampler", arena.take(STRUCTURES.Sampler.bytes), {
      ...{ entropy, n, most, block: BLOCK, logits: learner(this.logits) },
      weights: holdsWeights ? learner(this.weights) : 0,
      ...{ mask: this.mask.byteOffset, perturbed: this.perturbed.byteOffset },
      ...{ gradient: gradients.byteOffset, gap, order, guesses: guesses.byteOffset },
      ...{ pool, poolSize: POOL_SIZE, offsets: this.offsets.byteOffset },
      ...{ scratch, scratchBytes, product, productBytes },
    });
  }

  sample(): void {
    const { thread, k, beta } = this.own;
    // In another order: blocks do not depend on each other.
    for (const { first, end } of this.blocks.toReversed()) {
      arena.kernel.sample(this.address, thread, first, end, k, beta);
    }
  }

  /** z of the units, by definition. */
  z(): Float32Array {
    const beta = f(this.own.beta);
    return this.logits.map((phi, i) => {
      const place = (this.offsets[Math.floor(i / POOL_SIZE)] + i) % POOL_SIZE;
      return f(phi + f(this.noise[place] * beta));
    });
  }
}

/** The k largest of a row, descending, ties by lower index. */
function drawsOf(z: Float32Array, k: number): number[] {
  return [...z.keys()].sort((a, b) => z[b] - z[a] || a - b).slice(0, k);
}

/** (dA/dphi)^T U of a row: A is the sum of k draws without replacement, each a softmax at temperature tau over what is left. */
function relaxed(z: Float32Array, upstream: ArrayLike<number>, k: number, tau: number): Float64Array {
  const gradient = new Float64Array(z.length);
  const drawn = new Set<number>();
  for (const draw of drawsOf(z, k)) {
    // The next draw is the largest of what is left.
    const e = Array.from(z, (x, i) => (drawn.has(i) ? 0 : Math.exp((x - z[draw]) / tau)));
    const total = e.reduce((a, b) => a + b, 0);
    const mean = e.reduce((sum, x, i) => sum + (x / total) * upstream[i], 0);
    e.forEach((x, i) => (gradient[i] += ((x / total) * (upstream[i] - mean)) / tau));
    drawn.add(draw);
  }
  return gradient;
}

/** The gradient of the entropy of softmax(phi) in a row. */
function ofEntropy(phi: Float32Array): Float64Array {
  const highest = Math.max(...phi);
  const e = Float64Array.from(phi, (x) => Math.exp(x - highest));
  const total = e.reduce((a, b) => a + b, 0);
  const logs = Float64Array.from(phi, (x) => x - highest - Math.log(total));
  const entropy = -e.reduce((sum, x, i) => sum + (x / total) * logs[i], 0);
  return e.map((x, i) => (-x / total) * (logs[i] + entropy));
}

/** What `backward` is to write for a block, of the gradients before. */
function expectedGradients(placed: Placed, before: Float32Array, first: number, end: number): Float64Array[] {
  const { n, k, tau, entropy, holdsWeights } = placed.own;
  const { perturbed, weights, logits } = placed;
  return Array.from({ length: end - first }, (_, i) => {
    const row = (array: Float32Array, at: number): Float32Array => array.subarray(at * n, (at + 1) * n);
    const g = row(before, i);
    const upstream = holdsWeights ? g.map((x, j) => x * row(weights, first + i)[j]) : g;
    const regulariser = ofEntropy(row(logits, first + i));
    return relaxed(row(perturbed, first + i), upstream, k, tau).map((x, j) => x + entropy * regulariser[j]);
  });
}

/** The largest difference within a row, relative to the row's largest value, or to what roundings of U may be worth. */
function rowError(actual: Float32Array, expected: Float64Array, tau: number): number {
  const scale = expected.reduce((most, x) => Math.max(most, Math.abs(x)), 0.1 / tau);
  const differences = actual.map((x, i) => Math.abs(x - expected[i]));
  return differences.some((x) => !Number.isFinite(x)) ? Infinity : Math.max(...differences) / scale;
}

function check(test: (own: Case) => void): void {
  fc.assert(fc.property(CASE, test), { numRuns: 150 });
}

describe("fillPool", () => {
  test.each([4, 8, 508, 512, 516, 2048])(
    "makes %i numbers of its definition, and the first four behind them",
    (count) => {
      arena.clear();
      const pool = arena.take(4 * count + 16);
      arena.kernel.fillPool(pool, count, 123456789, -5);
      const found = new Float32Array(arena.kernel.memory.buffer, pool, count + 4);
      const expected = poolOf(count, [123456789, -5 >>> 0]);
      for (let i = 0; i < count + 4; i++) expect(Math.abs(found[i] - expected[i % count])).toBeLessThan(2e-5);
      expect(arena.broken).toBe(0);
    },
  );
});

describe("sample", () => {
  test("adds noise, and draws the k largest of each row", () => {
    check((own) => {
      const placed = new Placed(own);
      const { rows, n, k, holdsWeights } = own;
      // The second time it has guesses.
      for (let time = 0; time < 2; time++) {
        placed.sample();
        const z = placed.z();
        expect(difference(placed.perturbed, z)).toBe(-1);
        const mask = new Float32Array(rows * n);
        for (let row = 0; row < rows; row++) {
          for (const unit of drawsOf(z.subarray(row * n, (row + 1) * n), k)) {
            const i = row * n + unit;
            mask[i] = holdsWeights ? placed.weights[i] : 1;
          }
        }
        expect(difference(placed.mask, mask)).toBe(-1);
      }
      expect(arena.broken).toBe(0);
    });
  });
});

describe("backward", () => {
  test("is the gradient of the relaxed mask, and of the entropy", () => {
    check((any) => {
      const own = { ...any, holdsWeights: false };
      const placed = new Placed(own);
      placed.sample();
      const before = placed.blocks.map(({ gradient }) => gradient.slice());
      for (const [i, { first, end, gradient }] of placed.blocks.entries()) {
        arena.kernel.backward(placed.address, own.thread, first, end, own.k, own.tau);
        for (const [j, expected] of expectedGradients(placed, before[i], first, end).entries()) {
          expect(rowError(gradient.subarray(j * own.n, (j + 1) * own.n), expected, own.tau)).toBeLessThan(
            1e-5,
          );
        }
      }
      expect(arena.broken).toBe(0);
    });
  });
});

describe("update", () => {
  test("goes down the gradient of the logits, and of the weights that are drawn", () => {
    check((own) => {
      const placed = new Placed(own);
      const { n, holdsWeights } = own;
      placed.sample();
      const [logits, weights] = [placed.logits.slice(), placed.weights.slice()];
      for (const { first, end, gradient } of placed.blocks) {
        const before = gradient.slice();
        const expected = expectedGradients(placed, before, first, end);
        arena.kernel.update(placed.address, own.thread, first, end, own.k, own.tau);
        for (const [j, ofRow] of expected.entries()) {
          const from = (first + j) * n;
          const moved = Float64Array.from(ofRow, (x, i) => logits[from + i] - x);
          const size = Math.max(1, ...logits.subarray(from, from + n).map(Math.abs));
          const scale = Math.max(size, 0.1 / own.tau, ...ofRow.map(Math.abs));
          for (let i = 0; i < n; i++) {
            expect(Math.abs(placed.logits[from + i] - moved[i])).toBeLessThan(1e-5 * scale);
          }
        }
        if (!holdsWeights) continue;
        expect(difference(gradient, before)).toBe(-1);
        before.forEach((g, i) => {
          const at = first * n + i;
          if (placed.mask[at] !== 0) weights[at] = f(weights[at] - g);
        });
      }
      expect(difference(placed.weights, weights)).toBe(-1);
      expect(arena.broken).toBe(0);
    });
  });
});
