/** Names and numbers in C: identifiers, and constants that have their value exactly. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { identifier, Identifiers } from "../../src/hardware/c/names.js";
import { floatLiteral, intLiteral, table } from "../../src/hardware/c/tables.js";

describe("identifiers", () => {
  test.each([
    ["lenet-300-100", "lenet_300_100"],
    ["/l/l.0/c1", "n_l_l_0_c1"],
    ["0", "n0"],
    ["_x", "n_x"],
    ["größe", "gr__e"],
    ["", "n"],
  ])("%s is %s", (name, expected) => {
    expect(identifier(name)).toBe(expected);
  });

  test("are valid and different, whatever the names", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "binary" })), (names) => {
        const identifiers = new Identifiers();
        const taken = names.map((name) => identifiers.take(name));
        for (const one of taken) expect(one).toMatch(/^[A-Za-z][A-Za-z0-9_]*$/);
        expect(new Set(taken.map((one) => one.toLowerCase())).size).toBe(names.length);
      }),
    );
    const identifiers = new Identifiers();
    expect(["a.b", "a_b", "A-b", "a_b_2"].map((name) => identifiers.take(name))).toEqual([
      "a_b",
      "a_b_2",
      "A_b_3",
      "a_b_2_2",
    ]);
  });
});

describe("constants", () => {
  test("of floats are exact and end in f", () => {
    fc.assert(
      fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const text = floatLiteral(value);
        expect(text).toMatch(/^-?\d+(\.\d+)?(e[+-]\d+)?f$/);
        expect(text).toMatch(/[.e]/);
        expect(Object.is(Math.fround(Number(text.slice(0, -1))), value)).toBe(true);
      }),
    );
    expect([1, 0.1, -0, 1e-40, 16777216].map((value) => floatLiteral(Math.fround(value)))).toEqual([
      "1.0f",
      "0.1f",
      "-0.0f",
      "1e-40f",
      "16777216.0f",
    ]);
    expect(() => floatLiteral(NaN)).toThrow("NaN is no finite float32 number");
  });

  test("in tables have lines of at most 120 characters", () => {
    const text = table(
      "float",
      "x",
      Float32Array.from({ length: 200 }, (_, i) => Math.sin(i)),
    );
    expect(Math.max(...text.split("\n").map(({ length }) => length))).toBeLessThanOrEqual(120);
    expect(table("int32_t", "none", [])).toBe("static const int32_t none[1] = {\n    0,\n};");
    expect(intLiteral(-(2 ** 31))).toBe("(-2147483647 - 1)");
  });
});
