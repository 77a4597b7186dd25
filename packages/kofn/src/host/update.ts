/** One step of an optimizer, part by part, by the kernel. */

import type { Optimizer } from "../optim/optimizer.js";
import type { Kernel } from "./kernel.js";

/** Addresses of what an optimizer updates. */
export interface Held {
  readonly values: number;
  readonly state: (name: string) => number;
}

/**
 * Updates a part that begins `offset` bytes behind the addresses.
 *
 * @param gradients their address
 * @param count a multiple of 4
 */
export type PartUpdate = (gradients: number, offset: number, count: number) => void;

/** One step of the optimizer, part by part. */
export function optimizerStep(
  kernel: Kernel,
  constants: Optimizer["constants"],
  { values, state }: Held,
  { rate, epsilon, decay }: Readonly<Record<string, number>>,
): PartUpdate {
  if (constants.kind === "adam") {
    const { beta1, beta2 } = constants;
    const [m, v] = [state("m"), state("v")];
    return (gradients, at, count) => {
      kernel.adam(values + at, m + at, v + at, gradients, count, beta1, beta2, rate, epsilon, decay);
    };
  }
  const { momentum } = constants;
  const nesterov = Number(constants.nesterov);
  const velocity = state("velocity");
  return (gradients, at, count) => {
    kernel.sgd(values + at, velocity + at, gradients, count, momentum, nesterov, rate, decay);
  };
}
