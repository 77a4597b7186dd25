/** Codecs of floats, positions and symbols: round trips, and what they take against what is possible. */

import { POSITION_CODECS } from "@kofn/format/file/fields.js";
import { countsOf } from "@kofn/format/file/units.js";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { log2Choose } from "../../src/metrics/size.js";
import { fromHalf, toHalf } from "../../src/pack/float16.js";
import { decodePositions, encodePositions, positionBytes } from "../../src/pack/positions.js";
import { decodeSymbols, encodeSymbols } from "../../src/pack/symbols.js";
import { decodeCodes, decodeFloats, encodeCodes, encodeFloats } from "../../src/pack/values.js";
import { Random } from "../../src/random.js";

/** Units of `groups` groups of n; k of each are kept. */
function exactly(groups: number, n: number, k: number, seed = 1): Uint8Array {
  const random = new Random(seed, "units");
  const units = new Uint8Array(groups * n);
  for (let group = 0; group < groups; group++) {
    for (let left = k; left > 0;) {
      const at = group * n + random.below(n);
      if (units[at] === 1) continue;
      units[at] = 1;
      left--;
    }
  }
  return units;
}

describe("halves", () => {
  test("all come back through the float that they are", () => {
    const halves = Array.from({ length: 2 ** 16 }, (_, half) => half).filter(
      (half) => !Number.isNaN(fromHalf(half)),
    );
    expect(halves).toHaveLength(2 ** 16 - 2 * 1023);
    expect(halves.map((half) => toHalf(fromHalf(half)))).toEqual(halves);
    expect(fromHalf(toHalf(NaN))).toBeNaN();
  });

  test("are the nearest, ties to even, and infinite beyond", () => {
    const cases = [
      [1 + 2 ** -11, 1],
      [1 + 3 * 2 ** -11, 1 + 2 ** -9],
      [65519, 65504],
      [65520, Infinity],
      [-1e9, -Infinity],
      [2 ** -25, 0],
      [2 ** -25 + 2 ** -40, 2 ** -24],
      [3 * 2 ** -26, 2 ** -24],
      [2 ** -14 - 2 ** -26, 2 ** -14],
    ];
    for (const [value, nearest] of cases) expect(fromHalf(toHalf(value))).toBe(nearest);
    expect(Object.is(fromHalf(toHalf(-0)), -0)).toBe(true);
  });

  test("are never further from a float than half a step", () => {
    fc.assert(
      fc.property(fc.float({ noNaN: true, min: -65504, max: 65504 }), (value) => {
        const half = toHalf(value);
        const distance = Math.abs(fromHalf(half) - value);
        for (const other of [half - 1, half + 1]) {
          if ((other & 0x7fff) >= 0x7c00 || other < 0) continue;
          expect(distance).toBeLessThanOrEqual(Math.abs(fromHalf(other) - value));
        }
      }),
    );
  });
});

describe("positions", () => {
  const masks = fc
    .record({
      groups: fc.integer({ min: 1, max: 8 }),
      n: fc.integer({ min: 1, max: 70 }),
      seed: fc.nat(),
      density: fc.double({ min: 0, max: 1, noNaN: true }),
    })
    .map(({ groups, n, seed, density }) => {
      const random = new Random(seed, "density");
      return {
        groups,
        units: Uint8Array.from({ length: groups * n }, () => (random.uniform() < density ? 1 : 0)),
      };
    });

  test.each(POSITION_CODECS)("come back as %s, whatever each group keeps", (codec) => {
    fc.assert(
      fc.property(masks, ({ groups, units }) => {
        const counts = countsOf(units, groups);
        const encoded = encodePositions(units, counts, codec);
        expect(encoded.codec).toBe(codec);
        const back = new Uint8Array(units.length);
        expect(decodePositions(encoded, counts, back)).toBeUndefined();
        expect(back).toEqual(units);
        if (codec !== "range")
          expect(encoded.bytes).toHaveLength(positionBytes(codec, units.length / groups, counts));
      }),
    );
  });

  test("take the codec with the fewest bytes", () => {
    fc.assert(
      fc.property(masks, ({ groups, units }) => {
        const counts = countsOf(units, groups);
        const lengths = POSITION_CODECS.map((codec) => encodePositions(units, counts, codec).bytes.length);
        expect(encodePositions(units, counts, "auto").bytes).toHaveLength(Math.min(...lengths));
      }),
    );
  });

  test.each([
    [300, 784, 40],
    [100, 300, 30],
    [50, 500, 50],
    [500, 800, 32],
    [10, 500, 100],
    [4096, 4, 2],
    [2000, 9, 3],
    [3, 100_000, 1000],
  ])("of %i groups of %i units of which %i are kept come close to log2 C(n, k)", (groups, n, k) => {
    const units = exactly(groups, n, k);
    const { bytes } = encodePositions(units, countsOf(units, groups), "range");
    const limit = (groups * log2Choose(n, k)) / 8;
    expect(bytes.length).toBeLessThan(1.01 * limit);
    expect(bytes.length).toBeGreaterThan(0.97 * limit);
  });

  test("take no bytes where there is no choice", () => {
    for (const k of [0, 5]) {
      const units = exactly(7, 5, k);
      expect(encodePositions(units, countsOf(units, 7), "auto").bytes).toHaveLength(0);
    }
  });

  test("carry through runs of bytes of 255", () => {
    // Nearly certain choices keep `low` just below a carry for long.
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2999 }), fc.integer({ min: 0, max: 2999 }), (first, second) => {
        const units = new Uint8Array(6000).fill(1);
        units[first] = 0;
        units[3000 + second] = 0;
        const counts = Uint32Array.of(2999, 2999);
        const back = new Uint8Array(6000);
        expect(decodePositions(encodePositions(units, counts, "range"), counts, back)).toBeUndefined();
        expect(Buffer.compare(back, units)).toBe(0);
      }),
    );
  });

  test("say what is wrong with them", () => {
    const counts = Uint32Array.of(2);
    const decode = (codec: (typeof POSITION_CODECS)[number], ...bytes: number[]): string | undefined =>
      decodePositions({ codec, bytes: Uint8Array.from(bytes) }, counts, new Uint8Array(4));
    expect(decode("bitmap", 0b0111)).toBe("group 0 keeps 3 units where 2 are expected");
    expect(decode("bitmap", 0b1_0011)).toBe("bits behind the bitmap are not 0");
    expect(decode("indices", 0b01_11)).toBe("the indices of group 0 do not ascend below 4");
    expect(decode("range", 1, 2, 3, 4, 5, 6)).toMatch(/bytes are left over/);
  });

  test("of any bytes keep as many as they should, or say that they can't", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.integer({ min: 0, max: 30 }), (bytes, k) => {
        const units = new Uint8Array(60);
        const counts = Uint32Array.of(k, 30 - k);
        const problem = decodePositions({ codec: "range", bytes }, counts, units);
        if (problem === undefined) expect(countsOf(units, 2)).toEqual(counts);
      }),
    );
  });
});

describe("symbols", () => {
  test("come back", () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.nat(255), fc.constantFrom(3, 4, 250)), { minLength: 1 }), (values) => {
        const symbols = Uint8Array.from(values);
        expect(decodeSymbols(encodeSymbols(symbols), symbols.length, "test")).toEqual(symbols);
      }),
    );
  });

  test("of all kinds, one of which is rare, come back", () => {
    const symbols = Uint8Array.from({ length: 300_000 }, (_, i) => (i < 256 ? i : i % 7));
    expect(Buffer.compare(decodeSymbols(encodeSymbols(symbols), symbols.length, "test"), symbols)).toBe(0);
  });

  test("take their entropy, and a table", () => {
    const random = new Random(1, "symbols");
    const symbols = Uint8Array.from({ length: 20_000 }, () =>
      Math.floor(8 + 2 * (random.uniform() + random.uniform() + random.uniform() - 1.5)),
    );
    const counts = new Map<number, number>();
    for (const symbol of symbols) counts.set(symbol, (counts.get(symbol) ?? 0) + 1);
    const entropy = [...counts.values()].reduce(
      (sum, count) => sum - count * Math.log2(count / symbols.length),
      0,
    );
    expect(encodeSymbols(symbols).length).toBeLessThan(1.005 * (entropy / 8) + 20);
  });

  test("of damaged bytes are an error, or as many symbols as asked for", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        try {
          expect(decodeSymbols(bytes, 30, "test")).toHaveLength(30);
        } catch (error) {
          expect(String(error)).toMatch(/InputError|KofnError/);
        }
      }),
    );
  });
});

describe("values", () => {
  test("floats keep every bit, plain and range coded", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(2 ** 32 - 1)), fc.boolean(), (bits, entropy) => {
        const floats = new Float32Array(Uint32Array.from(bits).buffer);
        const stored = encodeFloats(floats, "float32", entropy);
        const back = decodeFloats(stored, floats.length, "float32", "test");
        expect(new Uint32Array(back.buffer)).toEqual(Uint32Array.from(bits));
      }),
    );
  });

  test("floats of like size are smaller range coded", () => {
    const random = new Random(1, "floats");
    const floats = Float32Array.from({ length: 2000 }, () => (random.uniform() - 0.5) / 8);
    for (const format of ["float32", "float16"] as const) {
      const [plain, coded] = [false, true].map((entropy) => encodeFloats(floats, format, entropy));
      expect(coded.isCoded).toBe(true);
      expect(coded.bytes.length).toBeLessThan(plain.bytes.length - 500);
      expect(decodeFloats(coded, 2000, format, "test")).toEqual(decodeFloats(plain, 2000, format, "test"));
    }
  });

  test("codes come back in 1 to 8 bits", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 8 }),
        fc.array(fc.nat()),
        fc.boolean(),
        (bits, numbers, entropy) => {
          const codes = Int8Array.from(numbers, (value) =>
            bits === 1 ? 2 * (value % 2) - 1 : (value % (2 ** bits - 1)) - (2 ** (bits - 1) - 1),
          );
          const stored = encodeCodes(codes, bits, entropy);
          if (!stored.isCoded) expect(stored.bytes).toHaveLength(Math.ceil((codes.length * bits) / 8));
          expect(decodeCodes(stored, codes.length, bits, "test")).toEqual(codes);
        },
      ),
    );
  });
});
