/** What a quantize spec means for a model: which weights, and which activations of which layers. */

import { InputError } from "../errors.js";
import type { Graph } from "../onnx/model.js";
import { prunableLayers } from "../prune/layers.js";
import { type LayerQuantization, resolveQuantize } from "./spec.js";
import type { QuantizeSpec } from "./types.js";
import type { PrunableLayer } from "../prune/types.js";
import type { WeightRule } from "./types.js";

/** A weight that is quantized. */
export interface PlannedWeight {
  readonly layer: PrunableLayer;
  readonly rule: Required<WeightRule>;
}

/** What is quantized in a model. */
export interface QuantizationPlan {
  readonly weights: readonly PlannedWeight[];
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
  const reader = layers.find(({ activations }) => activations !== undefined);
  if (reader !== undefined) {
    throw new InputError(
      `quantize: this version of kofn does not train quantized activations yet, but layer "${reader.layer.name}" was to read some; leave the rule of activations out`,
    );
  }
  return { weights: layers.flatMap(plannedWeight), exempt };
}

function plannedWeight({ layer, weights }: LayerQuantization): PlannedWeight[] {
  return weights === undefined ? [] : [{ layer, rule: weights }];
}
