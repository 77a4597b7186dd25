/** Measuring batch normalisation anew: exact averages over the training images. */

import { describe, expect, test } from "vitest";
import type { Augmentation } from "../../src/data/augment.js";
import { Engine } from "../../src/engine/session.js";
import { noNormalization } from "../../src/data/normalization.js";
import { recalibrate } from "../../src/train/recalibrate.js";
import { normalisedModel } from "../support/normalised.js";
import { tinyData, tinyModel } from "../support/tiny.js";

const DATA = tinyData();
const BATCH = 16;

async function measure(
  model = normalisedModel(),
  batches = DATA.train.count / BATCH,
  augment: Augmentation = {},
) {
  const engine = await Engine.open({ threads: 1 });
  const normalization = noNormalization(1);
  const { count } = DATA.train;
  const seen = { data: DATA, normalization, augment, count, batch: BATCH, batches, seed: 1 };
  return recalibrate(model, { engine, ...seen });
}

function pixelMoments(): { mean: number; variance: number } {
  const { images } = DATA.train;
  if (!(images instanceof Uint8Array)) throw new Error("the images of tiny data are bytes");
  const mean = images.reduce((sum, byte) => sum + byte / 255, 0) / images.length;
  const variance = images.reduce((sum, byte) => sum + (byte / 255 - mean) ** 2, 0) / images.length;
  return { mean, variance };
}

describe("recalibrate", () => {
  test("gives mean and variance over all images, not the averages of batches", async () => {
    const { mean, variance } = pixelMoments();
    const measured = await measure();
    expect(measured.get("first.mean")?.[0]).toBeCloseTo(mean, 5);
    expect(measured.get("first.var")?.[0]).toBeCloseTo(variance, 5);
  });

  test("measures later layers behind the batch's normalisation of earlier ones", async () => {
    const [model, scaled] = [normalisedModel(), normalisedModel()];
    // What the first layer has stored must make no difference.
    scaled.graph.initializers.get("first.var")?.bytes.fill(66);
    const [one, other] = [await measure(model), await measure(scaled)];
    expect([...one.keys()].sort()).toEqual(["first.mean", "first.var", "second.mean", "second.var"]);
    expect(one.get("second.mean")).toEqual(other.get("second.mean"));
    expect(one.get("second.var")?.every((value) => value > 0)).toBe(true);
  });

  test("measures images as training augments them", async () => {
    const [plain, cropped, mixed] = [
      await measure(),
      await measure(normalisedModel(), undefined, { crop: 6 }),
      await measure(normalisedModel(), undefined, { mixup: 1 }),
    ];
    // Crops of 6 of 8 pixels have black borders; pairs that are mixed have the mean of both, and vary less.
    expect(cropped.get("first.mean")?.[0]).toBeLessThan(0.8 * (plain.get("first.mean")?.[0] ?? 0));
    expect(mixed.get("first.mean")?.[0]).toBeCloseTo(plain.get("first.mean")?.[0] ?? 0, 5);
    expect(mixed.get("first.var")?.[0]).toBeLessThan(0.9 * (plain.get("first.var")?.[0] ?? 0));
    expect(await measure(normalisedModel(), undefined, { crop: 6 })).toEqual(cropped);
  });

  test("takes no more batches than it was told", async () => {
    expect(await measure(normalisedModel(), 1)).not.toEqual(await measure());
  });

  test("gives nothing for a model without batch normalisation", async () => {
    expect((await measure(tinyModel())).size).toBe(0);
  });
});
