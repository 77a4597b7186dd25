import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { glyphs } from "../../src/datasets/glyphs.js";
import { Raster } from "../../src/datasets/raster.js";
import { SKELETONS } from "../../src/datasets/skeletons.js";
import type { ResidentSplit } from "../../src/data/types.js";

const started = performance.now();
const data = glyphs();
const milliseconds = performance.now() - started;

function fingerprint(split: ResidentSplit): string {
  return createHash("sha256").update(split.images).update(new Uint8Array(split.labels)).digest("hex");
}

describe("glyphs", () => {
  test("has the promised sizes", () => {
    expect([data.channels, data.height, data.width, data.classes.length]).toEqual([1, 28, 28, 10]);
    for (const [split, count] of [
      [data.train, 20_000],
      [data.validation, 2_000],
      [data.test, 4_000],
    ] as const) {
      expect(split.count).toBe(count);
      expect(split.images.length).toBe(count * 784);
      expect(split.labels.length).toBe(count);
    }
  });

  test("is drawn in under 5 seconds", () => {
    expect(milliseconds).toBeLessThan(5000);
  });

  test("is the same for the same seed and another for another", () => {
    const again = glyphs({ seed: 1 });
    const other = glyphs({ seed: 2 });
    for (const split of ["train", "validation", "test"] as const) {
      expect(fingerprint(again[split])).toBe(fingerprint(data[split]));
      expect(fingerprint(other[split])).not.toBe(fingerprint(data[split]));
    }
  });

  test("has about as many of each digit, and no image twice", () => {
    const counts = new Array<number>(10).fill(0);
    for (const label of data.train.labels) counts[label]++;
    for (const count of counts) expect(Math.abs(count - 2000)).toBeLessThan(200);
    const seen = new Set<string>();
    for (const split of [data.train, data.validation, data.test]) {
      for (let i = 0; i < split.count; i++) {
        seen.add(
          createHash("md5")
            .update(split.images.subarray(i * 784, (i + 1) * 784))
            .digest("base64"),
        );
      }
    }
    expect(seen.size).toBe(26_000);
  });

  test("shows ink inside the image in every image, and mostly paper", () => {
    for (let i = 0; i < data.test.count; i++) {
      const image = data.test.images.subarray(i * 784, (i + 1) * 784);
      const ink = image.reduce((count, pixel) => count + (pixel > 100 ? 1 : 0), 0);
      expect(ink).toBeGreaterThan(15);
      expect(ink).toBeLessThan(350);
    }
  });

  test("can be told apart by the mean images, but not well", () => {
    const means = Array.from({ length: 10 }, () => new Float64Array(784));
    const counts = new Array<number>(10).fill(0);
    for (let i = 0; i < data.train.count; i++) {
      const mean = means[data.train.labels[i]];
      counts[data.train.labels[i]]++;
      for (let p = 0; p < 784; p++) mean[p] += data.train.images[i * 784 + p];
    }
    means.forEach((mean, digit) => {
      for (let p = 0; p < 784; p++) mean[p] /= counts[digit];
    });
    let wrong = 0;
    for (let i = 0; i < data.test.count; i++) {
      const distances = means.map((mean) => {
        let sum = 0;
        for (let p = 0; p < 784; p++) sum += (mean[p] - data.test.images[i * 784 + p]) ** 2;
        return sum;
      });
      if (distances.indexOf(Math.min(...distances)) !== data.test.labels[i]) wrong++;
    }
    const error = wrong / data.test.count;
    expect(error).toBeGreaterThan(0.05);
    expect(error).toBeLessThan(0.6);
  });
});

describe("skeletons", () => {
  test("have strokes of at least two points inside the unit square", () => {
    expect(SKELETONS.length).toBe(10);
    for (const stroke of SKELETONS.flat(2)) {
      expect(stroke.length).toBeGreaterThanOrEqual(2);
      for (const { x, y } of stroke) {
        expect(x).toBeGreaterThan(0);
        expect(x).toBeLessThan(1);
        expect(y).toBeGreaterThan(0);
        expect(y).toBeLessThan(1);
      }
    }
    expect(SKELETONS.flat(3).some(({ corner }) => corner)).toBe(true);
  });
});

describe("Raster", () => {
  test("covers pixels by the distance of their centre to the edge of the line", () => {
    const raster = new Raster(8);
    raster.line(2.5, 4.5, 1, 5.5, 4.5, 1);
    const at = (row: number, column: number): number => raster.coverage[row * 8 + column];
    expect(at(4, 4)).toBe(1);
    expect(at(3, 4)).toBeCloseTo(0.5);
    expect(at(2, 4)).toBe(0);
    expect(at(4, 6)).toBeCloseTo(0.5);
    expect(at(4, 7)).toBe(0);
    expect(at(3, 6)).toBeCloseTo(1.5 - Math.SQRT2);
  });

  test("draws a line of no length as a dot, and ignores what lies outside", () => {
    const raster = new Raster(4);
    raster.line(1.5, 1.5, 0.5, 1.5, 1.5, 0.5);
    expect(raster.coverage[5]).toBe(1);
    expect(raster.coverage.reduce((sum, value) => sum + value, 0)).toBe(1);
    raster.clear();
    raster.line(-20, -20, 1, -10, 40, 1);
    expect(raster.coverage.every((value) => value === 0)).toBe(true);
  });
});
