/** Where the units of masks lie in weights: against the definition of docs/format.md, weight by weight. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  canonicalDims,
  countsOf,
  forEachUnit,
  forEachWeight,
  gather,
  keptIndices,
  scatter,
  spanOf,
  type UnitLayout,
  type PackedMask,
  packedMask,
  unitMatrix,
  weightMask,
  weightMatrix,
} from "../../src/file/units.js";
import { GRANULARITIES } from "../../src/run/words.js";

interface Case {
  readonly dims: readonly number[];
  readonly layout: UnitLayout;
  readonly units: Uint8Array;
}

const small = (most: number): fc.Arbitrary<number> => fc.integer({ min: 1, max: most });

/** A weight of [blocks * share, inputs, ...kernel], or transposed, with a mask of units. */
const cases: fc.Arbitrary<Case> = fc
  .record({
    blocks: small(4),
    share: small(3),
    inputs: small(6),
    kernel: fc.array(small(3), { maxLength: 2 }),
    transposed: fc.boolean(),
    span: fc.constantFrom("weights", "kernels", "rows"),
    groups: fc.constantFrom("mask", "row", "unit"),
    bits: fc.infiniteStream(fc.boolean()),
  })
  .map(({ blocks, share, inputs, kernel, transposed, span: spanned, groups, bits }) => {
    const rows = blocks * share;
    const dims = transposed ? [inputs, rows] : [rows, inputs, ...kernel];
    const size = transposed ? 1 : kernel.reduce((product, dim) => product * dim, 1);
    const span = { weights: 1, kernels: size, rows: inputs * size }[spanned];
    const columns = (inputs * size) / span;
    const n = { mask: blocks * columns, row: columns, unit: 1 }[groups];
    const units = Uint8Array.from({ length: blocks * columns }, () => (bits.next().value === true ? 1 : 0));
    return { dims, layout: { transposed, span, share, n }, units };
  });

/** The unit and the place in the stored weight of each weight, row by row of the matrix. */
function definition({ dims, layout: { transposed, span, share } }: Case): { index: number; unit: number }[] {
  const [rows, inputs, kernel] = canonicalDims({ dims, transposed });
  const fanIn = inputs * kernel;
  return Array.from({ length: rows * fanIn }, (_, i) => {
    const [row, column] = [Math.floor(i / fanIn), i % fanIn];
    return {
      index: transposed ? column * rows + row : i,
      unit: Math.floor(row / share) * (fanIn / span) + Math.floor(column / span),
    };
  });
}

function maskOf({ dims, layout, units }: Case): PackedMask {
  return { layout, units, counts: countsOf(units, unitMatrix(layout, dims)?.groups ?? 0) };
}

test("dimensions are [out, in, kernel] however a weight is stored", () => {
  expect(canonicalDims({ dims: [8, 4, 3, 5], transposed: false })).toEqual([8, 4, 15]);
  expect(canonicalDims({ dims: [8, 4], transposed: false })).toEqual([8, 4, 1]);
  expect(canonicalDims({ dims: [4, 8], transposed: true })).toEqual([8, 4, 1]);
});

test("a unit is a weight, a kernel or all that makes a map", () => {
  const spans = (dims: number[], transposed = false): number[] =>
    GRANULARITIES.map((granularity) => spanOf(granularity, { dims, transposed }));
  expect(GRANULARITIES).toEqual(["weights", "kernels", "maps"]);
  expect(spans([8, 4, 3, 5])).toEqual([1, 15, 60]);
  expect(spans([8, 4])).toEqual([1, 1, 4]);
  expect(spans([4, 8], true)).toEqual([1, 1, 4]);
});

describe("a traversal", () => {
  test("comes to every weight once, row by row, with its unit", () => {
    fc.assert(
      fc.property(cases, (one) => {
        const { dims, layout } = one;
        const visited: { index: number; unit: number }[] = [];
        forEachWeight({ ...layout, dims }, (index, unit) => visited.push({ index, unit }));
        expect(visited).toEqual(definition(one));
        const { rows, fanIn, down, right } = weightMatrix({ ...layout, dims });
        const places: number[] = [];
        forEachUnit({ ...layout, dims }, (row, column) => places.push(row * down + column * right));
        expect(places).toEqual(visited.filter((_, i) => i % layout.span === 0).map(({ index }) => index));
        expect(rows * fanIn).toBe(visited.length);
      }),
    );
  });

  test("takes the units of rows from a list where rows do not have them in order", () => {
    const units: number[] = [];
    const unitOfRow = Int32Array.of(2, 0, 2);
    forEachUnit({ dims: [3, 4], transposed: false, span: 4, share: 1, unitOfRow }, (_, __, unit) =>
      units.push(unit),
    );
    expect(units).toEqual([2, 0, 2]);
  });
});

describe("a mask", () => {
  test("keeps the weights of its units", () => {
    fc.assert(
      fc.property(cases, (one) => {
        const { dims, units } = one;
        const mask = maskOf(one);
        const kept = definition(one).filter(({ unit }) => units[unit] === 1);
        const indices = keptIndices(mask, dims);
        expect([...indices]).toEqual(kept.map(({ index }) => index));
        const size = dims.reduce((product, dim) => product * dim, 1);
        const values = Uint32Array.from({ length: size }, (_, i) => i + 1);
        const bits = weightMask(mask, dims);
        expect([...bits].map((bit, i) => bit * values[i])).toEqual([
          ...scatter(gather(values, indices), indices, size),
        ]);
        expect(packedMask(bits, dims, mask.layout)).toEqual(mask);
      }),
    );
  });

  test("is none if a unit is kept in part", () => {
    const layout = { transposed: false, span: 9, share: 1, n: 2 };
    const weights = new Uint8Array(2 * 2 * 9).fill(1, 0, 9);
    expect(packedMask(weights, [2, 2, 3, 3], layout)?.units).toEqual(Uint8Array.of(1, 0, 0, 0));
    weights[5] = 0;
    expect(packedMask(weights, [2, 2, 3, 3], layout)).toBeUndefined();
  });

  test.each([
    ["span", { span: 5 }],
    ["share", { share: 3 }],
    ["n", { n: 7 }],
    ["a span of nothing", { span: 0 }],
    ["a transposed convolution", { transposed: true }],
  ])("is none where its layout does not fit: %s", (_, wrong) => {
    const [layout, dims] = [{ transposed: false, span: 9, share: 2, n: 4 }, [4, 2, 3, 3]];
    const matrix = { rows: 4, fanIn: 18, down: 18, right: 1, columns: 2, units: 4, groups: 1 };
    expect(unitMatrix(layout, dims)).toEqual(matrix);
    expect(unitMatrix({ ...layout, ...wrong }, dims)).toBeUndefined();
  });
});
