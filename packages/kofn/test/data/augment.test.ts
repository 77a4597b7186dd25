import { describe, expect, test } from "vitest";
import {
  type Augmentation,
  ChangeSampler,
  formatAugmentation,
  type ImageChanges,
  mixPairs,
  mixupShare,
  parseAugmentation,
} from "../../src/data/augment.js";
import { BatchFiller } from "../../src/data/batches.js";
import { InputError } from "../../src/errors.js";

const none = (): ImageChanges => ({ dy: 0, dx: 0, flip: false, cutY: 0, cutX: 0 });

/** What a filler makes of one image, by its definition: pad, crop, mirror, blank. */
function plainly(
  image: Uint8Array,
  side: number,
  augmentation: Augmentation,
  seed: number,
  number: number,
): number[] {
  const changes = none();
  new ChangeSampler(augmentation, seed, side, side).draw(number, 7, changes);
  const { cutout = 0 } = augmentation;
  const result: number[] = [];
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const [top, left] = [changes.cutY - (cutout >> 1), changes.cutX - (cutout >> 1)];
      if (y >= top && y < top + cutout && x >= left && x < left + cutout) {
        result.push(0);
        continue;
      }
      const row = y + changes.dy;
      const column = (changes.flip ? side - 1 - x : x) + changes.dx;
      const inside = row >= 0 && row < side && column >= 0 && column < side;
      result.push(Math.fround(((inside ? image[row * side + column] : 0) / 255 - 0.5) / 0.25));
    }
  }
  return result;
}

describe("augmentation", () => {
  test.each<Augmentation>([
    { crop: 4 },
    { flip: true },
    { crop: 2, flip: true },
    { cutout: 3 },
    { crop: 9, flip: true, cutout: 5 },
  ])("%j is done as it is defined, by seed, epoch and image alone", (of) => {
    const side = 6;
    const count = 40;
    const images = new Uint8Array(count * side * side).map((_, i) => (i * 31) % 251);
    const geometry = { channels: 1, height: side, width: side };
    const normalization = { mean: [0.5], std: [0.25] };
    const filler = new BatchFiller(geometry, normalization, { of, seed: 3 });
    const numbers = Uint32Array.from({ length: count }, (_, i) => count - 1 - i);
    const pixels = new Float32Array(images.length);
    filler.fill(images, numbers, numbers, 7, pixels);
    numbers.forEach((number, i) => {
      const image = images.subarray(number * side * side, (number + 1) * side * side);
      expect([...pixels.subarray(i * side * side, (i + 1) * side * side)]).toEqual(
        plainly(image, side, of, 3, number),
      );
    });
    const again = new Float32Array(images.length);
    filler.fill(images, numbers, numbers, 8, again);
    expect(again).not.toEqual(pixels);
  });

  test("draws every shift about equally often, and mirrors half of the images", () => {
    const sampler = new ChangeSampler({ crop: 1, flip: true }, 1, 8, 8);
    const changes = none();
    const shifts = new Map<number, number>();
    let flipped = 0;
    for (let i = 0; i < 9000; i++) {
      sampler.draw(i, 1, changes);
      const shift = changes.dy * 3 + changes.dx;
      shifts.set(shift, (shifts.get(shift) ?? 0) + 1);
      if (changes.flip) flipped++;
    }
    expect(shifts.size).toBe(9);
    for (const times of shifts.values()) expect(Math.abs(times - 1000)).toBeLessThan(150);
    expect(Math.abs(flipped - 4500)).toBeLessThan(200);
  });

  test("works on channels of one image alike", () => {
    const geometry = { channels: 3, height: 5, width: 4 };
    const plane = Uint8Array.from({ length: 20 }, (_, i) => 10 * i);
    const images = new Uint8Array(60);
    for (let c = 0; c < 3; c++) images.set(plane, c * 20);
    const filler = new BatchFiller(geometry, undefined, { of: { crop: 2, flip: true, cutout: 2 }, seed: 1 });
    const pixels = new Float32Array(60);
    filler.fill(images, Uint32Array.of(0), Uint32Array.of(5), 1, pixels);
    expect(pixels.subarray(20, 40)).toEqual(pixels.subarray(0, 20));
    expect(pixels.subarray(40, 60)).toEqual(pixels.subarray(0, 20));
  });
});

describe("mix-up", () => {
  test("mixes each image with its mirror in the batch", () => {
    const pixels = Float32Array.of(1, 2, 10, 20, 100, 200);
    const labels = BigInt64Array.of(5n, 6n, 7n);
    const partners = new BigInt64Array(3);
    mixPairs(pixels, labels, partners, 0.75);
    expect([...pixels]).toEqual([25.75, 51.5, 10, 20, 75.25, 150.5]);
    expect([...partners]).toEqual([7n, 6n, 5n]);
  });

  test.each([0.01, 0.2, 1])("draws shares of Beta(%d, a), folded to above one half", (alpha) => {
    const shares = Array.from({ length: 4000 }, (_, step) => mixupShare(alpha, 1, step));
    for (const share of shares) expect(share >= 0.5 && share <= 1).toBe(true);
    // E[(s - 1/2)^2] is the variance of Beta(a, a), 1 / (4 (2a + 1)).
    const spread = shares.reduce((sum, share) => sum + (share - 0.5) ** 2, 0) / shares.length;
    expect(Math.abs(spread - 1 / (4 * (2 * alpha + 1)))).toBeLessThan(0.01);
    expect(mixupShare(alpha, 1, 17)).toBe(shares[17]);
  });
});

describe("the text of an augmentation", () => {
  test("is read and written back", () => {
    expect(parseAugmentation("none")).toEqual({});
    expect(parseAugmentation("crop:4,flip,cutout:8,mixup:0.2")).toEqual({
      crop: 4,
      flip: true,
      cutout: 8,
      mixup: 0.2,
    });
    for (const text of ["none", "flip", "crop:4,flip", "crop:2,flip,cutout:8,mixup:0.2"]) {
      expect(formatAugmentation(parseAugmentation(text))).toBe(text);
    }
  });

  test.each([
    "",
    "crop",
    "crop:",
    "crop:0",
    "crop:1.5",
    "flip:1",
    "flip,flip",
    "blur:2",
    "mixup:0",
    "mixup:2",
    "crop:4:5",
  ])('"%s" is refused', (text) => {
    expect(() => parseAugmentation(text)).toThrow(InputError);
    expect(() => parseAugmentation(text)).toThrow(`augment "`);
  });
});
