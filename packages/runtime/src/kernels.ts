/** Makes instances of the WebAssembly kernels, which are part of the script. */

import { NetworkError } from "./errors.js";
import type { Kernels } from "./execute.js";
import { WASM } from "./wasm.generated.js";

const [ZERO, NINE, A] = [48, 57, 97];

let compiled: Promise<WebAssembly.Module> | undefined;

/** @throws NetworkError if WebAssembly or its vectors are not available. */
export function kernelModule(): Promise<WebAssembly.Module> {
  return (compiled ??= compile());
}

export async function instantiate(): Promise<Kernels> {
  const { exports } = await WebAssembly.instantiate(await kernelModule());
  return exports as unknown as Kernels;
}

async function compile(): Promise<WebAssembly.Module> {
  // Many times as fast as parseInt.
  const digit = (at: number): number => {
    const code = WASM.charCodeAt(at);
    return code - (code > NINE ? A - 10 : ZERO);
  };
  const bytes = new Uint8Array(WASM.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = 16 * digit(2 * i) + digit(2 * i + 1);
  try {
    return await WebAssembly.compile(bytes);
  } catch (cause) {
    throw new NetworkError("WebAssembly with 128-bit vectors is needed, which is not available here", {
      cause,
    });
  }
}
