import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  BatchFiller,
  epochOrder,
  pixelTable,
  sequentialOrder,
  stepsPerEpoch,
} from "../../src/data/batches.js";
import type { Geometry } from "../../src/data/geometry.js";
import { BatchLoader } from "../../src/data/loader.js";
import type { ResidentSplit, Split } from "../../src/data/types.js";
import { KofnError } from "../../src/errors.js";

/** The split with its images behind a decoder; `asked` gathers what it was asked for. */
function decodedLate(split: ResidentSplit, size: number, asked: number[][] = []): Split {
  const decode = async (numbers: Uint32Array, target: Uint8Array): Promise<void> => {
    asked.push([...numbers]);
    for (const [i, number] of [...numbers].entries()) {
      await Promise.resolve();
      target.set(split.images.subarray(number * size, (number + 1) * size), i * size);
    }
  };
  return { ...split, images: { decode } };
}

function someSplit(count: number, { channels, height, width }: Geometry): ResidentSplit {
  const images = new Uint8Array(count * channels * height * width).map((_, i) => (i * 37 + (i >> 3)) % 256);
  return { count, images, labels: Uint16Array.from({ length: count }, (_, i) => (i * 7) % 1000) };
}

describe("BatchLoader", () => {
  test("writes the images of the order, divided by 255 or normalised per channel", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 8 }),
        fc.nat(30),
        fc.boolean(),
        fc.boolean(),
        async (channels, height, width, count, batch, start, normalised, encoded) => {
          const geometry = { channels, height, width };
          const split = someSplit(count, geometry);
          const order = epochOrder(count, 5, start);
          const size = channels * height * width;
          const pixels = new Float32Array(batch * size).fill(-1);
          const labels = new BigInt64Array(batch).fill(-1n);
          const mean = [0.1, 0.2, 0.3].slice(0, channels);
          const std = [0.5, 0.25, 2].slice(0, channels);
          const filler = new BatchFiller(geometry, normalised ? { mean, std } : undefined);
          const loader = new BatchLoader(encoded ? decodedLate(split, size) : split, geometry, filler);
          const filled = await loader.load(order, start, 1, pixels, labels);
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

  test("decodes the next batch ahead, and hands on what fails", async () => {
    const geometry = { channels: 1, height: 2, width: 3 };
    const split = someSplit(7, geometry);
    const asked: number[][] = [];
    const encoded = decodedLate(split, 6, asked);
    const loader = new BatchLoader(encoded, geometry, new BatchFiller(geometry));
    const pixels = new Float32Array(18);
    const labels = new BigInt64Array(3);
    const order = sequentialOrder(7);
    await loader.load(order, 0, 1, pixels, labels);
    expect(asked).toEqual([
      [0, 1, 2],
      [3, 4, 5],
    ]);
    await loader.load(order, 3, 1, pixels, labels);
    expect(pixels[0]).toBe(Math.fround(split.images[18] / 255));
    expect(await loader.load(order, 6, 1, pixels, labels)).toBe(1);
    expect(asked).toHaveLength(3);
    // Another order than the one that was decoded ahead for.
    await loader.load(order, 0, 1, pixels, labels);
    await loader.load(epochOrder(7, 1, 2), 0, 2, pixels, labels);
    expect(pixels[0]).toBe(Math.fround(split.images[epochOrder(7, 1, 2)[0] * 6] / 255));
    await loader.close();

    const broken = { ...split, images: { decode: () => Promise.reject(new KofnError("a.png is damaged")) } };
    const failing = new BatchLoader(broken, geometry, new BatchFiller(geometry));
    await expect(failing.load(order, 0, 1, pixels, labels)).rejects.toThrow("a.png is damaged");
  });

  test("refuses a batch of the wrong size", async () => {
    const geometry = { channels: 1, height: 2, width: 2 };
    const loader = new BatchLoader(someSplit(4, geometry), geometry, new BatchFiller(geometry));
    await expect(
      loader.load(sequentialOrder(4), 0, 1, new Float32Array(7), new BigInt64Array(2)),
    ).rejects.toThrow("a batch of 2 images of 4 values takes 8, got room for 7");
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
