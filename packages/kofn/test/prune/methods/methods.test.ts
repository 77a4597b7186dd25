/** Each method's scores and moments against its definition, on rows drawn at random. */

import { GRANULARITIES } from "@kofn/format/run/words.js";
import { describe, expect, test } from "vitest";
import { lenet5 } from "../../../src/models/lenet.js";
import { prunableLayers } from "../../../src/layers/layers.js";
import { type Choice, type Chooser, type Moment, progressOf } from "../../../src/prune/methods/chooser.js";
import { dropped } from "../../../src/prune/methods/drop-and-grow.js";
import { checkMethod, chooserOf } from "../../../src/prune/methods/methods.js";
import { kernels, maps, resolvePrune, weights } from "../../../src/prune/spec.js";
import { topKMask } from "../../../src/prune/topk.js";
import type { PrunedLayer, PruneRule } from "../../../src/prune/types.js";
import { magnitudes, norms } from "../../../src/prune/units.js";
import { Random } from "../../../src/random.js";

const CASES = Array.from({ length: 40 }, (_, seed) => seed);

function numbers(random: Random, count: number): Float32Array {
  return Float32Array.from({ length: count }, () => random.normal());
}

/** A layer's choice at random: its magnitudes, its gradient, and the mask before. */
function drawn(seed: number, changes: Partial<Choice> = {}): Choice & { readonly kept: Uint8Array } {
  const random = new Random(seed, "methods");
  const [rows, n] = [1 + random.below(4), 2 + random.below(30)];
  const k = 1 + random.below(n);
  const [values, slopes] = [numbers(random, rows * n), numbers(random, rows * n)];
  return {
    ...{ step: 100 * (1 + random.below(70)), steps: 10001, shrink: [0, 0] },
    ...{ rows, n, k, kept: topKMask(numbers(random, rows * n), rows, n, k), pretrained: false },
    magnitudes: () => values.map(Math.abs),
    norms: () => values.map(Math.abs),
    gradient: () => slopes,
    random: () => new Random(seed, "choice"),
    ...changes,
  } as Choice & { readonly kept: Uint8Array };
}

function method(name: Parameters<typeof chooserOf>[0]): Chooser {
  const chooser = chooserOf(name);
  if (chooser === undefined) throw new Error(`${name} has no scores`);
  return chooser;
}

function chosen(chooser: Chooser, choice: Choice): Uint8Array {
  return topKMask(chooser.scores(choice), choice.rows, choice.n, choice.k);
}

/** The places of the largest values among some, by sorting. */
function largest(values: Float32Array, places: readonly number[], count: number): number[] {
  return [...places].sort((a, b) => values[b] - values[a] || a - b).slice(0, count);
}

describe.each(["set", "rigl"] as const)("%s", (name) => {
  test.each(CASES)("drops the smallest weights of each row and grows as many (seed %i)", (seed) => {
    const choice = drawn(seed);
    const { rows, n, k, kept } = choice;
    const mask = chosen(method(name), choice);
    const count = dropped(choice, k, n);
    for (let row = 0; row < rows; row++) {
      const places = Array.from({ length: n }, (_, i) => row * n + i);
      const stays = new Set(
        largest(
          choice.magnitudes(),
          places.filter((i) => kept[i] === 1),
          k - count,
        ),
      );
      const others = places.filter((i) => !stays.has(i));
      expect(places.filter((i) => mask[i] === 1)).toHaveLength(k);
      expect([...stays].every((i) => mask[i] === 1)).toBe(true);
      const grown = others.filter((i) => mask[i] === 1);
      expect(grown).toHaveLength(count);
      if (name === "rigl") {
        expect(new Set(grown)).toEqual(new Set(largest(choice.gradient().map(Math.abs), others, count)));
      }
    }
  });

  test("begins at random, or with the largest weights of a trained model", () => {
    const [choice, trained] = [
      drawn(1, { kept: undefined }),
      drawn(1, { kept: undefined, pretrained: true }),
    ];
    expect(chosen(method(name), choice)).toEqual(chosen(method("random"), choice));
    expect(chosen(method(name), trained)).toEqual(chosen(method("magnitude"), trained));
  });

  test("moves masks every hundredth of training until three quarters of it, ever fewer", () => {
    const at = (step: number): Moment => ({ step, steps: 1001, shrink: [0, 0] });
    const moments = Array.from({ length: 1001 }, (_, step) => step).filter((step) =>
      method(name).chooses(at(step)),
    );
    expect(moments).toEqual(Array.from({ length: 75 }, (_, i) => 10 * i));
    const counts = moments.map((step) => dropped(at(step), 100, 1000));
    expect([counts[0], counts.at(-1)]).toEqual([30, 0]);
    expect(counts).toEqual([...counts].sort((a, b) => b - a));
    expect(dropped(at(0), 95, 100)).toBe(5);
  });
});

test("set grows elsewhere with another seed", () => {
  const [n, k] = [30, 12];
  const values = numbers(new Random(6, "values"), n).map(Math.abs);
  const kept = topKMask(numbers(new Random(5, "kept"), n), 1, n, k);
  const of = (seed: number): Uint8Array =>
    chosen(
      method("set"),
      drawn(0, {
        ...{ step: 100, rows: 1, n, k, kept },
        magnitudes: () => values,
        random: () => new Random(seed, "choice"),
      }),
    );
  expect(of(1)).toEqual(of(1));
  expect(of(1)).not.toEqual(of(2));
});

test.each(CASES)(
  "magnitude, l2 and gradual keep the largest weights, snip the largest |gradient|, random any (seed %i)",
  (seed) => {
    const choice = drawn(seed);
    const { rows, n, k } = choice;
    const expected = topKMask(choice.magnitudes(), rows, n, k);
    for (const name of ["magnitude", "l2", "gradual"] as const) {
      expect(chosen(method(name), choice), name).toEqual(expected);
    }
    expect(chosen(method("snip"), choice)).toEqual(topKMask(choice.gradient().map(Math.abs), rows, n, k));
    expect(chosen(method("random"), choice)).toEqual(chosen(method("random"), choice));
  },
);

test("random keeps every unit about as often", () => {
  const counts = new Float64Array(10);
  const draws = 2000;
  for (let seed = 0; seed < draws; seed++) {
    const choice = drawn(seed, { rows: 1, n: 10, k: 3 });
    chosen(method("random"), choice).forEach((one, i) => (counts[i] += one));
  }
  // Five deviations of a binomial of 2000 and 0.3.
  for (const count of counts) expect(Math.abs(count - 0.3 * draws)).toBeLessThan(5 * Math.sqrt(draws * 0.21));
});

describe("the moments of", () => {
  const momentsOf = (chooser: Chooser, shrink: Moment["shrink"], steps: number): number[] =>
    Array.from({ length: steps }, (_, step) => step)
      .slice(1)
      .filter((step) => chooser.chooses({ step, steps, shrink }));

  test("magnitude and l2 are the first step at the target", () => {
    for (const name of ["magnitude", "l2"] as const) {
      expect(momentsOf(method(name), [0.5, 0.5], 101)).toEqual([50]);
      expect(momentsOf(method(name), [0, 0], 101)).toEqual([]);
    }
  });

  test("gradual go on while k falls, and end with the first step at the target", () => {
    const steps = 2001;
    const moments = momentsOf(method("gradual"), [0.1, 0.4001], steps);
    expect(moments.at(-1)).toBe(801);
    expect(moments.slice(0, -1)).toEqual(Array.from({ length: 31 }, (_, i) => 200 + 20 * i));
    const moment = { step: 801, steps, shrink: [0.1, 0.4001] } as const;
    expect(progressOf(moment, 800)).toBeLessThan(0.4001);
    expect(momentsOf(method("gradual"), [0, 0.5], 11)).toEqual([1, 2, 3, 4, 5]);
  });

  test("random and snip are none but the first", () => {
    for (const name of ["random", "snip"] as const) expect(momentsOf(method(name), [0, 0], 50)).toEqual([]);
  });
});

test("magnitudes and norms of units are those of their weights", () => {
  const { graph } = lenet5();
  const random = new Random(4, "norms");
  const rules: PruneRule[] = [weights({ k: 2 }), kernels({ k: 2 }), maps({ k: 3 })];
  for (const rule of rules) {
    const [layer] = resolvePrune(prunableLayers(graph), { conv2: rule });
    const values = numbers(
      random,
      layer.dims.reduce((a, b) => a * b),
    );
    const size = values.length / (layer.groups * layer.n);
    const unit = (i: number): number[] => [...values.subarray(i * size, (i + 1) * size)];
    const [sums, roots] = [magnitudes(layer, () => values), norms(layer, () => values)];
    for (let i = 0; i < layer.groups * layer.n; i += 7) {
      expect(sums[i]).toBeCloseTo(
        unit(i).reduce((sum, value) => sum + Math.abs(value), 0),
        4,
      );
      expect(roots[i]).toBeCloseTo(Math.hypot(...unit(i)), 4);
    }
  }
});

describe("checkMethod", () => {
  const layerOf = (rule: PruneRule): PrunedLayer =>
    resolvePrune(prunableLayers(lenet5().graph), { conv2: rule })[0];
  const RULES = { weights: weights({ k: 2 }), kernels: kernels({ k: 2 }), maps: maps({ k: 3 }) };

  test.each(["random", "magnitude", "l2", "gradual", "snip", "set", "rigl"] as const)(
    "lets %s prune what it can, and refuses the rest by name",
    (name) => {
      for (const granularity of GRANULARITIES) {
        const check = (): void => {
          checkMethod(name, [layerOf(RULES[granularity])]);
        };
        if (method(name).granularities.includes(granularity)) expect(check).not.toThrow();
        else expect(check).toThrow(`method "${name}" prunes`);
      }
    },
  );

  test("refuses rigl where units are several weights", () => {
    expect(() => {
      checkMethod("rigl", [layerOf(weights({ k: 2, share: 2 }))]);
    }).toThrowErrorMatchingInlineSnapshot(
      `[InputError: method "rigl" needs the gradient of each weight, which "conv2" does not have: its channels share their masks; choose another method (set, gradual), or leave out share]`,
    );
  });
});
