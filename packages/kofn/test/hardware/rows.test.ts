/** Packed weights: what is packed comes back, in whichever form. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  allOf,
  balancedOf,
  bytesOf,
  filledUp,
  forEachKept,
  indexBits,
  longestRow,
  type Matrix,
  raggedOf,
  type Rows,
  smallestOf,
} from "../../src/hardware/rows.js";

/** A matrix with a random mask; no kept weight is 0. */
const matrices = fc
  .record({
    rows: fc.integer({ min: 1, max: 6 }),
    fanIn: fc.integer({ min: 1, max: 30 }),
    floats: fc.boolean(),
  })
  .chain(({ rows, fanIn, floats }) =>
    fc.array(fc.boolean(), { minLength: rows * fanIn, maxLength: rows * fanIn }).map((kept): Matrix => {
      const numbers = kept.map((one, i) => (one ? (i % 100) + 1 : 0));
      const values = floats ? Float32Array.from(numbers) : Int8Array.from(numbers);
      return { rows, fanIn, values, mask: Uint8Array.from(kept, Number) };
    }),
  );

function unpacked(rows: Rows): number[] {
  const values = new Array<number>(rows.rows * rows.fanIn).fill(0);
  const seen: number[] = [];
  for (let row = 0; row < rows.rows; row++) {
    let last = -1;
    let count = 0;
    forEachKept(rows, row, (position, at) => {
      expect(position).toBeGreaterThan(last);
      last = position;
      count++;
      seen.push(at);
      values[row * rows.fanIn + position] = rows.values[at];
    });
    expect(count).toBeLessThanOrEqual(longestRow(rows));
  }
  expect(seen).toEqual(Array.from(rows.values, (_, i) => i));
  return values;
}

describe("packed rows", () => {
  test("of any mask come back", () => {
    fc.assert(
      fc.property(matrices, (matrix) => {
        for (const rows of [allOf(matrix), raggedOf(matrix), filledUp(matrix), smallestOf(matrix, [])]) {
          expect(unpacked(rows)).toEqual([...matrix.values]);
        }
      }),
    );
  });

  test("balanced come back for every layout, and are refused where a unit is kept in part or a group has more", () => {
    const layouts = fc.record({
      n: fc.integer({ min: 1, max: 6 }),
      span: fc.integer({ min: 1, max: 4 }),
      share: fc.integer({ min: 1, max: 3 }),
      groups: fc.integer({ min: 1, max: 4 }),
      blocks: fc.integer({ min: 1, max: 3 }),
      k: fc.nat(6),
      flip: fc.nat(),
      seed: fc.nat(),
    });
    fc.assert(
      fc.property(layouts, ({ n, span, share, groups, blocks, k: most, flip, seed }) => {
        const k = Math.min(most, n);
        const fanIn = n * span * groups;
        const rows = blocks * share;
        const mask = new Uint8Array(rows * fanIn);
        for (let row = 0; row < rows; row++) {
          for (let group = 0; group < groups; group++) {
            for (let j = 0; j < k; j++) {
              const unit = (j + seed + Math.floor(row / share) * 7 + group) % n;
              mask.fill(
                1,
                row * fanIn + (group * n + unit) * span,
                row * fanIn + (group * n + unit + 1) * span,
              );
            }
          }
        }
        const values = Int8Array.from(mask, (bit, i) => bit * ((i % 100) + 1));
        const packed = balancedOf({ rows, fanIn, values, mask }, { n, span, share });
        expect(packed?.places).toMatchObject({ kind: "balanced", k, n, span, share });
        expect(packed?.places.kind === "balanced" && packed.places.indices.length).toBe(blocks * groups * k);
        if (packed !== undefined) expect(unpacked(packed)).toEqual([...values]);
        const at = flip % mask.length;
        mask[at] = 1 - mask[at];
        const isWhole = rows === 1 && groups === 1 && span === 1;
        const broken = balancedOf({ rows, fanIn, values, mask }, { n, span, share });
        expect(broken === undefined).toBe(!isWhole);
      }),
    );
  });

  test("are stored in the form that takes the fewest bytes", () => {
    fc.assert(
      fc.property(matrices, (matrix) => {
        const size = (rows: Rows): number => bytesOf(rows).values + bytesOf(rows).indices;
        const smallest = size(smallestOf(matrix, [{ n: matrix.fanIn, span: 1, share: 1 }]));
        expect(smallest).toBeLessThanOrEqual(Math.min(size(allOf(matrix)), size(raggedOf(matrix))));
      }),
    );
    expect([1, 256, 257, 65536, 65537].map(indexBits)).toEqual([8, 8, 16, 16, 32]);
  });
});
