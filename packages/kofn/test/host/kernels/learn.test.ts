/** The kernel `learn` by itself: the formulas of optimizers in single precision, rounding by rounding. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { write } from "../../../src/host/kernel.js";
import { STRUCTURES } from "../../../src/host/wasm.generated.js";
import { Arena, difference, normals } from "./arena.js";

const arena = new Arena();
const f = Math.fround;

const CASE = fc.record({
  seed: fc.nat(),
  /** Numbers: before those that are learned, of these in vectors, and behind them. */
  before: fc.integer({ min: 0, max: 9 }),
  vectors: fc.integer({ min: 0, max: 40 }),
  behind: fc.integer({ min: 0, max: 9 }),
  offset: fc.integer({ min: 0, max: 3 }),
  first: fc.constantFrom(0, 0.5, 0.9),
  second: fc.constantFrom(0, 0.9, 0.999),
  rate: fc.constantFrom(0, 1e-3, 0.1),
  epsilon: fc.constantFrom(1e-8, 1e-3),
  decay: fc.constantFrom(1, 0.99, 0),
  isNesterov: fc.boolean(),
  isFlat: fc.boolean(),
});
type Case = typeof CASE extends fc.Arbitrary<infer T> ? T : never;

/** What numbers and states are before and after a call, with what was written elsewhere. */
function learned(
  { seed, before, vectors, behind, offset, isFlat, ...own }: Case,
  isAdam: boolean,
): { first: Float32Array[]; last: Float32Array[]; gradients: Float32Array; begin: number; broken: number } {
  arena.clear();
  const count = 4 * vectors;
  const all = before + count + behind;
  // Squares are not below 0. A gradient of nothing but zeros leaves moments that decay.
  const first = [
    normals(all, seed, "values"),
    normals(all, seed, "first"),
    normals(all, seed, "second").map((x) => x * x),
  ];
  const arrays = first.map((values) => arena.floats(values, { offset }));
  const gradients = isFlat ? new Float32Array(count) : normals(count, seed, "gradients");
  const g = arena.floats(gradients, { offset });
  const [values, m, v] = arrays.map(({ byteOffset }) => byteOffset);
  const { isNesterov, rate, epsilon, decay } = own;
  const at = arena.take(STRUCTURES.Learner.bytes);
  const structure = write(arena.kernel, "Learner", at, {
    ...{ values, isAdam: Number(isAdam), isNesterov: Number(isNesterov), rate, epsilon, decay },
    ...(isAdam ? { m, v, velocity: 0 } : { m: 0, v: 0, velocity: m }),
    ...{ beta1: own.first, beta2: own.second, momentum: own.first },
  });
  arena.kernel.learn(structure, g.byteOffset, 4 * before, count);
  const last = arrays.map((array) => array.slice());
  return { first, last, gradients, begin: before, broken: arena.broken };
}

function adam(own: Case, [p, m, v]: Float32Array[], gradients: Float32Array, begin: number): void {
  const [beta1, beta2, rate, epsilon] = [own.first, own.second, own.rate, own.epsilon].map(f);
  const tiny = 2 ** -100;
  gradients.forEach((g, j) => {
    const i = begin + j;
    m[i] = f(f(f(f(m[i] * beta1) + tiny) + g) - tiny);
    v[i] = f(f(v[i] * beta2) + f(g * g));
    const change = f(f(m[i] / f(f(Math.sqrt(v[i])) + epsilon)) * rate);
    p[i] = f(f(p[i] * f(own.decay)) - change);
  });
}

function sgd(own: Case, [p, velocity]: Float32Array[], gradients: Float32Array, begin: number): void {
  const [momentum, rate, decay] = [own.first, own.rate, own.decay].map(f);
  gradients.forEach((g, j) => {
    const i = begin + j;
    let direction = g;
    if (momentum > 0) {
      velocity[i] = f(f(velocity[i] * momentum) + g);
      direction = own.isNesterov ? f(g + f(velocity[i] * momentum)) : velocity[i];
    }
    p[i] = f(f(p[i] * decay) - f(direction * rate));
  });
}

describe("learn", () => {
  test.each([
    ["Adam", true, adam],
    ["SGD", false, sgd],
  ] as const)("does what the formula of %s says, and to no other number", (_, isAdam, formula) => {
    fc.assert(
      fc.property(CASE, (own) => {
        const { first, last, gradients, begin, broken } = learned(own, isAdam);
        formula(own, first, gradients, begin);
        for (const [i, expected] of first.entries()) expect(difference(last[i], expected)).toBe(-1);
        expect(broken).toBe(0);
      }),
      { numRuns: 150 },
    );
  });
});
