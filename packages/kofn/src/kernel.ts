/** The WebAssembly kernel of the sampler and the optimizers (assembly/sampler.ts), and memory in it. */

import { readFileSync } from "node:fs";
import { KofnError } from "./errors.js";
import type { Optimizer } from "./optim/optimizer.js";

/** An instance of the kernel, with a memory of its own. */
export interface Kernel {
  readonly memory: WebAssembly.Memory;
  base(): number;
  scratchBytes(n: number, k: number): number;
  fillPool(...args: number[]): void;
  sample(...args: number[]): void;
  backward(...args: number[]): void;
  keepDrawn(...args: number[]): void;
  adam(...args: number[]): void;
  sgd(...args: number[]): void;
}

const PAGE = 65_536;
const ALIGNMENT = 64;

let compiled: WebAssembly.Module | undefined;

/** @throws KofnError if the kernel is not built, or is that of another version. */
export function instantiate(): Kernel {
  const url = new URL("../wasm/sampler.wasm", import.meta.url);
  try {
    compiled ??= new WebAssembly.Module(readFileSync(url));
  } catch (cause) {
    throw new KofnError(`the WebAssembly kernel ${url.pathname} is missing; build it with "npm run build"`, {
      cause,
    });
  }
  const { exports } = new WebAssembly.Instance(compiled);
  if (!("fillPool" in exports)) {
    throw new KofnError(
      `the WebAssembly kernel ${url.pathname} is out of date; build it with "npm run build"`,
    );
  }
  return exports as unknown as Kernel;
}

/**
 * Makes room in a new kernel's memory, all of it at once, as growing makes older views of it useless.
 *
 * @param bytes of each piece
 * @returns where the pieces begin
 * @throws KofnError if there is not enough memory.
 */
export function allot(kernel: Kernel, bytes: readonly number[]): number[] {
  let end = kernel.base();
  const begins = bytes.map((size) => {
    const begin = end;
    end = Math.ceil((begin + size) / ALIGNMENT) * ALIGNMENT;
    return begin;
  });
  const missing = end - kernel.memory.buffer.byteLength;
  try {
    if (missing > 0) kernel.memory.grow(Math.ceil(missing / PAGE));
  } catch (cause) {
    const needed = (end / 2 ** 20).toFixed(0);
    throw new KofnError(
      `training needs ${needed} MiB of WebAssembly memory, which the system does not give`,
      {
        cause,
      },
    );
  }
  return begins;
}

/** Addresses of what an optimizer updates; `count` is a multiple of 4. */
export interface Update {
  readonly values: number;
  readonly gradients: number;
  readonly state: (name: string) => number;
  readonly count: number;
}

/** One step of the optimizer. */
export function stepOptimizer(
  kernel: Kernel,
  { constants }: Optimizer,
  { values, gradients, state, count }: Update,
  { rate, epsilon, decay }: Readonly<Record<string, number>>,
): void {
  if (constants.kind === "adam") {
    const { beta1, beta2 } = constants;
    kernel.adam(values, state("m"), state("v"), gradients, count, beta1, beta2, rate, epsilon, decay);
  } else {
    const { momentum, nesterov } = constants;
    kernel.sgd(values, state("velocity"), gradients, count, momentum, Number(nesterov), rate, decay);
  }
}
