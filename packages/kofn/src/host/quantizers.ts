/** The fake quantizers of a run on the host, with the optimizer of their scales. */

import type { Optimizer } from "../optim/optimizer.js";
import { unitOfWeights, membersOf } from "../prune/units.js";
import { type LayerMask, weightMasksOf } from "../prune/mask.js";
import { activationScale } from "../quantize/activations.js";
import { type PlannedActivation, quantizedActivation } from "../quantize/plan.js";
import type { Quantization, QuantizedWeight } from "../quantize/types.js";
import { channelAxis, channelView, codesOf } from "../quantize/weights.js";
import { logScaleName } from "../step/names.js";
import type { PlannedMask, PlannedQuantizer, StepPlan } from "../step/plan.js";
import type { HeldTensor } from "../step/state.js";
import { heldTensors } from "./held.js";
import { type HostArrays, HostOptimizer } from "./optimizer.js";
import { HostQuantizer, type QuantizerPlace } from "./quantizer.js";

/** A mask as the sampler draws it, and its gradient: [R, n]. */
type MaskArrays = NonNullable<QuantizerPlace["mask"]>;

/** The scale of an activation, which a step reads, and its gradient, which the step writes: one number each. */
interface ActivationScale {
  readonly activation: PlannedActivation;
  readonly scale: Float32Array<ArrayBuffer>;
  readonly gradient: Float32Array<ArrayBuffer>;
}

/** The quantizer of a weight, and what of a mask it reads that the graph applies. */
interface WeightQuantizer {
  readonly host: HostQuantizer;
  /** For each weight the unit that it belongs to, and the mask of the units. */
  readonly kept?: { readonly units: Int32Array; readonly mask: Float32Array };
}

/** What is quantized in a run: its scales, what the scales' optimizer knows, and what steps see of weights. */
export class Quantizers {
  readonly held: readonly HeldTensor[];
  /** By the names of a step's inputs. */
  readonly activations: ReadonlyMap<string, ActivationScale>;
  readonly #weights: ReadonlyMap<string, WeightQuantizer>;
  readonly #scales: HostOptimizer;

  /**
   * @param parameters with the weights, and as many bytes to spare as {@link Quantizers.bytes} says.
   * @param masksOf gives the arrays of a mask.
   * @param optimizer of the logarithms of scales.
   */
  constructor(
    { quantizers, activations }: StepPlan,
    parameters: HostOptimizer,
    masksOf: (mask: PlannedMask) => MaskArrays,
    optimizer: Optimizer,
  ) {
    const scales = [
      ...quantizers
        .filter((one) => one.scales === "learned")
        .map(({ layer }) => ({ of: layer.weight, dims: [channelView(layer).length] })),
      ...activations.map((one) => ({ of: activationScale(one), dims: [] })),
    ].map(({ of, dims }) => ({ name: logScaleName(of), dims, decays: false }));
    this.#scales = new HostOptimizer(optimizer, scales);
    let address = parameters.spare;
    this.#weights = new Map(
      quantizers.map((planned) => {
        const { layer, rule, keeps } = planned;
        const weight = arraysOf(parameters, layer.weight);
        const mask = keeps.by === "quantizer" ? { mask: masksOf(keeps.mask) } : {};
        const place = { kernel: parameters.kernel, weight, address, ...mask };
        address += bytesOf(planned);
        const own = this.#scales.arrays.get(logScaleName(layer.weight));
        const host = new HostQuantizer(layer, rule, place, own);
        return [layer.weight, { host, ...keptOf(planned, masksOf) }];
      }),
    );
    this.activations = new Map(
      activations.map((activation) => [
        activationScale(activation),
        { activation, scale: new Float32Array(1), gradient: new Float32Array(1) },
      ]),
    );
    this.held = scales.flatMap(({ name, dims }) => heldTensors(name, dims, this.#arraysOf(name)));
  }

  /** Bytes that the quantizers need in the memory in which the weights lie. */
  static bytes({ quantizers }: StepPlan): number {
    return quantizers.reduce((sum, one) => sum + bytesOf(one), 0);
  }

  /** What a quantized step is to see in place of a weight; where the quantizer masks, every step. */
  seen(weight: string): Float32Array | undefined {
    return this.#weights.get(weight)?.host.quantized;
  }

  /** Names of the learned scales among the tensors of the run. */
  get scaleNames(): string[] {
    return [...this.#scales.arrays.keys()];
  }

  /** Sets the learned scales of weights to where they begin. */
  begin(masks: readonly LayerMask[]): void {
    const byWeight = weightMasksOf(masks);
    for (const [weight, { host }] of this.#weights) {
      const mask = byWeight.get(weight)?.array();
      host.begin(mask === undefined ? () => true : (index) => mask[index] === 1);
    }
  }

  /** Sets the scales of activations to where they begin. */
  beginActivations(scales: ReadonlyMap<PlannedActivation, number>): void {
    for (const [name, { activation }] of this.activations) {
      this.#arraysOf(logScaleName(name)).values[0] = Math.log(scales.get(activation) ?? 1);
    }
  }

  /** Before a step: quantizes all weights, and says what the scales of activations are. */
  forward(): void {
    for (const { host, kept } of this.#weights.values()) {
      if (kept !== undefined && host.kept !== undefined) {
        for (let i = 0; i < host.kept.length; i++) host.kept[i] = kept.mask[kept.units[i]];
      }
      host.forward();
    }
    for (const [name, { scale }] of this.activations) scale[0] = this.#scaleOf(name);
  }

  /**
   * After a step: makes the gradients of the weights of those of what the step saw, and updates the scales.
   *
   * @param scalars what the optimizer of scales gave for this step
   */
  backward(scalars: ReturnType<Optimizer["scalars"]>): void {
    for (const { host } of this.#weights.values()) host.backward();
    for (const [name, { scale, gradient }] of this.activations) {
      this.#arraysOf(logScaleName(name)).gradient[0] = scale[0] * gradient[0];
    }
    this.#scales.update(scalars);
  }

  /** Before a step that is not to be quantized yet. */
  mask(): void {
    for (const { host } of this.#weights.values()) host.mask();
  }

  /** After such a step. */
  maskBackward(): void {
    for (const { host } of this.#weights.values()) host.maskBackward();
  }

  /** Codes and scales under deterministic masks. */
  quantization(masks: readonly LayerMask[]): Quantization {
    const byWeight = weightMasksOf(masks);
    const weights = [...this.#weights].map(([weight, { host }]): QuantizedWeight => {
      const mask = byWeight.get(weight)?.array();
      if (mask !== undefined) host.kept?.set(mask);
      host.fit();
      const { layer, rule, place } = host;
      const scale = host.scale.slice();
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

  #scaleOf(activation: string): number {
    return Math.fround(Math.exp(this.#arraysOf(logScaleName(activation)).values[0]));
  }

  #arraysOf(name: string): HostArrays {
    return arraysOf(this.#scales, name);
  }
}

function bytesOf({ layer, rule, keeps }: PlannedQuantizer): number {
  return HostQuantizer.bytes(layer, rule, keeps.by === "quantizer");
}

function keptOf(
  { layer, keeps }: PlannedQuantizer,
  masksOf: (mask: PlannedMask) => MaskArrays,
): Pick<WeightQuantizer, "kept"> {
  if (keeps.by !== "graph") return {};
  const member = membersOf(keeps.mask.layer).find(({ weight }) => weight === layer.weight);
  if (member === undefined) throw new TypeError(`no mask is of "${layer.weight}"`);
  return { kept: { units: unitOfWeights(member), mask: masksOf(keeps.mask).values } };
}

function arraysOf({ arrays }: HostOptimizer, name: string): HostArrays {
  const own = arrays.get(name);
  if (own === undefined) throw new TypeError(`the host does not learn "${name}"`);
  return own;
}
