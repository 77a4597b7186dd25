/** How the weights of a layer are stored: in the smallest tables for C, as their masks have them for memory images. */

import type { LayerReport } from "@kofn/format/run/types.js";
import { KofnError } from "../errors.js";
import type { Tensor } from "../onnx/tensor.js";
import type { Packing } from "./linear.js";
import { allOf, balancedOf, filledUp, type Layout, type Matrix, type Rows, smallestOf } from "./rows.js";

/** The masks of a run, and the rules by which they were made. */
export interface Pruned {
  /** In the layout of the weights in the model. */
  readonly masks: ReadonlyMap<string, Tensor<"uint8">>;
  readonly layers: readonly Pick<LayerReport, "weight" | "granularity" | "per" | "share" | "groups" | "n">[];
  /** Weights of a row of each layer where the masks were made. */
  readonly fanIns: ReadonlyMap<string, number>;
}

export const UNPRUNED: Pruned = { masks: new Map(), layers: [], fanIns: new Map() };

/** The groups in which the mask of a weight may be balanced: those of its rule first. */
function layoutsOf({ fanIn, rows }: Matrix, weight: string, kernel: number, pruned: Pruned): Layout[] {
  const rule = pruned.layers.find((layer) => layer.weight === weight);
  const whole = { n: fanIn, span: 1, share: 1 };
  const byKernels = { n: fanIn / kernel, span: kernel, share: 1 };
  const usual = kernel > 1 ? [byKernels, whole] : [whole];
  if (rule === undefined || rule.granularity === "maps") return usual;
  const { granularity, per, share = 1, n } = rule;
  const isTiled = granularity === "weights" && per === undefined && n !== pruned.fanIns.get(weight);
  const own =
    granularity === "kernels"
      ? byKernels
      : per === "kernel"
        ? { ...whole, n: kernel }
        : isTiled
          ? { ...whole, n }
          : whole;
  const shared = rows % share === 0 ? [{ ...own, share }] : [];
  return [...shared, own, ...usual];
}

function maskIn({ masks }: Pruned): Packing["mask"] {
  return (weight) => masks.get(weight)?.array();
}

/** For C. */
export function smallestPacking(pruned: Pruned = UNPRUNED): Packing {
  return {
    mask: maskIn(pruned),
    pack: (matrix, weight, kernel) => smallestOf(matrix, layoutsOf(matrix, weight, kernel, pruned)),
  };
}

/**
 * For memory images: k of each group, in the groups of the mask; rows of different lengths are filled up to the longest. Without a
 * mask all weights are stored, unless the zeros of a model that has no masks at all make it smaller.
 */
export function imagePacking(pruned: Pruned = UNPRUNED): Packing {
  return {
    mask: maskIn(pruned),
    pack: (matrix, weight, kernel): Rows => {
      const all = allOf(matrix);
      const isMasked = pruned.masks.has(weight);
      if (!matrix.mask.includes(0) || (!isMasked && pruned.masks.size > 0)) return all;
      for (const layout of layoutsOf(matrix, weight, kernel, pruned)) {
        const rows = balancedOf(matrix, layout);
        if (rows !== undefined && (isMasked || bitsOf(rows) < bitsOf(all))) return rows;
      }
      const filled = filledUp(matrix);
      return isMasked || bitsOf(filled) < bitsOf(all) ? filled : all;
    },
  };
}

/** Bits of values, as bytes, and indices. */
function bitsOf({ values, places }: Rows): number {
  const index = places.kind === "balanced" ? places.indices.length * indexWidth(places.n) : 0;
  return 8 * values.byteLength + index;
}

/** Bits of an index below n. */
export function indexWidth(n: number): number {
  return Math.max(1, Math.ceil(Math.log2(n)));
}

/** @throws KofnError if rows are of different lengths: memory images have none such. */
export function balancedPlaces({ places }: Rows): Exclude<Rows["places"], { kind: "ragged" }> {
  if (places.kind === "ragged") throw new KofnError("rows of a memory image are not balanced");
  return places;
}
