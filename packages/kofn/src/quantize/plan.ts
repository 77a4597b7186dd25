/** What a quantize spec means for a model: which weights, and which activations of which layers. */

import type { ActivationFormat } from "@kofn/format/run/words.js";
import { InputError } from "../errors.js";
import { prunableLayers, weightOf } from "../layers/layers.js";
import type { PrunableLayer } from "../layers/types.js";
import type { Graph } from "../onnx/model.js";
import { isNonNegative } from "./non-negative.js";
import { type LayerQuantization, resolveQuantize } from "./spec.js";
import type { QuantizedActivation, QuantizeSpec, WeightRule } from "./types.js";

/** A weight that is quantized. */
export interface PlannedWeight {
  readonly layer: PrunableLayer;
  readonly rule: Required<WeightRule>;
}

/** A value that is quantized where some layers read it. */
export interface PlannedActivation {
  /** Name of the value in the graph. */
  readonly tensor: string;
  /** Name of the first layer that reads it so. */
  readonly layer: string;
  /** The weights of all layers that read it so. */
  readonly readers: ReadonlySet<string>;
  readonly format: ActivationFormat;
  /** Whether it may be below 0. */
  readonly signed: boolean;
}

/** What is quantized in a model. */
export interface QuantizationPlan {
  readonly weights: readonly PlannedWeight[];
  readonly activations: readonly PlannedActivation[];
  /** The names of the layers that a rule of activations left out because they are the first or the last. */
  readonly exempt: readonly string[];
}

/**
 * @throws InputError if a pattern matches no layer, or a rule is none of what its pattern stands for.
 * @example
 * planQuantization(zoo.lenet5().graph, { "*": int8() }).weights.length; // 4
 */
export function planQuantization(graph: Graph, spec: QuantizeSpec = {}): QuantizationPlan {
  const { layers, exempt } = resolveQuantize(prunableLayers(graph), spec);
  const weights = layers.flatMap(({ layer, weights: rule }) => (rule === undefined ? [] : [{ layer, rule }]));
  const activations = activationReads(graph, layers).map(({ tensor, layer, readers, format }) => {
    return { tensor, layer, readers, format, signed: !isNonNegative(graph, tensor) };
  });
  return { weights, activations, exempt };
}

/**
 * The activations that layers read quantized, each with all layers that read it.
 *
 * @throws InputError if of layers that read the same value some want it otherwise.
 */
export function activationReads(
  graph: Graph,
  layers: readonly LayerQuantization[],
): Omit<PlannedActivation, "signed">[] {
  const formats = new Map(layers.map(({ layer, activations }) => [layer.weight, activations]));
  const names = new Map(prunableLayers(graph).map(({ weight, name }) => [weight, name]));
  const reads = new Map<
    string,
    { layer: string; readers: Set<string>; format: ActivationFormat | undefined }
  >();
  for (const node of graph.nodes) {
    const weight = weightOf(graph, node)?.name ?? "";
    const layer = names.get(weight);
    if (layer === undefined) continue;
    const format = formats.get(weight);
    const known = reads.get(node.inputs[0]);
    if (known === undefined) reads.set(node.inputs[0], { layer, readers: new Set([weight]), format });
    else if (known.format === format) known.readers.add(weight);
    else {
      throw new InputError(
        `quantize spec: the layers "${known.layer}" and "${layer}" read the same activations, which can't be both ` +
          `${known.format ?? "left alone"} and ${format ?? "left alone"}. Give both layers one format: "activations.${known.layer}" and "activations.${layer}".`,
      );
    }
  }
  return [...reads].flatMap(([tensor, { layer, readers, format }]) =>
    format === undefined ? [] : [{ tensor, layer, readers, format }],
  );
}

/** The smallest and the largest of round(x / scale). */
export function roundedRange({ format, signed }: PlannedActivation): readonly [low: number, high: number] {
  if (format === "binary") return [0, 1];
  return signed ? [-128, 127] : [0, 255];
}

/**
 * What a learned scale of an activation means: binary activations that may be negative are -scale and scale in training, and so
 * 2 scale apart.
 */
export function quantizedActivation(
  { tensor, layer, format, signed }: PlannedActivation,
  scale: number,
): QuantizedActivation {
  const own = { tensor, layer, format };
  if (format === "binary")
    return signed ? { ...own, scale: 2 * scale, zeroPoint: 0.5 } : { ...own, scale, zeroPoint: 0 };
  const least = format === "uint8" ? 0 : -128;
  return { ...own, scale, zeroPoint: signed ? least + 128 : least };
}
