/** A thread that samples: it takes blocks of the tasks that `host-samplers.ts` puts up, until it is ended. */

import { type MessagePort, workerData } from "node:worker_threads";
import { messageOf } from "../errors.js";
import { instantiateIn, type SharedKernel } from "./kernel.js";
import { Board } from "./board.js";
import { type Block, computeBlock, type SamplerPlace } from "./sampler-block.js";

/** What a thread is told at its start. */
export interface WorkerInput {
  /** Its number; the thread that puts up tasks has 0. */
  readonly thread: number;
  readonly board: SharedArrayBuffer;
  readonly blocks: readonly Block[];
  /** Of each sampler. */
  readonly kernels: readonly SharedKernel[];
  readonly places: readonly SamplerPlace[];
  /** Where it says "ready", and what went wrong. */
  readonly port: MessagePort;
}

const { thread, board: memory, blocks, kernels, places, port } = workerData as WorkerInput;
const instances = kernels.map(instantiateIn);
const board = new Board(memory, blocks.length, places.length);
port.postMessage("ready");
for (let calls = 0; ;) {
  calls = board.awaitCall(calls);
  for (let block = board.take(); block !== undefined; block = board.take()) {
    const own = blocks[block];
    try {
      computeBlock(instances[own.sampler], places[own.sampler], thread, board.task, own);
    } catch (error) {
      port.postMessage(messageOf(error));
      board.fail();
    }
    board.setDone(block);
  }
}
