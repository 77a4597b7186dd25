/** Counter-based random numbers: known answers, independence of streams, distributions. */

import { describe, expect, test } from "vitest";
import { philox, Random, streamOf } from "../src/random.js";

function block(counter: [number, number, number, number], key: [number, number]): string {
  const out = new Uint32Array(4);
  philox(out, counter, key);
  return Array.from(out, (word) => word.toString(16).padStart(8, "0")).join(" ");
}

describe("philox", () => {
  test("gives the known answers of Random123", () => {
    expect(block([0, 0, 0, 0], [0, 0])).toBe("6627e8d5 e169c58d bc57ac4c 9b00dbd8");
    const ones = 0xffffffff;
    expect(block([ones, ones, ones, ones], [ones, ones])).toBe("408f276d 41c83b0e a20bc7c6 6d5451fd");
    expect(block([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0])).toBe(
      "d16cfe09 94fdcceb 5001e420 24126ea1",
    );
  });
});

describe("streamOf", () => {
  test("is FNV-1a", () => {
    expect(streamOf("")).toBe(0x811c9dc5);
    expect(streamOf("a")).toBe(0xe40c292c);
    expect(streamOf("foobar")).toBe(0xbf9cf968);
  });
});

describe("Random", () => {
  const draw = (random: Random): number[] => Array.from({ length: 9 }, () => random.bits());

  test("is a function of seed, stream and index", () => {
    const first = draw(new Random(1, "a", 2));
    expect(draw(new Random(1, "a", 2))).toEqual(first);
    for (const other of [new Random(2, "a", 2), new Random(1, "b", 2), new Random(1, "a", 3)]) {
      expect(draw(other)).not.toEqual(first);
    }
    expect(draw(new Random(2 ** 32 + 1, "a", 2))).not.toEqual(first);
    expect(new Set(first).size).toBe(9);
  });

  test("is uniform on the open interval", () => {
    const random = new Random(1, "uniform");
    const bins = new Array<number>(16).fill(0);
    const count = 32_000;
    let [least, largest] = [1, 0];
    for (let i = 0; i < count; i++) {
      const value = random.uniform();
      least = Math.min(least, value);
      largest = Math.max(largest, value);
      bins[Math.floor(16 * value)]++;
    }
    expect(least > 0 && largest < 1).toBe(true);
    const expected = count / 16;
    const chiSquare = bins.reduce((sum, found) => sum + (found - expected) ** 2 / expected, 0);
    // The 99.9 % point of chi-square with 15 degrees of freedom.
    expect(chiSquare).toBeLessThan(37.7);
  });

  test("has the moments of a standard normal", () => {
    const random = new Random(1, "normal");
    const count = 40_000;
    const values = Array.from({ length: count }, () => random.normal());
    const moment = (power: number): number => values.reduce((sum, x) => sum + x ** power, 0) / count;
    expect(Math.abs(moment(1))).toBeLessThan(4 / Math.sqrt(count));
    expect(Math.abs(moment(2) - 1)).toBeLessThan(4 * Math.sqrt(2 / count));
    expect(Math.abs(moment(3))).toBeLessThan(4 * Math.sqrt(15 / count));
    expect(Math.abs(moment(4) - 3)).toBeLessThan(4 * Math.sqrt(96 / count));
  });

  test("fills arrays with the numbers that it would draw one by one", () => {
    for (const count of [0, 3, 4, 10_001]) {
      for (const before of [0, 1, 3]) {
        const [filling, drawing] = [new Random(3, "fill", 5), new Random(3, "fill", 5)];
        for (let i = 0; i < before; i++) expect(filling.normal()).toBe(drawing.normal());
        const values = new Float32Array(count);
        filling.fillNormal(values, 0.3);
        expect(values).toEqual(values.map(() => 0.3 * drawing.normal()));
        expect(filling.normal()).toBe(drawing.normal());
        expect(filling.uniform()).toBe(drawing.uniform());
      }
    }
  });

  test("permutes, and puts every element everywhere", () => {
    const places = Array.from({ length: 5 }, () => new Array<number>(5).fill(0));
    for (let index = 0; index < 2000; index++) {
      const order = new Random(1, "permutation", index).permutation(5);
      expect([...order].sort()).toEqual([0, 1, 2, 3, 4]);
      order.forEach((value, place) => places[place][value]++);
    }
    for (const count of places.flat()) expect(Math.abs(count - 400)).toBeLessThan(4 * Math.sqrt(320));
    expect([...new Random(1, "p").permutation(0)]).toEqual([]);
    expect([...new Random(1, "p").permutation(1)]).toEqual([0]);
  });
});
