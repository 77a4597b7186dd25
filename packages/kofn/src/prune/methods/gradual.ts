/**
 * Gradual magnitude pruning (Zhu and Gupta, "To prune, or not to prune", arXiv 1710.01878): k falls by a cubic over a share of
 * training, and every so many steps those with the largest weights are chosen anew. Weights that are left out stay as they were.
 */

import { type Chooser, choosesEvery, progressOf, reachesTarget } from "./chooser.js";

export const gradual: Chooser = {
  granularities: ["weights", "kernels", "maps"],
  shrinks: "gradually",
  shrink: { default: [0, 0.5], pretrained: [0, 0.5] },
  chooses: (moment) => {
    const [from, to] = moment.shrink;
    const progress = progressOf(moment, moment.step);
    const isShrinking = progress >= from && progress < to;
    return reachesTarget(moment) || (isShrinking && moment.step % choosesEvery(moment) === 0);
  },
  scores: (choice) => choice.magnitudes(),
};
