/** The samplers of all pruned layers of a run, side by side in several threads where that pays. */

import type { UpdateScalars } from "../optim/optimizer.js";
import type { SamplerMemory } from "./sampler-memory.js";
import type { HostSamplerOptions } from "./sampler-room.js";
import { SerialSamplers } from "./serial.js";
import type { Draw } from "./task.js";
import { ThreadedSamplers } from "./threads.js";

/** A thread has at least so many logits: for fewer, waking it may take longer than what it saves. */
const LEAST = 50_000;
/** A step's masks. */
export type Sample = Draw;

/** Samplers that draw together and learn together. */
export interface HostSamplers {
  /** Their arrays. */
  readonly all: readonly SamplerMemory[];
  /**
   * Starts threads; to be called once before all else.
   *
   * @throws KofnError if they can't be had.
   */
  open(): Promise<void>;
  /**
   * Draws all masks.
   *
   * @throws KofnError if a thread has failed.
   */
  sample(next: Sample): void;
  /**
   * Updates all logits, and the weights that samplers hold, by the gradients of the last masks.
   *
   * @param next masks that are drawn then, as {@link sample} would, in the same pass
   * @throws KofnError if a thread has failed.
   */
  update(tau: number, ofLogits: UpdateScalars, ofWeights: UpdateScalars, next?: Sample): void;
  close(): Promise<void>;
}

/**
 * Makes samplers for up to so many threads, whose number changes nothing in what they compute.
 *
 * @example
 * const samplers = hostSamplers(layers, 2);
 * await samplers.open();
 * samplers.sample({ step: 0, beta: 1, k: [40, 30] }); // fills samplers.all[0].mask and samplers.all[1].mask
 * await samplers.close();
 */
export function hostSamplers(options: readonly HostSamplerOptions[], threads: number): HostSamplers {
  const logits = options.reduce((sum, { rows, n }) => sum + rows * n, 0);
  const useful = Math.min(threads, Math.floor(logits / LEAST));
  return useful > 1 ? new ThreadedSamplers(options, useful) : new SerialSamplers(options);
}
