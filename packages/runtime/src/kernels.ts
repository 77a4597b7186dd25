/** Makes instances of the WebAssembly kernels, which are part of the script. */

import { NetworkError } from "./errors.js";
import type { Kernels } from "./plan/memory.js";
import { WASM } from "./wasm.generated.js";

let compiled: Promise<WebAssembly.Module> | undefined;

/** @throws NetworkError if WebAssembly or its vectors are not available. */
export async function instantiate(): Promise<Kernels> {
  compiled ??= compile();
  const { exports } = await WebAssembly.instantiate(await compiled);
  return exports as unknown as Kernels;
}

async function compile(): Promise<WebAssembly.Module> {
  const bytes = Uint8Array.from(atob(WASM), (character) => character.charCodeAt(0));
  try {
    return await WebAssembly.compile(bytes);
  } catch (cause) {
    throw new NetworkError("WebAssembly with 128-bit vectors is needed, which is not available here", {
      cause,
    });
  }
}
