/** The methods of pruning besides DPP, by their names. */

import type { Method } from "@kofn/format/run/words.js";
import { InputError } from "../../errors.js";
import type { PrunedLayer } from "../types.js";
import { unitsAreWeights } from "../units.js";
import type { Chooser } from "./chooser.js";
import { rigl, set } from "./drop-and-grow.js";
import { gradual } from "./gradual.js";
import { l2, magnitude } from "./magnitude.js";
import { random } from "./random.js";
import { snip } from "./snip.js";

/** DPP learns its masks, and a dense network has none. */
const CHOOSERS: Readonly<Record<Exclude<Method, "dpp" | "dense">, Chooser>> = {
  random,
  magnitude,
  l2,
  gradual,
  snip,
  set,
  rigl,
};

/** What computes a method's masks; undefined for DPP and dense networks. */
export function chooserOf(method: Method): Chooser | undefined {
  return method === "dpp" || method === "dense" ? undefined : CHOOSERS[method];
}

/** @throws InputError if a layer's units are not of those that the method can prune. */
export function checkMethod(method: Method, layers: readonly PrunedLayer[]): void {
  const chooser = chooserOf(method);
  if (chooser === undefined) return;
  const able = chooser.granularities;
  for (const layer of layers) {
    const { name, granularity } = layer;
    if (!able.includes(granularity)) {
      throw new InputError(
        `method "${method}" prunes ${able.join(" and ")} alone, but "${name}" is to be pruned by ${granularity}; ` +
          `choose another method (magnitude can do all), or another granularity`,
      );
    }
    if (chooser.gradient === "weights" && !unitsAreWeights(layer)) {
      throw new InputError(
        `method "${method}" needs the gradient of each weight, which "${name}" does not have: its ` +
          `${layer.transposed ? "weight is stored as [in, out]" : "channels share their masks"}; choose another method (set, gradual)` +
          (layer.transposed ? "" : ", or leave out share"),
      );
    }
  }
}
