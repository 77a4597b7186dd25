/** k units of each row, drawn once and uniformly: what any method must do better than. */

import type { Chooser } from "./chooser.js";
import { uniforms } from "./uniforms.js";

export const random: Chooser = {
  granularities: ["weights", "kernels", "maps"],
  shrinks: "never",
  shrink: { default: [0, 0], pretrained: [0, 0] },
  chooses: () => false,
  scores: uniforms,
};
