/** Dropout in training steps (Srivastava et al., JMLR 15, 2014): masks that are a function of seed, step and element alone. */

import { sizeOf } from "../onnx/tensor.js";
import { Random } from "../random.js";
import type { PlannedDropout } from "./plan.js";
import type { Bound } from "./session.js";

/** The masks of a plan's Dropout, in arrays that a step reads: 0 for what is dropped, else 1 / (1 - ratio). */
export class DropoutMasks {
  readonly bound: readonly Bound[];
  readonly #dropouts: readonly PlannedDropout[];
  readonly #seed: number;
  readonly #bits: Uint32Array;

  constructor(dropouts: readonly PlannedDropout[], seed: number) {
    this.#dropouts = dropouts;
    this.#seed = seed;
    this.bound = dropouts.map(({ kept, dims }) => ({
      name: kept,
      dims,
      array: new Float32Array(sizeOf(dims)),
    }));
    this.#bits = new Uint32Array(Math.max(0, ...this.bound.map(({ array }) => array.length)));
  }

  /** Draws the masks of a step. */
  draw(step: number): void {
    for (const [i, { kept, ratio }] of this.#dropouts.entries()) {
      const { array } = this.bound[i];
      const bits = this.#bits.subarray(0, array.length);
      new Random(this.#seed, kept, step).fillBits(bits);
      const least = ratio * 2 ** 32;
      const factor = 1 / (1 - ratio);
      for (let j = 0; j < array.length; j++) array[j] = bits[j] >= least ? factor : 0;
    }
  }
}
