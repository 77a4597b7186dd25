/** Training steps whose masks, updates and weight quantizers are computed in the host's memory, beside the graph. */

import type { Engine } from "../engine/session.js";
import type { Optimizer } from "../optim/optimizer.js";
import type { LayerMask } from "../prune/mask.js";
import type { PlannedActivation } from "../quantize/plan.js";
import type { Quantization } from "../quantize/types.js";
import { DropoutMasks } from "../step/dropout.js";
import { stepGraph, type StepGraph } from "../step/graph.js";
import { logitsName } from "../step/names.js";
import { parametersOf, type Phase, type PlannedMask, type StepPlan } from "../step/plan.js";
import { type Bound, feedArrays, StepSession } from "../step/session.js";
import { type HeldTensor, State } from "../step/state.js";
import type { At, Draw, Step, StepResult } from "../step/step.js";
import type { FeedArray } from "../task/task.js";
import { heldTensors } from "./held.js";
import { type HostArrays, HostOptimizer } from "./optimizer.js";
import { Quantizers } from "./quantizers.js";
import type { SamplerMemory } from "./sampler-memory.js";
import { type HostSamplers, hostSamplers } from "./samplers.js";

/** How a host's step learns. */
export interface HostStepOptions {
  readonly optimizers: Readonly<Record<"weights" | "logits" | "scales", Optimizer>>;
  /** Weight of the entropy regulariser. */
  readonly entropy: number;
  readonly seed: number;
  /** Threads for sampling. */
  readonly threads: number;
  /** The largest k that will be asked for of each layer. */
  readonly most: readonly number[];
  /** Values of parameters, statistics and logits. */
  readonly initial: ReadonlyMap<string, Float32Array>;
}

/**
 * Runs a plan in which the host draws and updates: its kernels take one pass over memory where operators of onnxruntime take
 * many. What it computes is what `GraphStep` does, which defines it.
 *
 * | path | before the graph | the graph reads | its gradient goes to | after |
 * |-|-|-|-|-|
 * | optimizer | quantizer, if any | values, or s q; and M | the optimizer's array; dL/dM to the sampler's | quantizer back, samplers, optimizer |
 * | quantizer | s q M (not quantized yet: W M) | "W/masked" | the optimizer's array | quantizer back: dL/dW there, dL/dM to the sampler |
 * | sampler | nothing: the samplers drew W M | "W/masked" | the sampler's array | one pass: logits, W, the next draw |
 */
export class HostStep implements Step {
  readonly plan: StepPlan;
  readonly batch: ReadonlyMap<string, FeedArray>;
  readonly state: State;
  readonly #engine: Engine;
  readonly #graphs: Readonly<Record<Phase, StepGraph>>;
  readonly #parameters: HostOptimizer;
  /** One for each mask. */
  readonly #samplers: HostSamplers;
  readonly #quantizers: Quantizers | undefined;
  readonly #dropout: DropoutMasks;
  #opened: { readonly phase: Phase; readonly session: StepSession } | undefined;

  /** @throws InputError as {@link stepGraph} does. */
  constructor(engine: Engine, plan: StepPlan, options: HostStepOptions) {
    if (plan.weights !== "host" || plan.sampling !== "host") {
      throw new TypeError("the plan leaves updates or masks to the graph");
    }
    this.plan = plan;
    this.#engine = engine;
    const float = stepGraph(plan, "float");
    this.#graphs = { float, quantized: plan.activations.length === 0 ? float : stepGraph(plan, "quantized") };
    this.batch = feedArrays(float.feeds);
    const { optimizers, initial } = options;
    const parameters = parametersOf(plan).filter(({ tensor }) => tensor.path.updatedBy === "optimizer");
    this.#parameters = new HostOptimizer(
      optimizers.weights,
      parameters.map(({ name, tensor: { dims, decays } }) => ({ name, dims, decays })),
      Quantizers.bytes(plan),
    );
    this.#samplers = samplersOf(plan, options);
    this.#dropout = new DropoutMasks(plan.dropouts, options.seed);
    const isQuantizing = plan.quantizers.length > 0 || plan.activations.length > 0;
    const masksOf = (mask: PlannedMask): { values: Float32Array; gradient: Float32Array } => {
      const { mask: values, gradient } = this.#samplerOf(mask);
      return { values, gradient };
    };
    this.#quantizers = isQuantizing
      ? new Quantizers(plan, this.#parameters, masksOf, optimizers.scales)
      : undefined;
    const held = [
      ...plan.masks.flatMap((mask) => heldBySampler(mask, this.#samplerOf(mask))),
      ...parameters.flatMap(({ name, tensor }) => heldTensors(name, tensor.dims, this.#arraysOf(name))),
      ...(this.#quantizers?.held ?? []),
    ];
    this.state = new State(engine, float.tensors, held, initial);
  }

  get scaleNames(): readonly string[] {
    return this.#quantizers?.scaleNames ?? [];
  }

  open(): Promise<void> {
    return this.#samplers.open();
  }

  draw(draw: Draw): void {
    this.#samplers.sample(draw);
  }

  beginWeights(masks: readonly LayerMask[]): void {
    this.#quantizers?.begin(masks);
  }

  beginActivations(scales: ReadonlyMap<PlannedActivation, number>): void {
    this.#quantizers?.beginActivations(scales);
  }

  async forward({ draw, phase, task }: At): Promise<StepResult> {
    this.#dropout.draw(draw.step);
    if (phase === "quantized") this.#quantizers?.forward();
    else this.#quantizers?.mask();
    if (this.#opened?.phase !== phase) {
      await this.#opened?.session.close();
      this.#opened = { phase, session: await this.#open(phase) };
    }
    return this.#opened.session.run(task);
  }

  maskGradient(mask: PlannedMask): Float32Array {
    const { weight } = mask.layer;
    const isQuantizers = mask.holds === "masked weight" && this.#quantizers?.seen(weight) !== undefined;
    return (isQuantizers ? this.#arraysOf(weight) : this.#samplerOf(mask)).gradient;
  }

  learn({ phase, tau, weights, logits, scales }: At, next?: Draw): void {
    if (phase === "quantized") this.#quantizers?.backward(scales);
    else this.#quantizers?.maskBackward();
    this.#samplers.update(tau, logits, weights, next);
    this.#parameters.update(weights);
  }

  quantization(masks: readonly LayerMask[]): Quantization {
    return this.#quantizers?.quantization(masks) ?? { weights: [], activations: [] };
  }

  async close(): Promise<void> {
    await this.#samplers.close();
    await this.#opened?.session.close();
    this.#opened = undefined;
  }

  #open(phase: Phase): Promise<StepSession> {
    const graph = this.#graphs[phase];
    const reads: Bound[] = [...this.#dropout.bound];
    const writes: Bound[] = [];
    for (const { name, gradient, dims } of graph.parameters) {
      const own = this.#arraysOf(name);
      const seen = phase === "quantized" ? this.#quantizers?.seen(name) : undefined;
      reads.push({ name, dims, array: seen ?? own.values });
      writes.push({ name: gradient, dims, array: own.gradient });
    }
    for (const [i, { name, gradient, dims, weight = "" }] of graph.masks.entries()) {
      const mask = this.plan.masks[i];
      reads.push({ name, dims, array: this.#quantizers?.seen(weight) ?? this.#samplerOf(mask).mask });
      writes.push({ name: gradient, dims, array: this.maskGradient(mask) });
    }
    for (const { name, gradient, dims } of graph.scales) {
      const own = this.#quantizers?.activations.get(name);
      if (own === undefined) throw new TypeError(`the host does not learn "${name}"`);
      reads.push({ name, dims, array: own.scale });
      writes.push({ name: gradient, dims, array: own.gradient });
    }
    return StepSession.open(this.#engine, graph, this.plan, this.batch, this.state, reads, writes);
  }

  #samplerOf(mask: PlannedMask): SamplerMemory {
    return this.#samplers.all[this.plan.masks.indexOf(mask)];
  }

  #arraysOf(parameter: string): HostArrays {
    const arrays = this.#parameters.arrays.get(parameter);
    if (arrays === undefined) throw new TypeError(`there is no parameter "${parameter}" in the step`);
    return arrays;
  }
}

/** The samplers of a plan's masks; those that mask weights and update them hold these, too. */
function samplersOf(
  { masks, tensors }: StepPlan,
  { optimizers, entropy, seed, threads, most }: HostStepOptions,
): HostSamplers {
  const options = masks.map(({ layer: { weight, groups, n } }, i) => {
    const planned = tensors.get(weight);
    const isHolding = planned?.kind === "parameter" && planned.path.updatedBy === "sampler";
    const held = isHolding ? { weights: optimizers.weights } : {};
    const { logits: optimizer } = optimizers;
    return { rows: groups, n, most: most[i], seed, name: weight, optimizer, entropy, ...held };
  });
  return hostSamplers(options, threads);
}

/** The tensors that a sampler learns. */
function heldBySampler(
  { layer: { weight, groups, n, dims } }: PlannedMask,
  { logits, states, weights }: SamplerMemory,
): HeldTensor[] {
  const ofLogits = heldTensors(logitsName(weight), [groups, n], { values: logits, states });
  return weights === undefined ? ofLogits : [...ofLogits, ...heldTensors(weight, dims, weights)];
}
