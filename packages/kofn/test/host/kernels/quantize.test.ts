/** The kernels of quantized weights, one by one: their formulas in double precision, number by number. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Kernel, write } from "../../../src/host/kernel.js";
import { STRUCTURES } from "../../../src/host/wasm.generated.js";
import { roundHalfToEven } from "../../../src/quantize/weights.js";
import { Random } from "../../../src/random.js";
import { Arena, difference, normals } from "./arena.js";

const arena = new Arena();
const f = Math.fround;

const CASE = fc.record({
  seed: fc.nat(),
  lines: fc.integer({ min: 1, max: 9 }),
  length: fc.integer({ min: 1, max: 21 }),
  offset: fc.integer({ min: 0, max: 3 }),
  across: fc.boolean(),
  /** 0 is the sign. */
  most: fc.constantFrom(0, 1, 3, 7, 127),
  limit: fc.constantFrom("most", "none"),
  /** The share of weights that are kept. */
  share: fc.constantFrom(0, 0.4, 1),
});
type Case = typeof CASE extends fc.Arbitrary<infer T> ? T : never;

type Name = "quantize" | "quantizeBackward" | "fitLargest" | "fitMean" | "mask" | "maskBackward";

/** The channel of the number at an index. */
const channelOf = ({ across, length }: Case, i: number): number =>
  across ? i % length : Math.floor(i / length);

/** Arrays before and after a kernel. */
interface Called {
  readonly weight: Float32Array;
  readonly upstream: Float32Array;
  readonly kept: Uint8Array;
  readonly scale: Float32Array;
  readonly most: number;
  readonly limit: number;
  readonly after: {
    readonly gradient: Float32Array;
    readonly quantized: Float32Array;
    readonly scales: Float32Array;
    readonly sums: Float64Array;
  };
  /** Words that were written where they may not, or read-only arrays that have changed. */
  readonly broken: number;
}

/** Ties, zeros of both signs, and magnitudes far off, at scales that are powers of two. */
function hard({ seed, lines, length }: Case): Float32Array {
  const random = new Random(seed, "weight");
  return Float32Array.from({ length: lines * length }, () => {
    const halves = Math.round(6 * random.normal()) / 2;
    const ratios = [halves, 0, -0, 1e5 * halves, 1e-5 * halves, random.normal(), 70 * random.normal()];
    return ratios[random.below(ratios.length)];
  });
}

function called(name: Name, own: Case, isMasked: boolean): Called {
  arena.clear();
  const { seed, lines, length, offset, across, share } = own;
  const size = lines * length;
  const channels = across ? length : lines;
  const random = new Random(seed, "others");
  const kept = Uint8Array.from({ length: size }, () => Number(random.uniform() < share));
  const weight = hard(own);
  const upstream = normals(size, seed, "upstream");
  const scale = Float32Array.from({ length: channels }, () => 2 ** Math.round(3 * random.normal()));
  const limit = own.most === 0 ? 1 : own.limit === "none" ? Infinity : own.most;
  // What is kept is not 0, whatever else it is.
  const keptValues = Float32Array.from(kept, (bit, i) => bit * (i % 3 === 0 ? -2 : 1e-30));
  const arrays = {
    weight: arena.floats(weight, { offset, spill: 3 }),
    gradient: arena.floats(upstream, { offset, spill: name === "maskBackward" ? 3 : 0 }),
    quantized: arena.empty(size, { offset, spill: 3 }),
    scales: arena.floats(scale, { spill: 3 }),
    kept: arena.floats(keptValues, { offset }),
  };
  const sums = new Float64Array(arena.kernel.memory.buffer, arena.take(8 * channels, { spill: 6 }), channels);
  const addresses = Object.fromEntries(
    Object.entries(arrays).map(([key, { byteOffset }]) => [key, byteOffset]),
  ) as Record<keyof typeof arrays, number>;
  const structure = write(arena.kernel, "Quantizer", arena.take(STRUCTURES.Quantizer.bytes), {
    ...{ ...addresses, sums: sums.byteOffset, mask: isMasked ? addresses.kept : 0 },
    ...{ lines, length, across: Number(across), most: own.most, limit },
  });
  const kernel: Pick<Kernel, Name> = arena.kernel;
  kernel[name](structure);
  const changed = [difference(arrays.weight, weight), difference(arrays.kept, keptValues)];
  const after = {
    gradient: arrays.gradient.slice(),
    quantized: arrays.quantized.slice(),
    scales: arrays.scales.slice(),
    sums: sums.slice(),
  };
  const broken = arena.broken + changed.filter((index) => index !== -1).length;
  return { weight, upstream, kept, scale, most: own.most, limit, after, broken };
}

/** The code of a weight, and s times it, if all are kept. */
function quantized({ weight, scale, most }: Called, i: number, channel: number): number {
  if (most === 0) return weight[i] < 0 ? -scale[channel] : scale[channel];
  const ratio = f(weight[i] / scale[channel]);
  return f(scale[channel] * roundHalfToEven(Math.max(-most, Math.min(most, ratio))));
}

function check(cases: fc.Arbitrary<Case>, test: (own: Case) => void): void {
  fc.assert(fc.property(cases, test), { numRuns: 150 });
}

const WITHOUT_MASK = CASE;
const MASKED = CASE.map((own) => ({ ...own, across: false }));

describe.each([
  ["without a mask", WITHOUT_MASK, false],
  ["with a mask", MASKED, true],
] as const)("%s", (_, cases, isMasked) => {
  test("quantize: s clamp(round(w / s)), or s sign(w)", () => {
    check(cases, (own) => {
      const found = called("quantize", own, isMasked);
      const expected = found.weight.map((_w, i) =>
        isMasked && found.kept[i] === 0 ? 0 : quantized(found, i, channelOf(own, i)),
      );
      expect(difference(found.after.quantized, expected)).toBe(-1);
      expect(difference(found.after.gradient, found.upstream)).toBe(-1);
      expect(difference(found.after.scales, found.scale)).toBe(-1);
      expect(found.broken).toBe(0);
    });
  });

  test("quantizeBackward: straight through where |w / s| is within the limit, with sums over channels", () => {
    check(cases, (own) => {
      const found = called("quantizeBackward", own, isMasked);
      const { weight, upstream, kept, scale, most, limit, after } = found;
      const sums = new Float64Array(scale.length);
      const sizes = new Float64Array(scale.length);
      const gradient = upstream.map((u, i) => {
        const channel = channelOf(own, i);
        const g = isMasked && kept[i] === 0 ? 0 : u;
        const ratio = f(weight[i] / scale[channel]);
        const sign = weight[i] < 0 ? -1 : 1;
        const isPassed = most === 0 ? Math.abs(weight[i]) <= limit : Math.abs(ratio) <= limit;
        const code = roundHalfToEven(Math.max(-most, Math.min(most, ratio)));
        const factor = most === 0 ? sign : isPassed ? f(code - ratio) : code;
        sums[channel] += f(g * factor);
        sizes[channel] += Math.abs(g * factor);
        return isPassed ? f((most === 0 ? scale[channel] : 1) * g) : 0;
      });
      // -0 passes as well.
      expect(
        difference(
          after.gradient.map((x) => x + 0),
          gradient.map((x) => x + 0),
        ),
      ).toBe(-1);
      for (const [i, sum] of sums.entries()) {
        expect(Math.abs(after.sums[i] - sum)).toBeLessThanOrEqual(1e-13 * sizes[i]);
      }
      if (isMasked) {
        const ofMask = upstream.map((u, i) => u * quantized(found, i, channelOf(own, i)));
        expect(difference(after.quantized, ofMask)).toBe(-1);
      }
      expect(found.broken).toBe(0);
    });
  });
});

describe("scales of kept weights", () => {
  test.each(["fitLargest", "fitMean"] as const)("%s", (name) => {
    check(
      CASE.filter(({ most }) => most > 0),
      (own) => {
        const found = called(name, own, false);
        const { weight, kept, scale, most } = found;
        const magnitudes = Array.from(scale, (): number[] => []);
        weight.forEach((w, i) => kept[i] === 1 && magnitudes[channelOf(own, i)].push(Math.abs(w)));
        for (const [channel, all] of magnitudes.entries()) {
          const mean = all.reduce((sum, x) => sum + x, 0) / Math.max(1, all.length);
          const expected = name === "fitMean" ? mean : f(Math.max(0, ...all) / most);
          const actual = found.after.scales[channel];
          expect(Math.abs(actual - Math.max(f(1e-8), expected))).toBeLessThanOrEqual(
            name === "fitMean" ? 6e-8 * actual : 0,
          );
        }
        expect(difference(found.after.gradient, found.upstream)).toBe(-1);
        expect(found.broken).toBe(0);
      },
    );
  });
});

describe("weights that are masked alone", () => {
  test("mask: w where it is kept, else 0", () => {
    check(MASKED, (own) => {
      const found = called("mask", own, true);
      const expected = found.weight.map((w, i) => (found.kept[i] === 1 ? w : 0));
      expect(difference(found.after.quantized, expected)).toBe(-1);
      expect(found.broken).toBe(0);
    });
  });

  test("maskBackward: dL/dw = dL/dw~ where it is kept, else 0, and dL/dM = dL/dw~ w", () => {
    check(MASKED, (own) => {
      const found = called("maskBackward", own, true);
      const { weight, upstream, kept, after } = found;
      expect(
        difference(
          after.quantized,
          upstream.map((g, i) => g * weight[i]),
        ),
      ).toBe(-1);
      expect(
        difference(
          after.gradient,
          upstream.map((g, i) => (kept[i] === 1 ? g : 0)),
        ),
      ).toBe(-1);
      expect(found.broken).toBe(0);
    });
  });
});
