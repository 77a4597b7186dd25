/** Counts the bytes of a model's parameters: dense, and at the limit that information theory sets. */

import type { LayerSize } from "@kofn/format/run/types.js";
import { prunableLayers } from "../layers/layers.js";
import type { Graph } from "../onnx/model.js";
import { sizeOf } from "../onnx/tensor.js";
import { carriersOf, keptWeights, membersOf } from "../prune/units.js";
import type { Remains } from "../prune/structure/remove.js";
import type { PrunedLayer } from "../prune/types.js";
import type { Quantization } from "../quantize/types.js";
import { bitsOf } from "../quantize/weights.js";

const FLOAT_BITS = 32;
const UNQUANTIZED: Quantization = { weights: [], activations: [] };

export interface Sizes {
  /** All parameters as float32. */
  readonly bytesDense: number;
  /**
   * Kept values as float32 or in the bits of their format, with scales, and with each layer's mask in log2 C(n, k) bits per
   * group: no code of masks can do with fewer on average.
   */
  readonly bytesLimit: number;
}

/**
 * The sizes of a graph's parameters: its floating-point initializers. Values that pruning removes take no
 * bytes when packed, the biases of removed maps included; masks are stored in whole bytes per layer.
 *
 * @param remains what is left of the graph without its removed maps. Then what follows from them counts as removed
 * too, such as the weights that read them, and masks of maps take no bytes.
 * @param quantization of weights at the shapes of `graph`. Default: none.
 * @example
 * sizesOf(model.graph, resolvePrune(prunableLayers(model.graph), { "*": weights({ tile: [2, 4] }) }));
 */
export function sizesOf(
  graph: Graph,
  pruned: readonly PrunedLayer[] = [],
  remains?: Remains,
  quantization: Quantization = UNQUANTIZED,
): Sizes {
  const values = floatsIn(graph);
  const kept = remains === undefined ? values - removedBy(graph, pruned) : keptIn(remains);
  let limit = 0;
  for (const layer of pruned) {
    if (remains !== undefined && layer.granularity === "maps") continue;
    limit += bytes(maskBits(layer));
  }
  const saved = layerSizes(graph, pruned, remains, quantization)
    .filter(({ format }) => format !== "float32")
    .reduce((sum, row) => sum + bytes(row.kept * FLOAT_BITS) - row.bytes.weights - row.bytes.scales, 0);
  const bytesKept = bytes(kept * FLOAT_BITS) - saved;
  return {
    bytesDense: bytes(values * FLOAT_BITS),
    bytesLimit: bytesKept + limit,
  };
}

/**
 * What each layer's weights take at the limit, for all layers that have weights.
 *
 * @param remains and quantization as in {@link sizesOf}.
 * @example
 * layerSizes(run.masked.graph, [], undefined, run.quantization)[0].bits; // 4
 */
export function layerSizes(
  graph: Graph,
  pruned: readonly PrunedLayer[],
  remains?: Remains,
  { weights }: Quantization = UNQUANTIZED,
): LayerSize[] {
  const rules = new Map(pruned.flatMap(membersOf).map((layer) => [layer.weight, layer]));
  const masks = new Map(
    pruned.map((layer) => {
      const isRemoved = remains !== undefined && layer.granularity === "maps";
      return [layer.weight, isRemoved ? 0 : bytes(maskBits(layer))];
    }),
  );
  const quantized = new Map(weights.map((one) => [one.weight, one]));
  return prunableLayers(graph).map(({ name, weight, dims }) => {
    const rule = rules.get(weight);
    const one = quantized.get(weight);
    const left = remains === undefined ? dims : (remains.model.graph.initializers.get(weight)?.dims ?? [0]);
    const kept =
      remains === undefined
        ? rule === undefined
          ? sizeOf(dims)
          : keptWeights(rule)
        : sizeOf(left) - zerosIn(remains, weight);
    const bits = one === undefined ? FLOAT_BITS : bitsOf(one.format);
    const groups = rule?.groups ?? 1;
    return {
      name,
      weight,
      format: one?.format ?? "float32",
      bits,
      kept,
      bytes: {
        weights: groups * bytes((kept / groups) * bits),
        indices: masks.get(weight) ?? 0,
        scales: one === undefined ? 0 : 4 * (left[one.axis] ?? 0),
      },
    };
  });
}

/** Weights that are left, and that a mask removes. */
function zerosIn({ masks }: Remains, weight: string): number {
  let zeros = 0;
  for (const bit of masks.get(weight)?.array() ?? []) if (bit === 0) zeros++;
  return zeros;
}

function floatsIn(graph: Graph): number {
  let values = 0;
  for (const { dtype, size } of graph.initializers.values()) if (dtype.includes("float")) values += size;
  return values;
}

function keptIn({ model, masks }: Remains): number {
  let values = floatsIn(model.graph);
  for (const mask of masks.values()) for (const bit of mask.array()) if (bit === 0) values--;
  return values;
}

/** Parameters that masks remove: weights, and what else a mask of maps goes on. */
function removedBy(graph: Graph, pruned: readonly PrunedLayer[]): number {
  let removed = 0;
  for (const layer of pruned) {
    if (layer.granularity !== "maps") removed += sizeOf(layer.dims) - keptWeights(layer);
    for (const { parameter, units } of carriersOf(layer)) {
      const own = units.reduce((sum, unit) => (unit < 0 ? sum : sum + 1), 0);
      const each = (graph.initializers.get(parameter)?.size ?? 0) / units.length;
      removed += each * (own / layer.n) * (layer.n - layer.k);
    }
  }
  return removed;
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

export function bytes(bits: number): number {
  return Math.ceil(bits / 8);
}
