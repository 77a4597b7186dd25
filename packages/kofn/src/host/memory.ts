/** Where arrays lie in the memory of kernels. */

import { KofnError } from "../errors.js";
import { instantiate, type Kernel, kernelModule } from "./kernel.js";
import { BASE } from "./wasm.generated.js";

const PAGE = 65_536;

const ALIGNMENT = 64;

/** The most bytes that pieces in one memory can have: those that 32 bits address, without the kernels' own. */
export const MOST_BYTES = 2 ** 32 - BASE;

/**
 * Makes an instance of the kernels with a memory that has room for pieces of these sizes, and for nothing else. All are asked for at
 * once, as a memory takes addresses from the system whatever its size: Node reserves 10 GiB for each.
 *
 * @param bytes of each piece
 * @param isShared whether threads are to share the memory
 * @returns where the pieces begin, too
 * @throws KofnError if there is not enough memory.
 */
export function kernelFor(
  bytes: readonly number[],
  isShared = false,
): { kernel: Kernel; begins: readonly number[] } {
  const { begins, end } = sideBySide(BASE, bytes);
  const pages = Math.ceil(end / PAGE);
  let memory: WebAssembly.Memory;
  try {
    memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: isShared });
  } catch (cause) {
    throw new KofnError(
      `training needs ${(end / 2 ** 20).toFixed(0)} MiB of WebAssembly memory${isShared ? " that threads share" : ""}, ` +
        `which the system does not give; raise its limit of addresses (ulimit -v), of which Node takes 10 GiB for each such memory` +
        (isShared ? ", or train with one thread (--threads 1)" : ""),
      { cause },
    );
  }
  return { kernel: instantiate(kernelModule(isShared), memory), begins };
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
