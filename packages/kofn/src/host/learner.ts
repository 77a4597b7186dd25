/** Numbers that an optimizer learns, as the kernels know them, and its step (assembly/optimizer.ts). */

import type { Optimizer, UpdateScalars } from "../optim/optimizer.js";
import { type Kernel, write } from "./kernel.js";
import { type Address, STRUCTURES } from "./wasm.generated.js";

/** Where numbers lie, and the optimizer's state tensors by their names. */
export interface LearnerPlace {
  readonly values: number;
  readonly states: ReadonlyMap<string, number>;
}

const { rate, epsilon, decay } = STRUCTURES.Learner.fields;
/** Indices of the scalars among the structure's words. */
const [RATE, EPSILON, DECAY] = [rate, epsilon, decay].map(([offset]) => offset / 4);

/** A structure that says where numbers and their states lie, what the optimizer's formula is, and its scalars in the step at hand. */
export class Learner {
  static readonly bytes = STRUCTURES.Learner.bytes;
  readonly address: Address<"Learner">;
  readonly #words: Float32Array;

  /** @param at where the structure is to be written */
  constructor(
    kernel: Kernel,
    at: number,
    { constants }: Pick<Optimizer, "constants">,
    { values, states }: LearnerPlace,
  ) {
    const others = { beta1: 0, beta2: 0, momentum: 0, nesterov: false };
    const { kind, nesterov, ...factors } = { ...others, ...constants };
    const state = (name: string): number => states.get(name) ?? 0;
    this.address = write(kernel, "Learner", at, {
      ...{ values, m: state("m"), v: state("v"), velocity: state("velocity") },
      ...{ ...factors, isAdam: Number(kind === "adam"), isNesterov: Number(nesterov) },
      ...{ rate: NaN, epsilon: NaN, decay: NaN },
    });
    this.#words = new Float32Array(kernel.memory.buffer, at, Learner.bytes / 4);
  }

  /**
   * To be called before a step.
   *
   * @param decays whether weight decay applies to the numbers
   */
  set({ rate, epsilon, decay }: UpdateScalars, decays = true): void {
    this.#words[RATE] = rate;
    this.#words[EPSILON] = epsilon;
    this.#words[DECAY] = decays ? decay : 1;
  }
}
