/** Masks that a run is given to train with, in place of masks that it learns. */

import { InputError, messageOf } from "../errors.js";
import type { Tensor } from "../onnx/tensor.js";
import { countPerGroup, maskOfUnits, membersOf, unitOfWeights } from "./units.js";
import type { PrunedLayer } from "./types.js";

/** One mask for each pruned weight, by its name and in its shape: 1 where a weight is kept. */
export type GivenMasks = ReadonlyMap<string, Tensor<"uint8">>;

/**
 * The units [R, n] that masks keep, for each layer: 1 or 0.
 *
 * @throws InputError if a mask is missing, is of no pruned weight, has another shape, or does not keep exactly k of each group.
 */
export function unitsOfMasks(layers: readonly PrunedLayer[], masks: GivenMasks): Uint8Array[] {
  const members = layers.flatMap(membersOf);
  const pruned = members.map(({ name }) => name).join(", ") || "none";
  const foreign = [...masks.keys()].find((weight) => !members.some((layer) => layer.weight === weight));
  if (foreign !== undefined) {
    throw new InputError(
      `masks: there is one for "${foreign}", which no rule prunes. Pruned layers: ${pruned}. Say how it is pruned (--prune), or leave its mask out.`,
    );
  }
  return layers.map((layer) => {
    const [first, ...others] = membersOf(layer);
    const mask = maskOf(first, masks);
    const units = new Uint8Array(layer.groups * layer.n);
    unitOfWeights(first).forEach((unit, i) => {
      units[unit] = mask[i];
    });
    for (const other of others) {
      if (Buffer.compare(maskOfUnits(other, units), maskOf(other, masks)) === 0) continue;
      throw new InputError(
        `masks: "${other.weight}" keeps other maps than "${first.weight}", with which it shares one mask.`,
      );
    }
    return units;
  });
}

/** The mask of a layer's weight, which keeps exactly k units of each group. */
function maskOf(layer: PrunedLayer, masks: GivenMasks): Uint8Array {
  const { weight, dims, n, k } = layer;
  const mask = masks.get(weight);
  if (mask?.dims.join() !== dims.join()) {
    const found = mask === undefined ? "none" : `one of [${mask.dims.join(", ")}]`;
    throw new InputError(`masks: expected one of [${dims.join(", ")}] for "${weight}", found ${found}.`);
  }
  const values = mask.array();
  let counts: Uint32Array;
  try {
    counts = countPerGroup(layer, values);
  } catch (error) {
    throw new InputError(`masks: ${messageOf(error)}`, { cause: error });
  }
  const group = counts.findIndex((count) => count !== k);
  if (group >= 0) {
    throw new InputError(
      `masks: "${weight}" is to keep exactly ${k} of ${n} in each group, but the mask keeps ${counts[group]} in group ${group}. Give it the rule by which it was made (--prune).`,
    );
  }
  return values;
}
