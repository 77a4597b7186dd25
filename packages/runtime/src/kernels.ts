/** Makes instances of the WebAssembly kernels, which are part of the script. */

import { NetworkError } from "./errors.js";
import { type Kernels, WASM } from "./wasm.generated.js";

/**
 * Only pages have to compile in the background. Node may hang when it has nothing else to wait for
 * (https://github.com/nodejs/node/issues/54918).
 */
const isPage = typeof document === "object";

let compiled: Promise<WebAssembly.Module> | undefined;

/** @throws NetworkError if WebAssembly or its vectors are not available. */
export function kernelModule(): Promise<WebAssembly.Module> {
  return (compiled ??= compile());
}

export async function instantiate(): Promise<Kernels> {
  const module = await kernelModule();
  const { exports } = isPage ? await WebAssembly.instantiate(module) : new WebAssembly.Instance(module);
  return exports as unknown as Kernels;
}

async function compile(): Promise<WebAssembly.Module> {
  // As build.js writes it: characters from # on, without the backslash; the last two go before another.
  let at = 0;
  const next = (): number => {
    const code = WASM.charCodeAt(at++);
    return code - (code > 92 ? 36 : 35);
  };
  const list: number[] = [];
  while (at < WASM.length) {
    const place = next();
    list.push(place < 89 ? place - 3 : 86 + 85 * (place - 89) + next());
  }
  const bytes = Uint8Array.from(list);
  try {
    return isPage ? await WebAssembly.compile(bytes) : new WebAssembly.Module(bytes);
  } catch (cause) {
    throw new NetworkError("WebAssembly with 128-bit vectors is needed, which is not available here", {
      cause,
    });
  }
}
