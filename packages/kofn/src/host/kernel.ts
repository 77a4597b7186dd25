/** The WebAssembly kernel of the sampler, the optimizers and the quantizers (assembly/sampler.ts), and memory in it. */

import { readFileSync } from "node:fs";
import { KofnError } from "../errors.js";

/** An instance of the kernel. */
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

/** The most that 32 bits address. */
const MOST_PAGES = 65_536;

const modules = new Map<string, WebAssembly.Module>();

/** What threads need to make instances that work in one memory: it can be sent to them. */
export interface SharedKernel {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
}

/**
 * Makes an instance of the kernel with a memory of its own.
 *
 * @throws KofnError if the kernel is not built, or is that of another version.
 */
export function instantiate(): Kernel {
  return new WebAssembly.Instance(moduleOf("sampler.wasm")).exports as unknown as Kernel;
}

/**
 * Makes a memory that threads can share.
 *
 * @throws KofnError as {@link instantiate}, or if the system gives no memory.
 */
export function shareKernel(): SharedKernel {
  const module = moduleOf("sampler-shared.wasm");
  try {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: MOST_PAGES, shared: true });
    return { module, memory };
  } catch (cause) {
    throw new KofnError(
      "the system gives no WebAssembly memory that threads can share; train with one thread (--threads 1)",
      { cause },
    );
  }
}

/** Makes an instance in a memory, whose contents it leaves but for the kernel's own tables. */
export function instantiateIn({ module, memory }: SharedKernel): Kernel {
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  return { ...(exports as unknown as Kernel), memory };
}

function moduleOf(file: string): WebAssembly.Module {
  const known = modules.get(file);
  if (known !== undefined) return known;
  const url = new URL(`../../wasm/${file}`, import.meta.url);
  let module: WebAssembly.Module;
  try {
    module = new WebAssembly.Module(readFileSync(url));
  } catch (cause) {
    throw new KofnError(`the WebAssembly kernel ${url.pathname} is missing; build it with "npm run build"`, {
      cause,
    });
  }
  if (!WebAssembly.Module.exports(module).some(({ name }) => name === "maskBackward")) {
    throw new KofnError(
      `the WebAssembly kernel ${url.pathname} is out of date; build it with "npm run build"`,
    );
  }
  modules.set(file, module);
  return module;
}
