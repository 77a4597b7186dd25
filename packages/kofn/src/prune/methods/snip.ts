/**
 * SNIP (Lee, Ajanthan and Torr, "SNIP: Single-shot Network Pruning based on Connection Sensitivity", ICLR 2019): before training, by
 * how much the loss would change if a unit were left out, to first order and on a few batches: score = |dL/dc| at c = 1 for a unit
 * that is multiplied by c, which for a weight is |w dL/dw|.
 */

import type { Chooser } from "./chooser.js";

export const snip: Chooser = {
  granularities: ["weights", "kernels", "maps"],
  shrinks: "never",
  shrink: { default: [0, 0], pretrained: [0, 0] },
  gradient: "masks",
  chooses: () => false,
  scores: (choice) => choice.gradient().map(Math.abs),
};
