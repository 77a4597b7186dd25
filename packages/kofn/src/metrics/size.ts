/** Counts the bytes of a model's parameters: dense, packed, and at the limit that information theory sets. */

import type { Graph } from "../onnx/model.js";
import { keptWeights, masksBias } from "../prune/groups.js";
import { sizeOf } from "../onnx/tensor.js";
import type { PrunedLayer } from "../prune/types.js";

const FLOAT_BITS = 32;

export interface Sizes {
  /** All parameters as float32. */
  readonly bytesDense: number;
  /** Kept values as float32, with each layer's mask as a bitmap or as fixed-width indices, whichever is smaller. */
  readonly bytesPacked: number;
  /** Kept values as float32, with each layer's mask in log2 C(n, k) bits per group: no code can do with fewer on average. */
  readonly bytesLimit: number;
}

/**
 * The sizes of a graph's parameters: its floating-point initializers. Values that pruning removes take no
 * bytes when packed, the biases of removed maps included; masks are stored in whole bytes per layer.
 *
 * @example
 * sizesOf(model.graph, resolvePrune(prunableLayers(model.graph), { "*": weights({ tile: [2, 4] }) }));
 */
export function sizesOf(graph: Graph, pruned: readonly PrunedLayer[] = []): Sizes {
  let values = 0;
  for (const { dtype, size } of graph.initializers.values()) if (dtype.includes("float")) values += size;
  let removed = 0;
  let packed = 0;
  let limit = 0;
  for (const layer of pruned) {
    removed += sizeOf(layer.dims) - keptWeights(layer);
    if (masksBias(layer)) removed += layer.n - layer.k;
    packed += bytes(packedMaskBits(layer));
    limit += bytes(maskBits(layer));
  }
  const kept = bytes((values - removed) * FLOAT_BITS);
  return { bytesDense: bytes(values * FLOAT_BITS), bytesPacked: kept + packed, bytesLimit: kept + limit };
}

/** Bits of a layer's mask in its smallest plain form: a bitmap, or ceil(log2 n) bits for each kept unit. */
function packedMaskBits({ groups, n, k }: PrunedLayer): number {
  return k === n ? 0 : groups * Math.min(n, k * Math.ceil(Math.log2(n)));
}

/** Bits that tell a layer's mask from all others with k of n in each group: groups * log2 C(n, k). */
export function maskBits({ groups, n, k }: PrunedLayer): number {
  return groups * log2Choose(n, k);
}

/**
 * log2 of the number of ways to choose k of n, by summing logarithms: accurate to 12 digits up to n of millions.
 *
 * @example
 * log2Choose(4, 2); // log2(6) = 2.585
 */
export function log2Choose(n: number, k: number): number {
  const smaller = Math.min(k, n - k);
  let bits = 0;
  for (let i = 1; i <= smaller; i++) bits += Math.log2((n - smaller + i) / i);
  return bits;
}

function bytes(bits: number): number {
  return Math.ceil(bits / 8);
}
