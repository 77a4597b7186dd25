/** Puts fake quantizers on activations while a training step is built. */

import type { Builder } from "../onnx/builder.js";
import { int, type Node } from "../onnx/model.js";
import { type PlannedActivation, roundedRange } from "./plan.js";

/**
 * The fake quantizers of a step's activations. Their scales are inputs of the graph.
 *
 * @example
 * const quantizers = new ActivationQuantizers(b, plan.activations);
 * const input = quantizers.read(node, node.inputs[0]); // what the node is to read in place of its first input
 */
export class ActivationQuantizers {
  /** For each activation the graph's input with its scale, a scalar. */
  readonly scales: ReadonlyMap<PlannedActivation, string>;
  readonly #b: Builder;
  readonly #made = new Map<PlannedActivation, string>();

  constructor(b: Builder, activations: readonly PlannedActivation[]) {
    this.#b = b;
    this.scales = new Map(activations.map((one) => [one, b.input(activationScale(one), "float32", [])]));
  }

  /**
   * @param node of the model, with its own names.
   * @param value what its first input is called in the step.
   */
  read(node: Node, value: string): string {
    const [tensor, weight] = node.inputs;
    for (const [one, scale] of this.scales) {
      if (one.tensor !== tensor || !one.readers.has(weight)) continue;
      const quantized = this.#made.get(one) ?? this.#quantize(one, value, scale);
      this.#made.set(one, quantized);
      return quantized;
    }
    return value;
  }

  #quantize(one: PlannedActivation, value: string, scale: string): string {
    const name = `${value}/quantized`;
    if (one.format === "binary" && one.signed) return this.#b.op("FakeBinarize", [value, scale], {}, name);
    const [low, high] = roundedRange(one);
    return this.#b.op("FakeQuantize", [value, scale], { low: int(low), high: int(high) }, name);
  }
}

/** The name of an activation's scale among the inputs of a step. */
export function activationScale({ layer, format }: PlannedActivation): string {
  return `${layer}/activation/${format}/scale`;
}
