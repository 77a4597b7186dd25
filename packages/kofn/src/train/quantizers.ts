/** The fake quantizers of a run on the host, with the optimizer of their scales. */

import { type HostArrays, HostOptimizer } from "../optim/host-optimizer.js";
import { optimizerOf } from "../optim/optimizer.js";
import { type LayerMask, masksOfWeights } from "../prune/apply.js";
import { HostQuantizer } from "../quantize/host-quantizer.js";
import type { QuantizationPlan } from "../quantize/plan.js";
import type { Quantization, QuantizedWeight } from "../quantize/types.js";
import { channelAxis, channelView, codesOf, dequantized } from "../quantize/weights.js";
import type { HeldTensor } from "./state.js";

/** Scales are learned by Adam, in their logarithms: a step changes one by about this share of itself, at the peak of the schedule. */
const SCALE_RATE = 0.01;

/** The name of the logarithms of a weight's scales among the tensors of a run. */
const scalesName = (weight: string): string => `${weight}/log-scale`;

/** The weights of a run that are quantized, by name, with their scales and what the scales' optimizer knows. */
export class Quantizers {
  readonly held: readonly HeldTensor[];
  readonly #weights: ReadonlyMap<string, HostQuantizer>;
  readonly #scales: HostOptimizer;
  readonly #optimizer = optimizerOf({ kind: "adam", lr: SCALE_RATE });

  constructor({ weights }: QuantizationPlan) {
    const learned = weights.filter(({ rule }) => rule.method === "lsq");
    this.#scales = new HostOptimizer(
      this.#optimizer,
      learned.map(({ layer }) => ({
        name: scalesName(layer.weight),
        dims: [channelView(layer).length],
        decays: false,
      })),
    );
    this.#weights = new Map(
      weights.map(({ layer, rule }) => {
        const arrays = this.#scales.arrays.get(scalesName(layer.weight));
        return [layer.weight, new HostQuantizer(layer, rule, arrays)];
      }),
    );
    this.held = [...this.#scales.arrays].flatMap(([name, { values, states }]) => {
      const dims = [values.length];
      const ofStates = [...states].map(([state, array]) => ({ name: `${name}/${state}`, dims, array }));
      return [{ name, dims, array: values }, ...ofStates];
    });
  }

  /** What a step is to see in place of each weight. */
  get seen(): ReadonlyMap<string, Float32Array> {
    return new Map([...this.#weights].map(([weight, { quantized }]) => [weight, quantized]));
  }

  /** Names of the learned scales among the tensors of the run. */
  get scaleNames(): string[] {
    return [...this.#scales.arrays.keys()];
  }

  /** Sets all learned scales to where they begin. */
  begin(parameter: (name: string) => Float32Array, masks: readonly LayerMask[]): void {
    const isKept = keptBy(masks);
    for (const [weight, one] of this.#weights) one.begin(parameter(weight), isKept(weight));
  }

  /** Before a step: quantizes all weights. */
  forward(parameter: (name: string) => Float32Array, isKept: (weight: string) => IsKept): void {
    for (const [weight, one] of this.#weights) one.forward(parameter(weight), isKept(weight));
  }

  /**
   * After a step: makes the gradients of the weights of those of what the step saw, and updates the scales.
   *
   * @param t number of the step, from 1, since quantization began
   * @param factor of the learning rate in this step
   */
  backward(arraysOf: (name: string) => HostArrays, t: number, factor: number): void {
    for (const [weight, one] of this.#weights) {
      const { values, gradient } = arraysOf(weight);
      one.backward(values, gradient);
    }
    this.#scales.update(this.#optimizer.scalars(t, SCALE_RATE * factor));
  }

  /** Codes and scales under deterministic masks. */
  quantization(parameter: (name: string) => Float32Array, masks: readonly LayerMask[]): Quantization {
    const byWeight = masksByWeight(masks);
    const isKept = keptBy(masks);
    const weights = [...this.#weights].map(([weight, one]): QuantizedWeight => {
      const values = parameter(weight);
      one.setScale(values, isKept(weight));
      const { layer, rule } = one;
      const scale = one.scale.slice();
      return {
        layer: layer.name,
        weight,
        format: rule.format,
        axis: channelAxis(layer),
        scale,
        codes: codesOf(values, scale, rule.format, channelView(layer), byWeight.get(weight)),
      };
    });
    return { weights, activations: [] };
  }

  /** The values of quantized weights, by name. */
  valuesOf({ weights }: Quantization): Map<string, Float32Array> {
    return new Map(
      weights.flatMap(({ weight, codes, scale }) => {
        const one = this.#weights.get(weight);
        return one === undefined
          ? []
          : [[weight, dequantized(codes, scale, channelView(one.layer))] as const];
      }),
    );
  }
}

/** Whether a mask keeps the weight at an index. */
export type IsKept = (index: number) => boolean;

function masksByWeight(masks: readonly LayerMask[]): Map<string, Uint8Array> {
  return new Map(masks.flatMap(masksOfWeights).map(({ layer, mask }) => [layer.weight, mask]));
}

function keptBy(masks: readonly LayerMask[]): (weight: string) => IsKept {
  const byWeight = masksByWeight(masks);
  return (weight) => {
    const mask = byWeight.get(weight);
    return mask === undefined ? () => true : (index) => mask[index] === 1;
  };
}
