import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  epochOrder,
  fillBatch,
  type Geometry,
  pixelTable,
  sequentialOrder,
  stepsPerEpoch,
} from "../../src/data/batches.js";
import type { Split } from "../../src/data/types.js";

function someSplit(count: number, { channels, height, width }: Geometry): Split {
  const images = new Uint8Array(count * channels * height * width).map((_, i) => (i * 37 + (i >> 3)) % 256);
  return { count, images, labels: Uint16Array.from({ length: count }, (_, i) => (i * 7) % 1000) };
}

describe("fillBatch", () => {
  test("writes the images of the order, divided by 255 or normalised per channel", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 8 }),
        fc.nat(30),
        fc.boolean(),
        (channels, height, width, count, batch, start, normalised) => {
          const geometry = { channels, height, width };
          const split = someSplit(count, geometry);
          const order = epochOrder(count, 5, start);
          const size = channels * height * width;
          const pixels = new Float32Array(batch * size).fill(-1);
          const labels = new BigInt64Array(batch).fill(-1n);
          const mean = [0.1, 0.2, 0.3].slice(0, channels);
          const std = [0.5, 0.25, 2].slice(0, channels);
          const table = normalised ? pixelTable(channels, { mean, std }) : undefined;
          const filled = fillBatch(split, geometry, order, start, pixels, labels, table);
          expect(filled).toBe(Math.max(0, Math.min(batch, count - start)));
          for (let i = 0; i < batch; i++) {
            expect(labels[i]).toBe(i < filled ? BigInt(split.labels[order[start + i]]) : -1n);
            for (let p = 0; p < size; p++) {
              const value = split.images[order[start + i] * size + p] / 255;
              const channel = Math.floor(p / (height * width));
              const expected = normalised ? (value - mean[channel]) / std[channel] : value;
              expect(pixels[i * size + p]).toBe(i < filled ? Math.fround(expected) : -1);
            }
          }
        },
      ),
    );
  });

  test("refuses a batch of the wrong size", () => {
    const geometry = { channels: 1, height: 2, width: 2 };
    const split = someSplit(4, geometry);
    expect(() =>
      fillBatch(split, geometry, sequentialOrder(4), 0, new Float32Array(7), new BigInt64Array(2)),
    ).toThrow("a batch of 2 images [1, 2, 2] takes 8 values, got room for 7");
  });

  test("refuses a normalization that does not fit", () => {
    expect(() => pixelTable(3, { mean: [0], std: [1] })).toThrow(
      "expected 3 means and 3 standard deviations",
    );
    expect(() => pixelTable(1, { mean: [0], std: [0] })).toThrow("above 0");
  });
});

describe("the order of an epoch", () => {
  test("is a permutation, the same for the same seed and epoch, another for others", () => {
    const order = epochOrder(1000, 3, 7);
    expect([...order].sort((a, b) => a - b)).toEqual([...sequentialOrder(1000)]);
    expect(epochOrder(1000, 3, 7)).toEqual(order);
    expect(epochOrder(1000, 3, 8)).not.toEqual(order);
    expect(epochOrder(1000, 4, 7)).not.toEqual(order);
  });

  test("has no partial batch in training", () => {
    expect(stepsPerEpoch(55_000, 64)).toBe(859);
    expect(stepsPerEpoch(63, 64)).toBe(0);
  });
});
