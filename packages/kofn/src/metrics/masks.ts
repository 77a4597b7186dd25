/** What a layer's masks tell: how sure the pruner is, how differently the groups choose, and what changed. */

import type { LayerMetrics } from "@kofn/format/run/types.js";
import { InputError } from "../errors.js";
import { inclusionProbabilities } from "./inclusion.js";

/**
 * The mask metrics of one pruned layer under its current logits and noise.
 *
 * @param layer logits [R, n] in R = `rows` groups of n units, of which k are kept, with noise of scale beta.
 * @throws InputError as `inclusionProbabilities` does.
 *
 * @example
 * const layer = { logits: Float32Array.of(9, -9, -9, 9), rows: 2, n: 2, k: 1, beta: 0.1 };
 * layerMetrics(layer); // { confidence: 1, diversity: 1, softmaxConfidence: 1, jensenShannon: 1, inclusion: [2, 0, ..., 0, 2] }
 */
export function layerMetrics(layer: {
  readonly logits: Float32Array;
  readonly rows: number;
  readonly n: number;
  readonly k: number;
  readonly beta: number;
}): LayerMetrics {
  const { logits, rows, n, k, beta } = layer;
  const pi = inclusionProbabilities(logits, rows, n, k, beta);
  const { ofRows, ofMean } = softmaxEntropies(logits, rows, n);
  return {
    confidence: confidence(pi, k, n),
    diversity: diversity(pi, rows, n, k),
    softmaxConfidence: 1 - ofRows,
    jensenShannon: ofMean - ofRows,
    inclusion: inclusionHistogram(pi),
  };
}

/**
 * 1 - mean h(pi) / h(k/n), h the binary entropy: 0 for a uniform mask, 1 for a deterministic one. With k = n there is
 * nothing to choose, and the mask is certain: 1.
 *
 * @param pi inclusion probabilities [R, n]
 *
 * @example
 * confidence(Float64Array.of(1, 0, 0.5, 0.5), 1, 2); // 0.5
 */
export function confidence(pi: Float64Array, k: number, n: number): number {
  return k === n ? 1 : 1 - meanEntropy(pi) / binaryEntropy(k / n);
}

/**
 * [mean_i h(mean_r pi_ri) - mean_ri h(pi_ri)] / h(k/n): the normalised mutual information between group and unit. 0 when all
 * groups choose alike, up to `confidence` when they choose differently. With k = n all groups choose alike: 0.
 *
 * @param pi inclusion probabilities [R, n]
 *
 * @example
 * diversity(Float64Array.of(1, 0, 0, 1), 2, 2, 1); // 1
 */
export function diversity(pi: Float64Array, rows: number, n: number, k: number): number {
  if (k === n) return 0;
  const mean = new Float64Array(n);
  for (let start = 0; start < pi.length; start += n) {
    for (let i = 0; i < n; i++) mean[i] += pi[start + i] / rows;
  }
  return (meanEntropy(mean) - meanEntropy(pi)) / binaryEntropy(k / n);
}

/**
 * How many units have an inclusion probability in each of `bins` equal parts of [0, 1]; 1 is in the last.
 *
 * @param pi inclusion probabilities
 *
 * @example
 * inclusionHistogram(Float64Array.of(0, 0.3, 1), 4); // [1, 1, 0, 1]
 */
export function inclusionHistogram(pi: Float64Array, bins = 20): number[] {
  const counts = new Array<number>(bins).fill(0);
  for (const p of pi) counts[Math.min(bins - 1, Math.floor(p * bins))]++;
  return counts;
}

/** The mean confidence of several masks, each counting alike; undefined without any. */
export function meanConfidence(masks: readonly { readonly confidence: number }[]): number | undefined {
  return masks.length === 0
    ? undefined
    : masks.reduce((sum, mask) => sum + mask.confidence, 0) / masks.length;
}

/**
 * mean_r H(softmax(logits_r)) / log n: 1 when each row's softmax is uniform, 0 when one unit has it all (and for n = 1).
 *
 * @param logits [R, n]
 *
 * @example
 * softmaxEntropy(Float32Array.of(0, 0), 1, 2); // 1
 */
export function softmaxEntropy(logits: Float32Array, rows: number, n: number): number {
  return softmaxEntropies(logits, rows, n).ofRows;
}

/**
 * The Jensen-Shannon divergence of the rows' softmax distributions over log n: H(mean_r p_r) - mean_r H(p_r), in units of
 * log n. 0 when all rows are alike (and for n = 1), up to 1.
 *
 * @param logits [R, n]
 *
 * @example
 * jensenShannon(Float32Array.of(99, 0, 0, 99), 2, 2); // 1
 */
export function jensenShannon(logits: Float32Array, rows: number, n: number): number {
  const { ofRows, ofMean } = softmaxEntropies(logits, rows, n);
  return ofMean - ofRows;
}

/**
 * How much of a layer's mask changed: the bits that differ over the bits that are set in both masks together, which with the
 * same k is |changed bits| / (2 |kept bits|). 0 for equal masks, 1 for disjoint ones, whatever their k; where k shrank and nothing
 * else happened, (k0 - k1) / (k0 + k1).
 *
 * @throws InputError if their sizes differ, or neither keeps anything.
 *
 * @example
 * churn(Uint8Array.of(1, 1, 0, 0), Uint8Array.of(1, 0, 1, 0)); // 0.5
 */
export function churn(before: Uint8Array, after: Uint8Array): number {
  checkSizes("churn", before, after);
  let changed = 0;
  let kept = 0;
  for (let i = 0; i < before.length; i++) {
    changed += before[i] ^ after[i];
    kept += before[i] + after[i];
  }
  if (kept === 0) {
    throw new InputError("churn: expected masks that keep at least one unit, got two that keep none.");
  }
  return changed / kept;
}

/**
 * The share of the units kept by `mask` that `other` keeps as well.
 *
 * @throws InputError if their sizes differ, or `mask` keeps nothing.
 *
 * @example
 * overlap(Uint8Array.of(1, 1, 0, 0), Uint8Array.of(0, 1, 1, 0)); // 0.5
 */
export function overlap(mask: Uint8Array, other: Uint8Array): number {
  checkSizes("overlap", mask, other);
  let kept = 0;
  let common = 0;
  for (let i = 0; i < mask.length; i++) {
    kept += mask[i];
    common += mask[i] & other[i];
  }
  if (kept === 0) {
    throw new InputError("overlap: expected a mask that keeps at least one unit, got one that keeps none.");
  }
  return common / kept;
}

/**
 * How many units none of the masks keeps: with the masks of all epochs so far, the units that were never tried; with the rows
 * of one mask, the inputs that no group uses.
 *
 * @throws InputError if there is no mask, or their sizes differ.
 *
 * @example
 * neverChosen([Uint8Array.of(1, 0, 0, 0), Uint8Array.of(0, 0, 1, 0)]); // 2
 */
export function neverChosen(masks: Iterable<Uint8Array>): number {
  let chosen: Uint8Array | undefined;
  for (const mask of masks) {
    if (chosen === undefined) chosen = mask.slice();
    else {
      checkSizes("units never chosen", chosen, mask);
      for (let i = 0; i < mask.length; i++) chosen[i] |= mask[i];
    }
  }
  if (chosen === undefined) throw new InputError("units never chosen: expected at least one mask, got none.");
  let never = 0;
  for (const bit of chosen) never += 1 - bit;
  return never;
}

function checkSizes(metric: string, a: Uint8Array, b: Uint8Array): void {
  if (a.length !== b.length) {
    throw new InputError(
      `${metric}: expected masks of one size, got ${a.length} and ${b.length} units. Compare masks of the same layer.`,
    );
  }
}

/** -p log p - (1-p) log(1-p), in nats. */
function binaryEntropy(p: number): number {
  return p > 0 && p < 1 ? -p * Math.log(p) - (1 - p) * Math.log1p(-p) : 0;
}

function meanEntropy(probabilities: Float64Array): number {
  let sum = 0;
  for (const p of probabilities) sum += binaryEntropy(p);
  return sum / probabilities.length;
}

/** Over log n: the mean entropy of the rows' softmax distributions, and the entropy of their mean. */
function softmaxEntropies(logits: Float32Array, rows: number, n: number): { ofRows: number; ofMean: number } {
  if (n === 1) return { ofRows: 0, ofMean: 0 };
  const p = new Float64Array(n);
  const mean = new Float64Array(n);
  let ofRows = 0;
  for (let start = 0; start < rows * n; start += n) {
    let largest = -Infinity;
    for (let i = 0; i < n; i++) largest = Math.max(largest, logits[start + i]);
    let total = 0;
    for (let i = 0; i < n; i++) total += p[i] = Math.exp(logits[start + i] - largest);
    for (let i = 0; i < n; i++) mean[i] += (p[i] /= total) / rows;
    ofRows += entropy(p) / rows;
  }
  const limit = Math.log(n);
  return { ofRows: ofRows / limit, ofMean: entropy(mean) / limit };
}

function entropy(p: Float64Array): number {
  let sum = 0;
  for (const share of p) if (share > 0) sum -= share * Math.log(share);
  return sum;
}
