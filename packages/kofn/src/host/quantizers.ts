/** The fake quantizers of a run on the host, with the optimizer of their scales. */

import { type HostArrays, HostOptimizer } from "./optimizer.js";
import { type Optimizer, optimizerOf } from "../optim/optimizer.js";
import { type LayerMask, masksOfWeights } from "../prune/mask.js";
import { activationScale } from "../quantize/activations.js";
import { HostQuantizer, type QuantizerPlace } from "./quantizer.js";
import { type PlannedActivation, type QuantizationPlan, quantizedActivation } from "../quantize/plan.js";
import type { Quantization, QuantizedWeight } from "../quantize/types.js";
import { channelAxis, channelView, codesOf, dequantized } from "../quantize/weights.js";
import type { HeldTensor } from "../step/state.js";

/** Writes which weights a step's masks keep: not 0 for those. Called for those alone that the step masks and whose scales are fitted. */
export type WriteKept = (weight: string, kept: Float32Array) => void;

/** Masks and their gradients: [R, n], which is also the order of the weights. */
export type Masks = ReadonlyMap<string, NonNullable<QuantizerPlace["mask"]>>;

/** The scale of an activation, which a step reads, and its gradient, which the step writes: one number each. */
interface ActivationScale {
  readonly activation: PlannedActivation;
  readonly scale: Float32Array<ArrayBuffer>;
  readonly gradient: Float32Array<ArrayBuffer>;
}

/** The name of the logarithms of scales among the tensors of a run, by that of the weight or the input that they are of. */
const logarithms = (name: string): string => `${name}/log-scale`;

/** What is quantized in a run: its scales, what the scales' optimizer knows, and what steps see of weights. */
export class Quantizers {
  readonly held: readonly HeldTensor[];
  /** By the names of a step's inputs. */
  readonly activations: ReadonlyMap<string, ActivationScale>;
  readonly #weights: ReadonlyMap<string, HostQuantizer>;
  readonly #scales: HostOptimizer;
  readonly #optimizer: Optimizer;
  readonly #rate: number;

  /**
   * @param parameters with the weights, and as many bytes to spare as {@link Quantizers.bytes} says
   * @param masks of the weights that are to be masked as well, by name
   * @param rate at which the logarithms of scales are learned, by Adam
   */
  constructor(
    { weights, activations }: QuantizationPlan,
    parameters: HostOptimizer,
    masks: Masks,
    rate: number,
  ) {
    this.#rate = rate;
    this.#optimizer = optimizerOf({ kind: "adam", lr: rate });
    const learned = weights.filter(({ rule }) => rule.method === "lsq");
    const scales = [
      ...learned.map(({ layer }) => ({ name: layer.weight, dims: [channelView(layer).length] })),
      ...activations.map((one) => ({ name: activationScale(one), dims: [] })),
    ].map(({ name, dims }) => ({ name: logarithms(name), dims, decays: false }));
    this.#scales = new HostOptimizer(this.#optimizer, scales);
    let address = parameters.spare;
    this.#weights = new Map(
      weights.map(({ layer, rule }) => {
        const weight = arraysOf(parameters, layer.weight);
        const mask = masks.get(layer.weight);
        const place = { kernel: parameters.kernel, weight, address, ...(mask === undefined ? {} : { mask }) };
        address += HostQuantizer.bytes(layer, rule, mask !== undefined);
        const own = this.#scales.arrays.get(logarithms(layer.weight));
        return [layer.weight, new HostQuantizer(layer, rule, place, own)];
      }),
    );
    this.activations = new Map(
      activations.map((activation) => [
        activationScale(activation),
        { activation, scale: new Float32Array(1), gradient: new Float32Array(1) },
      ]),
    );
    this.held = scales.flatMap(({ name, dims }) => {
      const { values, states } = this.#arraysOf(name);
      const ofStates = [...states].map(([state, array]) => ({ name: `${name}/${state}`, dims, array }));
      return [{ name, dims, array: values }, ...ofStates];
    });
  }

  /** Bytes that the quantizers need in the memory in which the weights lie. */
  static bytes({ weights }: QuantizationPlan, isMasked: (weight: string) => boolean): number {
    return weights.reduce(
      (sum, { layer, rule }) => sum + HostQuantizer.bytes(layer, rule, isMasked(layer.weight)),
      0,
    );
  }

  /** What a quantized step is to see in place of each weight; where the weight is masked, each step. */
  get seen(): ReadonlyMap<string, Float32Array> {
    return new Map([...this.#weights].map(([weight, { quantized }]) => [weight, quantized]));
  }

  /** Names of the learned scales among the tensors of the run. */
  get scaleNames(): string[] {
    return [...this.#scales.arrays.keys()];
  }

  /** Sets the learned scales of weights to where they begin. */
  begin(masks: readonly LayerMask[]): void {
    const byWeight = masksByWeight(masks);
    for (const [weight, one] of this.#weights) {
      const mask = byWeight.get(weight);
      one.begin(mask === undefined ? () => true : (index) => mask[index] === 1);
    }
  }

  /** Sets the scales of activations to where they begin. */
  beginActivations(scales: ReadonlyMap<PlannedActivation, number>): void {
    for (const [name, { activation }] of this.activations) {
      this.#arraysOf(logarithms(name)).values[0] = Math.log(scales.get(activation) ?? 1);
    }
  }

  /** Before a step: quantizes all weights, and says what the scales of activations are. */
  forward(writeKept: WriteKept): void {
    for (const [weight, one] of this.#weights) {
      if (one.kept !== undefined && one.place.mask === undefined) writeKept(weight, one.kept);
      one.forward();
    }
    for (const [name, { scale }] of this.activations) scale[0] = this.#scaleOf(name);
  }

  /**
   * After a step: makes the gradients of the weights of those of what the step saw, and updates the scales.
   *
   * @param t number of the step, from 1, since quantization began
   * @param factor of the learning rate in this step
   */
  backward(t: number, factor: number): void {
    for (const one of this.#weights.values()) one.backward();
    for (const [name, { scale, gradient }] of this.activations) {
      this.#arraysOf(logarithms(name)).gradient[0] = scale[0] * gradient[0];
    }
    this.#scales.update(this.#optimizer.scalars(t, this.#rate * factor));
  }

  /** Before a step that is not to be quantized yet. */
  mask(): void {
    for (const one of this.#weights.values()) one.mask();
  }

  /** After such a step. */
  maskBackward(): void {
    for (const one of this.#weights.values()) one.maskBackward();
  }

  /** Codes and scales under deterministic masks. */
  quantization(masks: readonly LayerMask[]): Quantization {
    const byWeight = masksByWeight(masks);
    const weights = [...this.#weights].map(([weight, one]): QuantizedWeight => {
      const mask = byWeight.get(weight);
      if (mask !== undefined) one.kept?.set(mask);
      one.fit();
      const { layer, rule, place } = one;
      const scale = one.scale.slice();
      return {
        layer: layer.name,
        weight,
        format: rule.format,
        axis: channelAxis(layer),
        scale,
        codes: codesOf(place.weight.values, scale, rule.format, channelView(layer), mask),
      };
    });
    const activations = [...this.activations].map(([name, { activation }]) =>
      quantizedActivation(activation, this.#scaleOf(name)),
    );
    return { weights, activations };
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

  #scaleOf(activation: string): number {
    return Math.fround(Math.exp(this.#arraysOf(logarithms(activation)).values[0]));
  }

  #arraysOf(name: string): HostArrays {
    return arraysOf(this.#scales, name);
  }
}

function arraysOf({ arrays }: HostOptimizer, name: string): HostArrays {
  const own = arrays.get(name);
  if (own === undefined) throw new TypeError(`the host does not learn "${name}"`);
  return own;
}

function masksByWeight(masks: readonly LayerMask[]): Map<string, Uint8Array> {
  return new Map(masks.flatMap(masksOfWeights).map(({ layer, mask }) => [layer.weight, mask]));
}
