import { describe, expect, test } from "vitest";
import {
  formatNormalization,
  measureNormalization,
  noNormalization,
  normalizationFor,
  parseNormalization,
} from "../../src/data/normalization.js";
import { InputError } from "../../src/errors.js";

describe("normalization", () => {
  test("is measured per channel", () => {
    const images = Uint8Array.of(0, 255, 51, 51, 255, 0, 102, 102);
    const { mean, std } = measureNormalization(images, { channels: 2, height: 1, width: 2 });
    expect(mean).toEqual([0.5, 0.3]);
    expect(std).toEqual([0.5, 0.1]);
  });

  test("of a channel that does not vary can be divided by", () => {
    expect(
      measureNormalization(new Uint8Array(4).fill(9), { channels: 1, height: 2, width: 2 }).std[0],
    ).toBeGreaterThan(0);
  });

  test("is read and written back", () => {
    const text = "0.49,0.48,0.45/0.25,0.24,0.26";
    expect(parseNormalization(text)).toEqual({ mean: [0.49, 0.48, 0.45], std: [0.25, 0.24, 0.26] });
    expect(formatNormalization(normalizationFor(parseNormalization(text), 3))).toBe(text);
    expect(formatNormalization(noNormalization(3))).toBe("none");
    expect(normalizationFor(parseNormalization("none"), 2)).toEqual({ mean: [0, 0], std: [1, 1] });
    expect(normalizationFor(parseNormalization("0.5/0.5"), 2)).toEqual({ mean: [0.5, 0.5], std: [0.5, 0.5] });
  });

  test.each(["", "0.5", "a/b", "0.5,0.5/0.5", "0.5/0", "0.5/-1", "1/2/3", "/", "0.1,/0.2,"])(
    '"%s" is refused',
    (text) => {
      expect(() => parseNormalization(text)).toThrow(InputError);
      expect(() => parseNormalization(text)).toThrow(`normalize "${text}": expected "none" or MEAN/STD`);
    },
  );

  test("for another number of channels is refused", () => {
    expect(() => normalizationFor({ mean: [0, 0], std: [1, 1] }, 3)).toThrow(
      "the images have 3 channels, but there are 2 means",
    );
  });
});
