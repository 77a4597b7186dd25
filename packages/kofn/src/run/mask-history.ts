/** What the masks of a run do from epoch to epoch: the figures that metrics.jsonl has for each of them. */

import type { MaskMetrics } from "@kofn/format/run/types.js";
import { InputError } from "../errors.js";
import { churn, layerMetrics, neverChosen, overlap } from "../metrics/masks.js";
import { type Tensor, tensor } from "../onnx/tensor.js";
import { magnitudes, membersOf } from "../prune/units.js";
import type { LayerMask } from "../prune/mask.js";
import { topKMask } from "../prune/topk.js";

/** The masks after an epoch, and what they came from. */
export interface EpochMasks {
  /** The deterministic masks, in the order of those that the history began with. */
  readonly masks: readonly LayerMask[];
  /** Of each layer: k in the epoch's last step, and the logits [R, n]. */
  readonly k: readonly number[];
  readonly logits: readonly Float32Array[];
  /** Scale of the noise in the epoch's last step. */
  readonly beta: number;
  /** Current values of a weight. */
  readonly parameter: (name: string) => Float32Array;
}

/** Remembers the masks of the epoch before, and which units any epoch has kept. */
export class MaskHistory {
  #previous: readonly Uint8Array[];
  /** Of each layer [R, n]: 1 where the mask of some epoch kept the unit. */
  readonly #chosen: readonly Tensor<"uint8">[];
  readonly #weights: readonly string[];

  /** @param masks those that the first epoch begins with, which does not choose them. */
  constructor(masks: readonly LayerMask[]) {
    this.#previous = masks.map(({ units }) => units);
    this.#weights = masks.map(({ layer }) => layer.weight);
    this.#chosen = masks.map(({ layer: { groups, n } }) =>
      tensor("uint8", [groups, n], new Uint8Array(groups * n)),
    );
  }

  /** Takes in the masks of the next epoch, and says what they are like. */
  record({ masks, k, logits, beta, parameter }: EpochMasks): MaskMetrics[] {
    const metrics = masks.map(({ layer, units }, i) => {
      const { name, groups: rows, n } = layer;
      const members = membersOf(layer).map((member) => member.name);
      const chosen = this.#chosen[i].array();
      for (let unit = 0; unit < units.length; unit++) chosen[unit] |= units[unit];
      const { confidence, diversity, softmaxConfidence, jensenShannon } = layerMetrics({
        logits: logits[i],
        rows,
        n,
        k: k[i],
        beta,
      });
      return {
        name,
        ...(members.length === 1 ? {} : { members }),
        rows,
        n,
        k: k[i],
        confidence,
        diversity,
        softmaxConfidence,
        jensenShannon,
        churn: churn(this.#previous[i], units),
        overlapMagnitude: magnitudeOverlap({ layer, units }, k[i], parameter),
        neverChosen: neverChosen([chosen]),
      };
    });
    this.#previous = masks.map(({ units }) => units);
    return metrics;
  }

  /** For each layer, how many units no epoch has kept. */
  neverChosen(): number[] {
    return this.#chosen.map((chosen) => neverChosen([chosen.array()]));
  }

  /** Which units were ever chosen, by the names of the layers' weights. A checkpoint's logits give the masks before. */
  snapshot(): Map<string, Tensor> {
    return new Map(
      this.#chosen.map((chosen, i) => [
        this.#weights[i],
        tensor("uint8", chosen.dims, chosen.array().slice()),
      ]),
    );
  }

  /**
   * Goes on from a snapshot. A checkpoint of an older kofn has none: then units count as chosen from here on.
   *
   * @throws InputError if the snapshot is not of the same layers.
   */
  restore(snapshot: ReadonlyMap<string, Tensor>): void {
    if (snapshot.size === 0) return;
    for (const [i, chosen] of this.#chosen.entries()) {
      const saved = snapshot.get(this.#weights[i]);
      if (saved?.dtype !== "uint8" || saved.dims.join() !== chosen.dims.join()) {
        throw new InputError(
          `the checkpoint does not fit the run: it should hold the chosen units of "${this.#weights[i]}" as uint8 [${chosen.dims.join(", ")}], ` +
            (saved === undefined ? "but has none" : `but holds ${saved.dtype} [${saved.dims.join(", ")}]`),
        );
      }
      chosen.array().set((saved as Tensor<"uint8">).array());
    }
  }
}

/** The share of the kept units that have the k largest magnitudes of their group, too. */
export function magnitudeOverlap(
  { layer, units }: Pick<LayerMask, "layer" | "units">,
  k: number,
  parameter: (name: string) => Float32Array,
): number {
  return overlap(units, topKMask(magnitudes(layer, parameter), layer.groups, layer.n, k));
}
