/** Masks in a step's graph: where they come in or are drawn, and how they reach the parameters that they mask. */

import type { Builder } from "../onnx/builder.js";
import { int } from "../onnx/model.js";
import { arrangement, carriersOf } from "../prune/units.js";
import type { MapCarrier, PrunedLayer } from "../prune/types.js";
import { logitsName, maskedName, noiseName } from "./names.js";
import type { GraphSampling, PlannedMask } from "./plan.js";

/** Appends the inputs of masks, or of weights that are masked already; or the drawing of masks, with its own inputs. */
export function appendMaskValues(
  b: Builder,
  masks: readonly PlannedMask[],
  sampling: "host" | GraphSampling,
): void {
  if (sampling !== "host") appendSampling(b, masks, sampling);
  else {
    for (const { layer, value, holds } of masks) {
      b.input(value, "float32", holds === "masked weight" ? layer.dims : [layer.groups, layer.n]);
    }
  }
}

/** Inputs of logits and noise, and the masks [R, n] that the graph draws from them. */
function appendSampling(b: Builder, masks: readonly PlannedMask[], { k }: GraphSampling): void {
  if (masks.length === 0) return;
  const tau = b.input("tau", "float32", []);
  for (const [i, { layer, value }] of masks.entries()) {
    const shape = [layer.groups, layer.n];
    const phi = b.input(logitsName(layer.weight), "float32", shape);
    const noise = b.input(noiseName(layer.weight), "float32", shape);
    b.op("KofN", [phi, noise, tau], { k: int(k[i]) }, value);
  }
}

/**
 * Appends the products of parameters and masks.
 *
 * @param seen the value that the forward pass sees in place of a parameter; gets those that are masked.
 */
export function appendMasked(b: Builder, masks: readonly PlannedMask[], seen: Map<string, string>): void {
  for (const { layer, value, holds } of masks) if (holds === "masked weight") seen.set(layer.weight, value);
  for (const { layer, value, holds } of masks) {
    if (holds === "masked weight") continue;
    const mask = (parameter: string, kept: string): void => {
      seen.set(parameter, b.mul(seen.get(parameter) ?? parameter, kept, maskedName(parameter)));
    };
    if (layer.granularity !== "maps") mask(layer.weight, maskOf(b, layer, value));
    for (const carrier of carriersOf(layer)) {
      if (carrier.trained) mask(carrier.parameter, maskOfCarrier(b, carrier, value, layer.n));
    }
  }
}

/** Brings the mask of units [R, n] to a shape that broadcasts against the layer's weight. */
export function maskOf(b: Builder, layer: PrunedLayer, units: string): string {
  const { unitDims, expandDims, maskDims, perm } = arrangement(layer);
  let mask = b.reshape(units, unitDims, `${layer.weight}/mask`);
  if (expandDims !== undefined) mask = b.reshape(b.expand(mask, expandDims), maskDims);
  return perm === undefined ? mask : b.transpose(mask, perm);
}

/** Brings the mask of maps [1, n] to a shape that broadcasts against a parameter that carries them. */
function maskOfCarrier(
  b: Builder,
  { parameter, axis, units }: MapCarrier,
  sampled: string,
  n: number,
): string {
  const dims = b.shape(parameter).map((_, i) => (i === axis ? units.length : 1));
  if (units.length === n && units.every((unit, i) => unit === i)) {
    return b.reshape(sampled, dims, `${parameter}/mask`);
  }
  // Channels of other sets are kept, as far as this mask goes.
  const kept = b.constant("float32", [1, 1], [1]);
  const withKept = units.includes(-1) ? b.op("Concat", [sampled, kept], { axis: int(1) }) : sampled;
  const indices = b.vector(Array.from(units, (unit) => (unit < 0 ? n : unit)));
  const picked = b.op("Gather", [withKept, indices], { axis: int(1) });
  return b.reshape(picked, dims, `${parameter}/mask`);
}

/** loss + weight * sum over groups of H(softmax(phi)), H(p) = -sum p log p. */
export function appendEntropy(
  b: Builder,
  loss: string,
  masks: readonly PlannedMask[],
  weight: number,
): string {
  const terms = masks.map(({ layer }) => {
    const phi = logitsName(layer.weight);
    const axis = { axis: int(1) };
    const plogp = b.mul(b.op("Softmax", [phi], axis), b.op("LogSoftmax", [phi], axis));
    return b.mul(b.sum(plogp, [0, 1], false), b.scalar(-weight, phi));
  });
  return b.op("Sum", [loss, ...terms], {}, "regularised_loss");
}
