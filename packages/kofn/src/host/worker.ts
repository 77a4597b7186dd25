/** A thread that samples: it takes blocks of the tasks that `threads.ts` puts up, until it is ended. build.js makes a text of it. */

import { type MessagePort, workerData } from "node:worker_threads";
import { messageOf } from "../errors.js";
import { Board } from "./board.js";
import { instantiate } from "./kernel.js";
import { type Block, computeBlock } from "./task.js";
import type { Address } from "./wasm.generated.js";

/** What a thread is told at its start. */
export interface WorkerInput {
  /** Its number; the thread that puts up tasks has 0. */
  readonly thread: number;
  readonly board: SharedArrayBuffer;
  readonly blocks: readonly Block[];
  /** The kernels, and the memories in which samplers lie. */
  readonly module: WebAssembly.Module;
  readonly memories: readonly WebAssembly.Memory[];
  /** Of each sampler: in which memory it lies, and where. */
  readonly samplers: readonly { readonly memory: number; readonly address: Address<"Sampler"> }[];
  /** Where it says "ready", and what went wrong. */
  readonly port: MessagePort;
}

const { thread, board: words, blocks, module, memories, samplers, port } = workerData as WorkerInput;
const kernels = memories.map((memory) => instantiate(module, memory));
const board = new Board(words, blocks.length, samplers.length);
port.postMessage("ready");
for (let calls = 0; ;) {
  calls = board.awaitCall(calls);
  for (let block = board.take(); block !== undefined; block = board.take()) {
    const own = blocks[block];
    const { memory, address } = samplers[own.sampler];
    try {
      computeBlock(kernels[memory], address, thread, board.task, own);
    } catch (error) {
      port.postMessage(messageOf(error));
      board.fail();
    }
    board.setDone(block);
  }
}
