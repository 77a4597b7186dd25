/** Instances of the WebAssembly kernels (assembly/host.ts), which are part of the script as a text, and structures in their memory. */

import { KofnError } from "../errors.js";
import {
  ABI,
  type Address,
  type Kernels,
  SHARED_WASM,
  STRUCTURES,
  type Structures,
  WASM,
} from "./wasm.generated.js";

/** An instance of the kernels. */
export interface Kernel extends Kernels {
  readonly memory: WebAssembly.Memory;
}

const modules = new Map<string, WebAssembly.Module>();

/**
 * The compiled kernels: for memory that threads share, to whom they can be sent, or for other memory.
 *
 * @throws KofnError if they can't be compiled.
 */
export function kernelModule(isShared: boolean): WebAssembly.Module {
  const text = isShared ? SHARED_WASM : WASM;
  const known = modules.get(text);
  if (known !== undefined) return known;
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  try {
    const module = new WebAssembly.Module(bytes);
    modules.set(text, module);
    return module;
  } catch (cause) {
    throw new KofnError(
      "WebAssembly with 128-bit vectors and threads is needed, which is not available here; use Node 20 or newer",
      { cause },
    );
  }
}

/**
 * Makes an instance in a memory, whose contents it leaves but for the kernels' own tables.
 *
 * @throws KofnError if the kernels are not those that this script knows how to call.
 */
export function instantiate(module: WebAssembly.Module, memory: WebAssembly.Memory): Kernel {
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  const abi: unknown = exports.abi instanceof WebAssembly.Global ? exports.abi.value : "none";
  if (abi !== ABI) {
    throw new KofnError(
      `the WebAssembly kernels are of another build than what calls them: expected number ${ABI}, got ${String(abi)}; ` +
        `install kofn again, or build it with "npm run build"`,
    );
  }
  return exports as unknown as Kernel;
}

/** Writes a structure that kernels read: the only way to get what they take for its address. */
export function write<Name extends keyof Structures>(
  { memory }: Kernel,
  name: Name,
  at: number,
  values: Structures[Name],
): Address<Name> {
  const { bytes, fields } = STRUCTURES[name];
  const places: Readonly<Record<string, readonly [offset: number, type: string]>> = fields;
  const view = new DataView(memory.buffer, at, bytes);
  for (const [field, value] of Object.entries<number>(values)) {
    const [offset, type] = places[field];
    if (type === "f32") view.setFloat32(offset, value, true);
    else if (type === "f64") view.setFloat64(offset, value, true);
    else view.setUint32(offset, value, true);
  }
  return at as Address<Name>;
}
