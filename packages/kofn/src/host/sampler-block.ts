/** What the sampler computes for a block of its rows: the same in each thread, on addresses in the kernel's memory. */

import type { Optimizer } from "../optim/optimizer.js";
import type { Kernel } from "./kernel.js";
import { optimizerStep } from "./update.js";

/** Where numbers lie that an optimizer learns. */
export interface LearnedPlace {
  readonly values: number;
  /** Addresses of the optimizer's state tensors by their names. */
  readonly states: ReadonlyMap<string, number>;
  readonly optimizer: Optimizer["constants"];
}

/** A sampler as it lies in the kernel's memory: plain data, which can be sent to threads. */
export interface SamplerPlace {
  /** R */
  readonly rows: number;
  readonly n: number;
  /** The largest k. */
  readonly most: number;
  /** Rows of a block: a multiple of four, so that it begins at a multiple of four elements. */
  readonly block: number;
  /** Weight of the entropy regulariser. */
  readonly entropy: number;
  readonly logits: LearnedPlace;
  readonly weights?: LearnedPlace;
  readonly mask: number;
  readonly perturbed: number;
  /** Of the first block's gradients. */
  readonly gradient: number;
  /**
   * Bytes between the gradients of a block and those of the next. The kernel writes back up to three numbers behind a block,
   * which may not be another thread's.
   */
  readonly gap: number;
  /** Of the first block's draws. Those of each begin where they would if k were the largest. */
  readonly order: number;
  readonly guesses: number;
  readonly pool: number;
  readonly poolSize: number;
  /** Of the places at which the layer begins to read the pool. */
  readonly offsets: number;
  /** Of the first thread's memory, and bytes of each. */
  readonly scratch: readonly [address: number, bytes: number];
  /** Where each thread makes a block's gradients of that of the masked weights. */
  readonly product: readonly [address: number, bytes: number];
}

/** Scalars of an optimizer's step. */
export type Scalars = Readonly<Record<string, number>>;

/** The rows of one of the samplers from `first` to before `end`. */
export interface Block {
  readonly sampler: number;
  readonly first: number;
  readonly end: number;
}

/** How masks are drawn: the scale of the noise, and k of each sampler. */
export interface Draw {
  readonly beta: number;
  readonly k: readonly number[];
}

/** What is learned of the gradients of the last masks: of which k they are, and how. */
export interface Lesson {
  readonly k: readonly number[];
  readonly tau: number;
  readonly ofLogits: Scalars;
  readonly ofWeights: Scalars;
}

/** What is to be done for all blocks: to learn, to draw, or first the one and then the other. */
export interface Task {
  readonly lesson?: Lesson | undefined;
  readonly draw?: Draw | undefined;
}

/** Where the gradients of the block lie that begins at a row. */
export function gradientOf({ gradient, gap, block, n }: SamplerPlace, first: number): number {
  return gradient + 4 * first * n + gap * (first / block);
}

/**
 * Where the draws of the first row would lie, for the kernel to find those of the block that begins at a row. While one thread
 * draws a block anew, with another k, others still read what was drawn before.
 */
function orderFor({ order, most }: SamplerPlace, first: number, k: number): number {
  return order + 4 * first * (most - k);
}

/** Draws the mask of the block of rows from `first` to before `end`. */
export function sampleBlock(
  kernel: Kernel,
  place: SamplerPlace,
  thread: number,
  { beta, k }: { readonly beta: number; readonly k: number },
  first: number,
  end: number,
): void {
  kernel.sample(
    place.logits.values,
    place.perturbed,
    place.weights?.values ?? 0,
    place.mask,
    orderFor(place, first, k),
    place.guesses,
    partOf(place.scratch, thread),
    first,
    end,
    place.n,
    k,
    place.pool,
    place.poolSize,
    place.offsets,
    beta,
  );
}

/**
 * Writes the gradient of the logits of a block, as it was sampled last.
 *
 * @param result where; holds the mask's gradient before, where there are no weights
 */
export function backwardBlock(
  kernel: Kernel,
  place: SamplerPlace,
  thread: number,
  { tau, k }: { readonly tau: number; readonly k: number },
  result: number,
  first: number,
  end: number,
): void {
  kernel.backward(
    place.logits.values,
    place.perturbed,
    orderFor(place, first, k),
    place.weights?.values ?? 0,
    gradientOf(place, first) - 4 * first * place.n,
    result,
    partOf(place.scratch, thread),
    first,
    end,
    place.n,
    k,
    tau,
    place.entropy,
  );
}

/** Makes the gradient of the logits of a block, and updates these; and the weights, if the sampler holds them. */
export function updateBlock(
  kernel: Kernel,
  place: SamplerPlace,
  thread: number,
  args: {
    readonly tau: number;
    readonly k: number;
    readonly ofLogits: Scalars;
    readonly ofWeights: Scalars;
  },
  first: number,
  end: number,
): void {
  const { n, most, logits, weights, order } = place;
  const { k, ofLogits, ofWeights } = args;
  const offset = 4 * first * n;
  const count = Math.ceil(((end - first) * n) / 4) * 4;
  const gradient = gradientOf(place, first);
  const result = weights === undefined ? gradient : partOf(place.product, thread);
  backwardBlock(kernel, place, thread, args, result, first, end);
  step(kernel, logits, ofLogits, result, offset, count);
  if (weights === undefined) return;
  kernel.keepDrawn(result, gradient, order + 4 * first * most, end - first, n, k);
  step(kernel, weights, ofWeights, result, offset, count);
}

/** Does what a task says for a block. */
export function computeBlock(
  kernel: Kernel,
  place: SamplerPlace,
  thread: number,
  { lesson, draw }: Task,
  { sampler, first, end }: Block,
): void {
  if (lesson !== undefined) {
    updateBlock(kernel, place, thread, { ...lesson, k: lesson.k[sampler] }, first, end);
  }
  if (draw !== undefined) {
    sampleBlock(kernel, place, thread, { beta: draw.beta, k: draw.k[sampler] }, first, end);
  }
}

function partOf([address, bytes]: readonly [address: number, bytes: number], thread: number): number {
  return address + thread * bytes;
}

function step(
  kernel: Kernel,
  { values, states, optimizer }: LearnedPlace,
  scalars: Scalars,
  gradients: number,
  offset: number,
  count: number,
): void {
  const state = (name: string): number => states.get(name) ?? 0;
  optimizerStep(kernel, optimizer, { values, state }, scalars)(gradients, offset, count);
}
