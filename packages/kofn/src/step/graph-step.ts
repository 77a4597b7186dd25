/** Training steps of which each is one ONNX graph, the sampler and the optimizers included: what defines a step. */

import type { Engine } from "../engine/session.js";
import { InputError } from "../errors.js";
import { sizeOf } from "../onnx/tensor.js";
import { Random } from "../random.js";
import type { Quantization } from "../quantize/types.js";
import { DropoutMasks } from "./dropout.js";
import { stepGraph, type StepGraph } from "./graph.js";
import type { StepPlan } from "./plan.js";
import { type Bound, feedArrays, StepSession } from "./session.js";
import { State } from "./state.js";
import type { At, Draw, Step, StepResult } from "./step.js";
import type { FeedArray } from "../task/task.js";

/**
 * Runs a plan in which the graph draws and updates. Any provider can; where tensors lie in the host's memory, `HostStep` is
 * faster.
 *
 * The noise is drawn afresh for each step, a function of seed, layer and step, where the host's sampler reads a pool: the two draw
 * other masks unless the noise's scale is 0.
 */
export class GraphStep implements Step {
  readonly plan: StepPlan;
  readonly batch: ReadonlyMap<string, FeedArray>;
  readonly state: State;
  readonly scaleNames: readonly string[] = [];
  readonly #engine: Engine;
  readonly #seed: number;
  readonly #graph: StepGraph;
  readonly #dropout: DropoutMasks;
  readonly #noises: readonly (Bound & { readonly layer: string })[];
  #session: StepSession | undefined;

  /**
   * @param initial values of parameters, statistics and logits.
   * @throws InputError if the plan leaves something to the host.
   */
  constructor(engine: Engine, plan: StepPlan, initial: ReadonlyMap<string, Float32Array>, seed: number) {
    if (plan.weights === "host" || plan.sampling === "host" || plan.activations.length > 0) {
      throw new InputError(
        "a step that is one graph updates parameters and draws masks in it, and quantizes nothing; plan it with optimizers for weights and sampling",
      );
    }
    this.#engine = engine;
    this.#seed = seed;
    this.plan = plan;
    this.#graph = stepGraph(plan, "float");
    this.batch = feedArrays(this.#graph.feeds);
    this.state = new State(engine, this.#graph.tensors, [], initial);
    this.#dropout = new DropoutMasks(plan.dropouts, seed);
    this.#noises = plan.masks.map(({ layer: { weight, groups, n } }, i) => {
      const dims = [groups, n];
      return { layer: weight, name: this.#graph.noises[i], dims, array: new Float32Array(sizeOf(dims)) };
    });
  }

  async open(): Promise<void> {
    const { plan, batch, state } = this;
    const reads = [...this.#noises, ...this.#dropout.bound];
    this.#session = await StepSession.open(this.#engine, this.#graph, plan, batch, state, reads, []);
  }

  draw({ step, beta, k }: Draw): void {
    const { sampling } = this.plan;
    if (sampling !== "host" && k.some((one, i) => one !== sampling.k[i])) {
      throw new InputError(
        `a step that is one graph keeps k = ${sampling.k.join(", ")} of its layers, got ${k.join(", ")}; k can shrink where the host samples`,
      );
    }
    for (const { layer, array } of this.#noises) {
      const random = new Random(this.#seed, `${layer}/noise`, step);
      // g = -log(-log u)
      for (let i = 0; i < array.length; i++) array[i] = -beta * Math.log(-Math.log(random.uniform()));
    }
  }

  beginWeights(): void {
    throw new TypeError("a step that is one graph quantizes nothing");
  }

  beginActivations(): void {
    this.beginWeights();
  }

  async forward({ draw, tau, task, weights, logits }: At): Promise<StepResult> {
    if (this.#session === undefined) throw new TypeError("the step is not open");
    this.#dropout.draw(draw.step);
    const scalars = { tau, ...task, ...prefixed("weights", weights), ...prefixed("logits", logits) };
    return this.#session.run(scalars);
  }

  maskGradient(): never {
    throw new TypeError("the step's graph keeps its gradients");
  }

  learn(_: At, next?: Draw): void {
    if (next !== undefined) this.draw(next);
  }

  quantization(): Quantization {
    return { weights: [], activations: [] };
  }

  async close(): Promise<void> {
    await this.#session?.close();
    this.#session = undefined;
  }
}

function prefixed(prefix: string, scalars: object): Record<string, number> {
  return Object.fromEntries(Object.entries(scalars).map(([name, value]) => [`${prefix}/${name}`, value]));
}
