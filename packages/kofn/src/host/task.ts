/** What threads are told to do with the samplers of a run, block of rows by block. */

import type { Kernel } from "./kernel.js";
import type { Address } from "./wasm.generated.js";

/** The rows of one of the samplers from `first` to before `end`. */
export interface Block {
  readonly sampler: number;
  readonly first: number;
  readonly end: number;
}

/** The masks of a step, which are a function of the logits and these. */
export interface Draw {
  readonly step: number;
  /** Scale of the noise. */
  readonly beta: number;
  /** Of each sampler. */
  readonly k: readonly number[];
}

/**
 * What is learned of the gradients of the last masks: of which k they are, and at which temperature. The scalars of the optimizers
 * lie in the memory of the kernels.
 */
export interface Lesson {
  readonly k: readonly number[];
  readonly tau: number;
}

/** What is to be done for all blocks: to learn, to draw, or first the one and then the other. The noise of a draw is chosen before. */
export interface Task {
  readonly lesson?: Lesson | undefined;
  readonly draw?: Omit<Draw, "step"> | undefined;
}

/** Does what a task says for a block: the same in each thread. */
export function computeBlock(
  kernel: Kernel,
  address: Address<"Sampler">,
  thread: number,
  { lesson, draw }: Task,
  { sampler, first, end }: Block,
): void {
  if (lesson !== undefined) kernel.update(address, thread, first, end, lesson.k[sampler], lesson.tau);
  if (draw !== undefined) kernel.sample(address, thread, first, end, draw.k[sampler], draw.beta);
}
