/** The lines that tell how training goes, and sparklines. */

import type { EpochMetrics, MaskMetrics } from "@kofn/format/run/types.js";
import { expect, test } from "vitest";
import { epochLine, liveLine } from "../../src/cli/progress.js";
import { sparkline } from "../../src/cli/terminal.js";

const MASK: MaskMetrics = {
  name: "fc1",
  rows: 300,
  n: 784,
  k: 40,
  confidence: 0.9,
  diversity: 0.4,
  softmaxConfidence: 0.1,
  jensenShannon: 0.05,
  churn: 0.3,
  overlapMagnitude: 0.6,
  neverChosen: 12,
};

const EPOCH: EpochMetrics = {
  epoch: 3,
  step: 10,
  train: { loss: 0.0312, accuracy: 0.99 },
  validation: { loss: 0.061, accuracy: 0.9812 },
  learningRate: 1e-3,
  tau: 2.31,
  beta: 0.1,
  samplesPerSecond: 45_012,
  seconds: 31,
  k: { fc1: 40, fc2: 30 },
  layers: [MASK, { ...MASK, name: "fc2", confidence: 0.75 }],
  best: true,
};

test("an epoch's line has the mean confidence of its masks, if it has any", () => {
  expect(epochLine(EPOCH, 20)).toBe(
    "epoch  3/20  loss 0.0312  val loss 0.0610  val 98.12 %  conf 0.82  tau 2.31  45,012 samples/s  0:31  best",
  );
  expect(epochLine({ ...EPOCH, layers: [] }, 20)).not.toContain("conf");
});

test("the live line has that of the last epoch", () => {
  const progress = {
    epoch: 3,
    epochs: 20,
    step: 50,
    steps: 100,
    loss: 0.0312,
    learningRate: 1e-3,
    tau: 2.31,
    samplesPerSecond: 45_012,
    remainingSeconds: 83,
  };
  expect(liveLine({ ...progress, validationAccuracy: 0.9812, confidence: 0.825 })).toMatch(
    /^epoch {2}3\/20 █{12}░{12} {2}50 % {2}loss 0\.0312 {2}val 98\.12 % {2}conf 0\.8[23] {2}tau 2\.31 {2}45,012 samples\/s {2}1:23 left$/,
  );
  expect(liveLine(progress)).not.toContain("conf");
});

test("sparklines go from the smallest to the largest value", () => {
  expect(sparkline([0.1, 0.5, 0.9])).toBe("0.10 ▁▅█ 0.90");
  expect(sparkline([0.9, 0.1])).toBe("0.90 █▁ 0.10");
  expect(sparkline([0.5, 0.5])).toBe("0.50 ▁▁ 0.50");
  expect(sparkline([0.25])).toBe("0.25 ▁ 0.25");
  expect(sparkline([])).toBe("");
  const many = sparkline(Array.from({ length: 500 }, (_, i) => i / 499));
  expect(many).toMatch(/^0\.00 ▁[▁-█]{22}█ 1\.00$/);
});
