/** Chooses the masks of a run by a method that computes them: makes logits of its scores, whose k largest are then drawn. */

import type { Settings } from "../options/with-defaults.js";
import type { Chooser, Moment } from "../prune/methods/chooser.js";
import { chooserOf } from "../prune/methods/methods.js";
import { topKMask } from "../prune/topk.js";
import type { PrunedLayer } from "../prune/types.js";
import { magnitudes, membersOf, norms, unitOfWeights } from "../prune/units.js";
import { Random } from "../random.js";
import { logitsName, stateName } from "../step/names.js";
import type { PlannedMask } from "../step/plan.js";
import type { Step } from "../step/step.js";
import { gainOf, standardised } from "./initial-values.js";
import type { Schedule } from "./schedule.js";

/** New logits of one layer, and 1 at the units that come back. */
interface Chosen {
  readonly layer: PrunedLayer;
  readonly logits: Float32Array;
  readonly grown: Uint8Array | undefined;
}

/** Masks before the choice, and what a method finds of a layer's gradients. */
interface Found {
  readonly before?: readonly number[];
  readonly gradientOf: (mask: PlannedMask) => Float32Array;
}

export class MaskChoice {
  readonly #chooser: Chooser;
  readonly #step: Step;
  readonly #schedule: Schedule;
  readonly #settings: Settings;

  private constructor(chooser: Chooser, step: Step, schedule: Schedule, settings: Settings) {
    this.#chooser = chooser;
    this.#step = step;
    this.#schedule = schedule;
    this.#settings = settings;
  }

  /** The choice that a run's method makes; undefined where masks are learned, or there are none. */
  static of(step: Step, schedule: Schedule, settings: Settings): MaskChoice | undefined {
    const chooser = chooserOf(settings.method);
    return chooser === undefined ? undefined : new MaskChoice(chooser, step, schedule, settings);
  }

  /**
   * Chooses the first masks.
   *
   * @param forward runs a batch as in the first step; so many may be asked for. The state is as before when this has ended.
   */
  async begin(forward: (batch: number) => Promise<void>, batches: number): Promise<void> {
    const gradients =
      this.#chooser.gradient === "masks" ? await this.#denseGradients(forward, batches) : undefined;
    this.apply(
      this.#choose(0, {
        gradientOf: (mask) => gradients?.get(mask) ?? missing(mask),
      }),
    );
  }

  /** Whether the masks of a step are chosen anew; of one behind the last they are not. */
  chooses(step: number): boolean {
    return (
      step < this.#schedule.steps && !this.#schedule.isFrozen(step) && this.#chooser.chooses(this.#at(step))
    );
  }

  /** Chooses the masks of a step by what the step before found, between its `forward` and its `learn`. */
  choose(step: number): Chosen[] {
    return this.#choose(step, {
      before: this.#schedule.draw(step - 1).k,
      gradientOf: (mask) =>
        this.#chooser.gradient === "weights" ? this.#step.maskGradient(mask) : missing(mask),
    });
  }

  /** After `learn`: sets the logits of a choice, and to 0 the weights that come back, and their moments. */
  apply(chosen: readonly Chosen[]): void {
    const { state } = this.#step;
    for (const { layer, logits, grown } of chosen) {
      state.get(logitsName(layer.weight)).set(logits);
      if (grown === undefined) continue;
      for (const member of membersOf(layer)) {
        const units = unitOfWeights(member);
        const moments = this.#schedule.optimizers.weights.state.map((one) => stateName(member.weight, one));
        for (const name of [member.weight, ...moments]) {
          const values = state.get(name);
          for (let i = 0; i < values.length; i++) if (grown[units[i]] === 1) values[i] = 0;
        }
      }
    }
  }

  #choose(step: number, { before, gradientOf }: Found): Chosen[] {
    const { plan, state } = this.#step;
    const { seed, pretrained } = this.#settings;
    const { k } = this.#schedule.draw(step);
    const parameter = (name: string): Float32Array => state.get(name);
    return plan.masks.map((mask, i): Chosen => {
      const { layer } = mask;
      const { weight, groups: rows, n } = layer;
      const kept = before && topKMask(state.get(logitsName(weight)), rows, n, before[i]);
      const scores = this.#chooser.scores({
        ...this.#at(step),
        ...{ rows, n, k: k[i], kept, pretrained },
        magnitudes: () => magnitudes(layer, parameter),
        norms: () => norms(layer, parameter),
        gradient: () => gradientOf(mask),
        random: () => new Random(seed, `${weight}/choice/${step}`),
      });
      const logits = standardised(scores, n);
      if (kept === undefined || this.#chooser.growsFromZero !== true)
        return { layer, logits, grown: undefined };
      const grown = topKMask(logits, rows, n, k[i]).map((one, unit) => one & ~kept[unit]);
      return { layer, logits, grown };
    });
  }

  /**
   * dL/dM of every mask at M = 1, the mean over some batches: of the network as it was initialised, without the gain that makes up for
   * units that are not there.
   */
  async #denseGradients(
    forward: (batch: number) => Promise<void>,
    batches: number,
  ): Promise<Map<PlannedMask, Float32Array>> {
    const { plan, state } = this.#step;
    const before = state.snapshot();
    const { k } = this.#schedule.draw(0);
    if (this.#settings.sampler.init === "normal") {
      for (const [i, { layer }] of plan.masks.entries()) {
        const gain = gainOf(layer, k[i]);
        for (const { weight } of membersOf(layer)) divide(state.get(weight), gain);
      }
    }
    const sums = new Map(
      plan.masks.map((mask) => [mask, new Float32Array(mask.layer.groups * mask.layer.n)]),
    );
    this.#step.draw({ step: 0, beta: 0, k: plan.masks.map(({ layer }) => layer.n) });
    for (let batch = 0; batch < batches; batch++) {
      await forward(batch);
      for (const [mask, sum] of sums) {
        const gradient = this.#step.maskGradient(mask);
        for (let i = 0; i < sum.length; i++) sum[i] += gradient[i] / batches;
      }
    }
    for (const [{ layer, holds }, sum] of sums) {
      if (holds === "units") continue;
      const weight = state.get(layer.weight);
      for (let i = 0; i < sum.length; i++) sum[i] *= weight[i];
    }
    state.restore(before);
    return sums;
  }

  #at(step: number): Moment {
    return { step, steps: this.#schedule.steps, shrink: this.#settings.sampler.shrink };
  }
}

function divide(values: Float32Array, by: number): void {
  for (let i = 0; i < values.length; i++) values[i] /= by;
}

function missing({ layer }: PlannedMask): never {
  throw new TypeError(`there is no gradient of "${layer.weight}" to choose by`);
}
