/** The WebAssembly kernel of the sampler, the optimizers and the quantizers (assembly/sampler.ts), and memory in it. */

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
  quantize(...args: number[]): void;
  quantizeBackward(...args: number[]): void;
  fitLargest(...args: number[]): void;
  fitMean(...args: number[]): void;
  mask(...args: number[]): void;
  maskBackward(...args: number[]): void;
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
  if (!("maskBackward" in exports)) {
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
  const { begins, end } = sideBySide(kernel.base(), bytes);
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

/**
 * Where pieces of memory begin that lie one behind the other, and where they end.
 *
 * @param bytes of each piece
 */
export function sideBySide(first: number, bytes: readonly number[]): { begins: number[]; end: number } {
  let end = first;
  const begins = bytes.map((size) => {
    const begin = end;
    end = Math.ceil((begin + size) / ALIGNMENT) * ALIGNMENT;
    return begin;
  });
  return { begins, end };
}

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
  { constants }: Optimizer,
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
