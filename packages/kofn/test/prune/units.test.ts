/** Units against weights: for random layers, masks round-trip and hold exactly k, through loops and through tensors alike. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { KofnError } from "../../src/errors.js";
import type { PrunableLayer } from "../../src/layers/types.js";
import { sizeOf } from "../../src/onnx/tensor.js";
import {
  arrangement,
  carriersOf,
  countPerGroup,
  keptWeights,
  maskOfUnits,
  unitsOfMagnitude,
} from "../../src/prune/units.js";
import { resolvePrune } from "../../src/prune/spec.js";
import type { PrunedLayer, PruneRule } from "../../src/prune/types.js";
import { Random } from "../../src/random.js";

const divisors = (n: number): number[] =>
  Array.from({ length: n }, (_, i) => i + 1).filter((d) => n % d === 0);

const LAST: PrunableLayer = { name: "last", weight: "last.weight", dims: [3, 3], transposed: false };

function pruned(dims: number[], transposed: boolean, rule: PruneRule): PrunedLayer {
  const layer = { name: "it", weight: "it.weight", bias: "it.bias", dims, transposed };
  return resolvePrune([layer, LAST], { it: rule })[0];
}

/** Random pruned layers of every granularity, convolutions of one to three dimensions and matrices in both layouts. */
const anyLayer: fc.Arbitrary<PrunedLayer> = fc
  .record({
    outputs: fc.integer({ min: 1, max: 12 }),
    inputs: fc.integer({ min: 1, max: 8 }),
    kernel: fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 3 }),
    transposed: fc.boolean(),
    kind: fc.constantFrom("weights", "per kernel", "tile", "kernels", "maps"),
    shareIndex: fc.nat(),
    tileIndex: fc.nat(),
    keep: fc.double({ min: 0.01, max: 1, noNaN: true }),
  })
  .map(({ outputs, inputs, kernel, transposed, kind, shareIndex, tileIndex, keep }) => {
    const matrix = kernel.length === 0;
    const dims = matrix && transposed ? [inputs, outputs] : [outputs, inputs, ...kernel];
    const shares = divisors(outputs);
    const share = shares[shareIndex % shares.length];
    const tiles = divisors(inputs * sizeOf(kernel));
    const tile = tiles[tileIndex % tiles.length];
    const rule = ((): PruneRule => {
      if (kind === "maps") return { granularity: "maps", amount: { keep } };
      if (kind === "tile") {
        const k = Math.max(1, Math.round(keep * tile));
        return { granularity: "weights", amount: { tile: [k, tile] }, share };
      }
      if (matrix || kind === "weights") return { granularity: "weights", amount: { keep }, share };
      if (kind === "per kernel") return { granularity: "weights", amount: { keep }, per: "kernel", share };
      return { granularity: "kernels", amount: { keep }, share };
    })();
    return pruned(dims, matrix && transposed, rule);
  });

/** Exactly k random units of each group. */
function randomUnits(layer: PrunedLayer, seed: number): Uint8Array {
  const units = new Uint8Array(layer.groups * layer.n);
  for (let group = 0; group < layer.groups; group++) {
    const order = new Random(seed, "units", group).permutation(layer.n);
    for (let i = 0; i < layer.k; i++) units[group * layer.n + order[i]] = 1;
  }
  return units;
}

/** Row-major strides of a shape, 0 along the dimensions of size 1, so that they broadcast. */
function broadcastStrides(dims: readonly number[]): number[] {
  return dims.map((dim, axis) => (dim === 1 ? 0 : sizeOf(dims.slice(axis + 1))));
}

/** ONNX Expand or broadcasting: the array of shape `from`, as shape `to`. */
function broadcast(values: Uint8Array, from: readonly number[], to: readonly number[]): Uint8Array {
  const strides = broadcastStrides(from);
  return Uint8Array.from({ length: sizeOf(to) }, (_, flat) => {
    let index = 0;
    for (let axis = to.length - 1; axis >= 0; axis--) {
      index += (flat % to[axis]) * strides[axis];
      flat = Math.floor(flat / to[axis]);
    }
    return values[index];
  });
}

/** The mask by the steps that a graph would take. */
function maskByTensors(layer: PrunedLayer, units: Uint8Array): Uint8Array {
  const { unitDims, expandDims, maskDims, perm } = arrangement(layer);
  expect(sizeOf(unitDims)).toBe(units.length);
  let values = units;
  if (expandDims !== undefined) values = broadcast(values, unitDims, expandDims);
  else expect(maskDims).toEqual(unitDims);
  expect(sizeOf(maskDims)).toBe(values.length);
  let dims = maskDims;
  if (perm !== undefined) {
    expect(perm).toEqual([1, 0]);
    const [rows, columns] = dims;
    const source = values;
    values = source.map((_, i) => source[(i % rows) * columns + Math.floor(i / rows)]);
    dims = [columns, rows];
  }
  return broadcast(values, dims, layer.dims);
}

describe("for random layers", () => {
  test("a mask of exactly k units per group keeps exactly k per group, and keptWeights weights", () => {
    fc.assert(
      fc.property(anyLayer, fc.nat(), (layer, seed) => {
        const mask = maskOfUnits(layer, randomUnits(layer, seed));
        expect(countPerGroup(layer, mask)).toEqual(new Uint32Array(layer.groups).fill(layer.k));
        expect(mask.reduce((sum, value) => sum + value, 0)).toBe(keptWeights(layer));
      }),
      { numRuns: 300 },
    );
  });

  test("the arrangement of a graph gives the same mask", () => {
    fc.assert(
      fc.property(anyLayer, fc.nat(), (layer, seed) => {
        fc.pre(layer.granularity !== "maps");
        const units = randomUnits(layer, seed);
        expect(maskByTensors(layer, units)).toEqual(maskOfUnits(layer, units));
      }),
      { numRuns: 300 },
    );
  });

  test("magnitudes are summed over the weights of a unit", () => {
    fc.assert(
      fc.property(anyLayer, fc.nat(), (layer, seed) => {
        const random = new Random(seed, "weights");
        const weight = Float32Array.from({ length: sizeOf(layer.dims) }, () => random.below(9) - 4);
        const sums = unitsOfMagnitude(layer, weight);
        const units = randomUnits(layer, seed);
        const mask = maskOfUnits(layer, units);
        const masked = weight.reduce((sum, value, i) => sum + Math.abs(value) * mask[i], 0);
        expect(sums.reduce((sum, value, i) => sum + value * units[i], 0)).toBe(masked);
      }),
      { numRuns: 300 },
    );
  });
});

test("where the units of a small layer lie", () => {
  const units = Uint8Array.of(1, 0, 0, 1);
  const conv = [2, 2, 1, 2];
  const keep2 = { k: 1 };
  expect([...maskOfUnits(pruned(conv, false, { granularity: "kernels", amount: keep2 }), units)]).toEqual([
    1, 1, 0, 0, 0, 0, 1, 1,
  ]);
  const shared = pruned(conv, false, { granularity: "weights", amount: { tile: [1, 2] }, share: 2 });
  expect([...maskOfUnits(shared, units)]).toEqual([1, 0, 0, 1, 1, 0, 0, 1]);
  const maps = pruned([2, 4], true, { granularity: "maps", amount: { k: 2 } });
  expect([...maskOfUnits(maps, units)]).toEqual([1, 0, 0, 1, 1, 0, 0, 1]);
  const matrix = pruned([2, 2], true, { granularity: "weights", amount: keep2 });
  expect([...maskOfUnits(matrix, Uint8Array.of(1, 0, 1, 0))]).toEqual([1, 1, 0, 0]);
});

test("only maps go on more than the weight, and on a bias where there is one", () => {
  const maps = pruned([4, 2], false, { granularity: "maps", amount: { k: 2 } });
  const parameters = (layer: PrunedLayer): string[] => carriersOf(layer).map(({ parameter }) => parameter);
  expect(parameters(maps)).toEqual(["it.weight", "it.bias"]);
  expect(parameters(pruned([4, 2], false, { granularity: "weights", amount: { k: 2 } }))).toEqual([]);
  const { bias, ...unbiased } = maps;
  expect(bias).toBe("it.bias");
  expect(parameters(unbiased)).toEqual(["it.weight"]);
});

describe("errors", () => {
  const layer = pruned([4, 2, 1, 2], false, { granularity: "kernels", amount: { k: 1 }, share: 2 });

  test("a unit that is torn", () => {
    const mask = maskOfUnits(layer, Uint8Array.of(1, 0, 0, 1));
    mask[4] = 0;
    expect(() => countPerGroup(layer, mask)).toThrowErrorMatchingInlineSnapshot(
      `[KofnError: mask of "it.weight": unit 0 of group 0 (granularity kernels, share 2) is kept in part; a unit is kept or removed as a whole.]`,
    );
  });

  test("values other than 0 and 1", () => {
    const mask = new Uint8Array(16);
    mask[3] = 2;
    expect(() => countPerGroup(layer, mask)).toThrowErrorMatchingInlineSnapshot(
      `[KofnError: mask of "it.weight": expected 0 or 1 everywhere, got 2 at index 3.]`,
    );
  });

  test("wrong lengths", () => {
    expect(() => countPerGroup(layer, new Uint8Array(15))).toThrowErrorMatchingInlineSnapshot(
      `[KofnError: layer "it" has 16 mask values, got 15.]`,
    );
    expect(() => maskOfUnits(layer, new Uint8Array(16))).toThrowErrorMatchingInlineSnapshot(
      `[KofnError: layer "it" has 4 units, got 16.]`,
    );
    expect(() => unitsOfMagnitude(layer, new Float32Array(4))).toThrow(KofnError);
  });
});
