/**
 * How the units of a pruned layer lie in its weight: between mask logits of shape [R, n] and the weight tensor.
 *
 * In the canonical view [Cout, fan-in] of a weight, fan-in = Cin / group * K, a unit is `share` consecutive rows by a span of
 * consecutive columns: 1 (weights), K (kernels) or all of them (maps). The units in row-major order are [R, n] in
 * row-major order, for every granularity; groups only decide where a row of [R, n] ends. Maps may lie otherwise: there the
 * layer's set says which unit a row belongs to, and a unit may have several.
 */

import {
  canonicalDims,
  forEachWeight,
  spanOf,
  type UnitLayout,
  type UnitShape,
  weightMask,
} from "@kofn/format/file/units.js";
import { KofnError } from "../errors.js";
import { sizeOf } from "../onnx/tensor.js";
import type { MapCarrier, MapSet, PrunedLayer } from "./types.js";

/** A layer that is pruned by maps, with its set. */
type MapLayer = PrunedLayer & { readonly granularity: "maps" };

function isMapLayer(layer: PrunedLayer): layer is MapLayer {
  return layer.granularity === "maps";
}

/** The set of a layer that is pruned by maps: by default that of a layer on which no other depends. */
function setOf(layer: MapLayer): MapSet {
  if (layer.set !== undefined) return layer.set;
  const { name, n, weight, bias, transposed } = layer;
  const units = Int32Array.from({ length: n }, (_, unit) => unit);
  const carriers: MapCarrier[] = [{ parameter: weight, axis: transposed ? 1 : 0, units, trained: true }];
  if (bias !== undefined) carriers.push({ parameter: bias, axis: 0, units, trained: true });
  return { name, layers: [{ layer, units }], n, carriers };
}

/** The parameters on which the mask of a layer's maps goes; none for other granularities, whose mask goes on the weight. */
export function carriersOf(layer: PrunedLayer): readonly MapCarrier[] {
  return isMapLayer(layer) ? setOf(layer).carriers : [];
}

/**
 * Each weight that the layer's mask prunes, as a pruned layer: its own, and those of the layers that share its maps.
 *
 * @example
 * membersOf(layer).map(({ name }) => name); // ["conv1", "layer1.0.conv2", "layer1.1.conv2"]
 */
export function membersOf(layer: PrunedLayer): PrunedLayer[] {
  if (!isMapLayer(layer)) return [layer];
  const set = setOf(layer);
  return set.layers.map((member) => ({ ...layer, ...member.layer, set: { ...set, layers: [member] } }));
}

/**
 * The steps from a tensor over units, [R, n], to one that broadcasts against the weight: Reshape to `unitDims`; where
 * channels share masks, Expand to `expandDims`; Reshape to `maskDims` (equal to `unitDims` without sharing); where the weight
 * is [in, out], Transpose by `perm`.
 */
export interface Arrangement {
  readonly unitDims: readonly number[];
  readonly expandDims?: readonly number[];
  readonly maskDims: readonly number[];
  readonly perm?: readonly number[];
}

/**
 * How a mask of shape [R, n] of weights or kernels is brought to the weight.
 *
 * @example
 * // Conv [8, 4, 3, 3], kernels, share 2: R = 4, n = 4
 * arrangement(layer); // { unitDims: [4, 1, 4], expandDims: [4, 2, 4], maskDims: [8, 4, 1, 1] }
 */
export function arrangement(layer: PrunedLayer): Arrangement {
  const [outputs, inputs, kernel] = canonicalDims(layer);
  const span = spanOf(layer.granularity, layer);
  const columns = (inputs * kernel) / span;
  const kernelDims = layer.dims.slice(2);
  const ones = kernelDims.map(() => 1);
  const maskDims = [outputs, inputs, ...(span === 1 ? kernelDims : ones)];
  const perm = layer.transposed ? { perm: [1, 0] } : {};
  if (layer.share === 1) return { unitDims: maskDims, maskDims, ...perm };
  const blocks = outputs / layer.share;
  return {
    unitDims: [blocks, 1, columns],
    expandDims: [blocks, layer.share, columns],
    maskDims,
    ...perm,
  };
}

/** Whether the units [R, n] are the weights themselves, one by one and in the order in which the weight stores them. */
export function unitsAreWeights(layer: PrunedLayer): boolean {
  return (
    !isMapLayer(layer) && !layer.transposed && layer.share === 1 && spanOf(layer.granularity, layer) === 1
  );
}

/** How the units [R, n] lie in the weight as stored. */
export function layoutOf(layer: PrunedLayer): UnitLayout {
  const { transposed, share, n } = layer;
  const unitOfRow = isMapLayer(layer) ? setOf(layer).layers[0].units : undefined;
  return { transposed, span: spanOf(layer.granularity, layer), share, n, unitOfRow };
}

function shapeOf(layer: PrunedLayer): UnitShape {
  return { ...layoutOf(layer), dims: layer.dims };
}

/**
 * The mask of the whole weight, in the weight's own layout.
 *
 * @param units [R, n], 1 for the units that are kept.
 * @throws KofnError if `units` is not as long as the layer has units.
 */
export function maskOfUnits(layer: PrunedLayer, units: Uint8Array): Uint8Array {
  checkLength(layer, "units", units.length, layer.groups * layer.n);
  return weightMask({ layout: layoutOf(layer), units }, layer.dims);
}

/** For each weight as stored, the unit (an index into [R, n]) that it belongs to. */
export function unitOfWeights(layer: PrunedLayer): Int32Array {
  const units = new Int32Array(sizeOf(layer.dims));
  forEachWeight(shapeOf(layer), (index, unit) => {
    units[index] = unit;
  });
  return units;
}

/**
 * The sum of the magnitudes of each unit's weights, [R, n].
 *
 * @param weight the weight in its own layout.
 * @throws KofnError if `weight` is not as long as the layer's dimensions say.
 */
export function unitsOfMagnitude(layer: PrunedLayer, weight: Float32Array): Float32Array {
  return Float32Array.from(sumsOfUnits(layer, weight, Math.abs));
}

/** The sum over each unit's weights of `of(weight)`, [R, n]. */
function sumsOfUnits(layer: PrunedLayer, weight: Float32Array, of: (value: number) => number): Float64Array {
  checkLength(layer, "weights", weight.length, sizeOf(layer.dims));
  const sums = new Float64Array(layer.groups * layer.n);
  forEachWeight(shapeOf(layer), (index, unit) => {
    sums[unit] += of(weight[index]);
  });
  return sums;
}

/**
 * The norm of each of a layer's units [R, n], over all weights that its mask prunes.
 *
 * @param parameter gives the values of a weight by its name.
 */
export function norms(layer: PrunedLayer, parameter: (name: string) => Float32Array): Float32Array {
  const [sums, ...others] = membersOf(layer).map((one) =>
    sumsOfUnits(one, parameter(one.weight), (value) => value * value),
  );
  return Float32Array.from(sums, (sum, i) =>
    Math.sqrt(others.reduce((total, other) => total + other[i], sum)),
  );
}

/**
 * The magnitudes of a layer's units [R, n], in all weights that its mask prunes.
 *
 * @param parameter gives the values of a weight by its name.
 */
export function magnitudes(layer: PrunedLayer, parameter: (name: string) => Float32Array): Float32Array {
  const [sums, ...others] = membersOf(layer).map((one) => unitsOfMagnitude(one, parameter(one.weight)));
  return sums.map((sum, i) => others.reduce((total, other) => total + other[i], sum));
}

/**
 * How many units of each group a weight-shaped mask keeps: R counts.
 *
 * @param mask 0 or 1 for each weight, in the weight's layout.
 * @throws KofnError if the mask has another length or other values, or keeps a part of a unit.
 *
 * @example
 * countPerGroup(layer, run.masks.get("fc1.weight").array()); // Uint32Array [40, 40, ...]
 */
export function countPerGroup(layer: PrunedLayer, mask: Uint8Array): Uint32Array {
  checkLength(layer, "mask values", mask.length, sizeOf(layer.dims));
  const unset = 255;
  const units = new Uint8Array(layer.groups * layer.n).fill(unset);
  forEachWeight(shapeOf(layer), (index, unit) => {
    const value = mask[index];
    if (value > 1) {
      throw new KofnError(
        `mask of "${layer.weight}": expected 0 or 1 everywhere, got ${value} at index ${index}.`,
      );
    }
    if (units[unit] === unset) units[unit] = value;
    else if (units[unit] !== value) {
      throw new KofnError(
        `mask of "${layer.weight}": unit ${unit % layer.n} of group ${Math.floor(unit / layer.n)} (granularity ${layer.granularity}${layer.share > 1 ? `, share ${layer.share}` : ""}) is kept in part; a unit is kept or removed as a whole.`,
      );
    }
  });
  const counts = new Uint32Array(layer.groups);
  for (let unit = 0; unit < units.length; unit++) counts[Math.floor(unit / layer.n)] += units[unit];
  return counts;
}

/** How many of the layer's weights its mask keeps. */
export function keptWeights(layer: PrunedLayer): number {
  const span = spanOf(layer.granularity, layer);
  const rows = isMapLayer(layer) ? canonicalDims(layer)[0] / layer.n : layer.share;
  return layer.groups * layer.k * span * rows;
}

function checkLength(layer: PrunedLayer, what: string, actual: number, expected: number): void {
  if (actual === expected) return;
  throw new KofnError(`layer "${layer.name}" has ${expected} ${what}, got ${actual}.`);
}
