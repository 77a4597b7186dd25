/** Where arrays lie in a kernel's memory. */

import { KofnError } from "../errors.js";
import type { Kernel } from "./kernel.js";

const PAGE = 65_536;

const ALIGNMENT = 64;

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
