/** Training with masks that are given: they stay as they are, and have to fit the rules. */

import { describe, expect, test } from "vitest";
import { type Tensor, tensor } from "../../src/onnx/tensor.js";
import { kernels, maps, weights } from "../../src/prune/spec.js";
import { train } from "../../src/run/train.js";
import type { TrainOptions } from "../../src/run/types.js";
import { tinyData, tinyModel } from "../support/tiny.js";

const DATA = tinyData();
const base: TrainOptions = { model: tinyModel(), data: DATA, epochs: 1, batch: 24, threads: 1 };
const masksOf = (
  ...entries: readonly (readonly [string, readonly number[], Uint8Array])[]
): Map<string, Tensor<"uint8">> =>
  new Map(entries.map(([name, dims, mask]) => [name, tensor("uint8", dims, mask)]));

/** Keeps the last 3 of each 36 weights. */
const LAST = Uint8Array.from({ length: 108 }, (_, i) => (i % 36 >= 33 ? 1 : 0));

describe("train with masks", () => {
  test.each([
    ["weights", { prune: { fc: weights({ k: 3 }) } }, masksOf(["fc.weight", [3, 36], LAST])],
    [
      "shared masks and kernels, pretrained",
      { pretrained: true, prune: { conv: kernels({ k: 1 }), fc: weights({ k: 3, share: 3 }) } },
      masksOf(["conv.weight", [4, 1, 3, 3], new Uint8Array(36).fill(1)], ["fc.weight", [3, 36], LAST]),
    ],
    [
      "maps",
      { prune: { conv: maps({ k: 2 }) } },
      masksOf(["conv.weight", [4, 1, 3, 3], Uint8Array.from({ length: 36 }, (_, i) => (i < 18 ? 0 : 1))]),
    ],
  ])("keeps them: %s", async (_, options, masks) => {
    const run = await train({ ...base, ...options, masks });
    expect(run.masks).toEqual(masks);
    const weight = run.masked.graph.initializers.get("fc.weight")?.numbers() ?? [];
    const mask = masks.get("fc.weight")?.array() ?? new Uint8Array(108).fill(1);
    if (!masks.has("fc.weight")) return;
    weight.forEach((value, i) => {
      expect(value !== 0).toBe(mask[i] === 1);
    });
  });

  test.each([
    [{ prune: { fc: weights({ k: 3 }) } }, masksOf(), 'expected one of [3, 36] for "fc.weight", found none'],
    [{ prune: { fc: weights({ k: 3 }) } }, masksOf(["fc.weight", [36, 3], LAST]), "found one of [36, 3]"],
    [
      { prune: { fc: weights({ k: 4 }) } },
      masksOf(["fc.weight", [3, 36], LAST]),
      "exactly 4 of 36 in each group, but the mask keeps 3 in group 0",
    ],
    [
      {},
      masksOf(["fc.weight", [3, 36], LAST]),
      'one for "fc.weight", which no rule prunes. Pruned layers: none',
    ],
    [
      { prune: { fc: weights({ k: 3, share: 3 }) } },
      masksOf(["fc.weight", [3, 36], LAST.map((bit, i) => (i < 36 ? LAST[35 - i] : bit))]),
      "is kept in part",
    ],
    [
      { prune: { fc: weights({ k: 3 }) }, freezeFrom: 0.5 },
      masksOf(["fc.weight", [3, 36], LAST]),
      "masks that are given (masks, --masks) stay as they are",
    ],
  ])("refuses what does not fit: %o", async (options, masks, message) => {
    await expect(train({ ...base, ...options, masks })).rejects.toThrow(message);
  });
});
