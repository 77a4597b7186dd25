/** What a thread runs: it waits for samples, computes them and waits again. build.js makes a text of it, src/worker.generated.ts. */

import { runnerOf } from "../execute.js";
import type { Kernels } from "../wasm.generated.js";
import { FAILED, type Start, WAITS } from "./protocol.js";

const PAGE = 65_536;

interface Port {
  onmessage: ((event: { readonly data: Start }) => void) | null;
  postMessage(message: string): void;
}

const { process } = globalThis as Partial<typeof globalThis>;
const port = (process?.getBuiltinModule("node:worker_threads").parentPort ?? globalThis) as unknown as Port;

port.onmessage = ({ data }) => {
  const { module, memory, single, wide, leastWide, state, input, results } = data;
  const kernels = new WebAssembly.Instance(module).exports as unknown as Kernels;
  kernels.memory.grow((memory.byteLength - kernels.memory.buffer.byteLength) / PAGE);
  new Uint8Array(kernels.memory.buffer).set(new Uint8Array(memory));
  const runOne = runnerOf(kernels, single);
  const runWide = wide && runnerOf(kernels, wide);
  port.postMessage("ready");
  for (;;) {
    Atomics.wait(state, 0, WAITS);
    const count = Atomics.load(state, 0);
    if (count === FAILED) return;
    let next = WAITS;
    try {
      if (runWide !== undefined && count >= leastWide) runWide(input, results, 0, count);
      else for (let i = 0; i < count; i++) runOne(input, results, i, 1);
    } catch {
      next = FAILED;
    }
    // Unless the caller has given this thread up.
    Atomics.compareExchange(state, 0, count, next);
    Atomics.notify(state, 0);
  }
};
