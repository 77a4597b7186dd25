/** Samplers in several threads. */

import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from "node:worker_threads";
import { KofnError, messageOf } from "../errors.js";
import type { UpdateScalars } from "../optim/optimizer.js";
import { Board } from "./board.js";
import { kernelModule } from "./kernel.js";
import { type Copy, SamplerMemory } from "./sampler-memory.js";
import { type HostSamplerOptions, roomsFor } from "./sampler-room.js";
import { type Block, computeBlock, type Draw, type Task } from "./task.js";
import { WORKER } from "./worker.generated.js";
import type { WorkerInput } from "./worker.js";

/** How often the first thread looks for blocks that others have done before it sleeps: some tens of microseconds. */
const LOOKS = 2_000;

/** A thread, and what it says. */
interface Thread {
  readonly worker: Worker;
  readonly port: MessagePort;
}

/**
 * Samplers in several threads. Each takes blocks of rows until none are left. The first one, which onnxruntime runs in, also
 * copies: gradients to where all threads read them, before they are updated with, and masks back, when they are drawn.
 */
export class ThreadedSamplers {
  readonly all: readonly SamplerMemory[];
  readonly #threads: number;
  readonly #script: string;
  readonly #patience: number;
  readonly #blocks: readonly Block[];
  /** Of each block: its part of the mask and the gradient, as all threads see them and as onnxruntime does. */
  readonly #copies: readonly Record<"mask" | "gradient", Copy>[];
  readonly #memory: SharedArrayBuffer;
  readonly #board: Board;
  #others: readonly Thread[] = [];
  #k: readonly number[] = [];
  #failure: KofnError | undefined;
  #isClosed = false;

  /**
   * @param script that the other threads run
   * @param patience seconds without any progress, after which a thread that does not answer counts as failed
   */
  constructor(options: readonly HostSamplerOptions[], threads: number, script = WORKER, patience = 60) {
    this.#threads = threads;
    this.#script = script;
    this.#patience = patience;
    const rooms = roomsFor(options, threads);
    this.all = options.map((own, i) => new SamplerMemory(own, rooms[i]));
    this.#blocks = this.all.flatMap((one, sampler) => one.blocks().map((rows) => ({ sampler, ...rows })));
    this.#copies = this.#blocks.map(({ sampler, first, end }) => this.all[sampler].copies(first, end));
    this.#memory = new SharedArrayBuffer(Board.bytes(this.#blocks.length, this.all.length));
    this.#board = new Board(this.#memory, this.#blocks.length, this.all.length);
  }

  async open(): Promise<void> {
    const numbers = Array.from({ length: this.#threads - 1 }, (_, i) => i + 1);
    try {
      this.#others = numbers.map((thread) => this.#start(thread));
      await Promise.all(this.#others.map((one) => isReady(one)));
    } catch (error) {
      await this.close();
      throw failure(messageOf(error), error);
    }
    // A process may end without having closed them.
    for (const { worker } of this.#others) worker.unref();
  }

  sample(next: Draw): void {
    this.#run({ draw: this.#begin(next) });
  }

  update(tau: number, ofLogits: UpdateScalars, ofWeights: UpdateScalars, next?: Draw): void {
    for (const one of this.all) one.setScalars(ofLogits, ofWeights);
    this.#run({ lesson: { k: this.#k, tau }, draw: next && this.#begin(next) });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(this.#others.map(({ worker }) => worker.terminate()));
    for (const { port } of this.#others) port.close();
    this.#others = [];
  }

  #start(thread: number): Thread {
    const { port1, port2 } = new MessageChannel();
    const kernels = [...new Set(this.all.map(({ kernel }) => kernel))];
    const input: WorkerInput = {
      thread,
      board: this.#memory,
      blocks: this.#blocks,
      module: kernelModule(true),
      memories: kernels.map(({ memory }) => memory),
      samplers: this.all.map(({ kernel, address }) => ({ memory: kernels.indexOf(kernel), address })),
      port: port2,
    };
    // Options of the process need not suit it: with --input-type it would be a module.
    const own = { eval: true, workerData: input, transferList: [port2], execArgv: [] };
    const worker = new Worker(this.#script, own);
    worker.on("error", (error) => (this.#failure ??= failure(messageOf(error), error)));
    worker.on("exit", (code) => {
      if (!this.#isClosed) this.#failure ??= failure(ended(code));
    });
    return { worker, port: port1 };
  }

  #begin(next: Draw): Draw {
    this.#k = next.k;
    for (const one of this.all) one.drawNoise(next.step);
    return next;
  }

  #run(task: Task): void {
    if (this.#failure !== undefined) throw this.#failure;
    const board = this.#board;
    board.put(task);
    if (task.lesson !== undefined) {
      for (const [i, { gradient }] of this.#copies.entries()) {
        gradient.shared.set(gradient.plain);
        board.setReady(i + 1);
        // Others wake up while the rest is copied.
        if (i === 0) board.call();
      }
    }
    board.setReady(this.#blocks.length);
    board.call();
    let copied = 0;
    const collect = (): void => {
      if (task.draw === undefined) return;
      for (; copied < this.#blocks.length && board.isDone(copied); copied++) {
        const { mask } = this.#copies[copied];
        mask.plain.set(mask.shared);
      }
    };
    for (let block = board.take(); block !== undefined; block = board.take()) {
      const own = this.#blocks[block];
      const { kernel, address } = this.all[own.sampler];
      computeBlock(kernel, address, 0, task, own);
      board.setDone(block);
      collect();
    }
    for (let looks = 0; looks < LOOKS && board.done < this.#blocks.length; looks++) collect();
    // What stops the process stops the clock of one wait, not of all.
    for (let waits = 0, done = board.done; done < this.#blocks.length && !board.hasFailed;) {
      board.awaitDone(done, 1_000);
      waits = board.done === done ? waits + 1 : 0;
      done = board.done;
      if (waits > this.#patience) throw (this.#failure = failure(`it has not answered for ${waits} seconds`));
    }
    collect();
    if (board.hasFailed) throw (this.#failure = failure(this.#complaint()));
  }

  /** What a thread that failed said. */
  #complaint(): string {
    const said = this.#others.map(({ port }) => receiveMessageOnPort(port)?.message as unknown);
    return messageOf(said.find((message) => message !== undefined) ?? "it gave no reason");
  }
}

/** Waits until a thread says so. */
async function isReady({ worker, port }: Thread): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    port.once("message", () => {
      resolve();
    });
    worker.once("error", reject);
    worker.once("exit", (code) => {
      reject(new Error(ended(code)));
    });
  });
  port.unref();
}

const ended = (code: number): string => `it ended with exit code ${code}`;

function failure(reason: string, cause?: unknown): KofnError {
  return new KofnError(
    `a thread that samples masks has failed: ${reason}; ` +
      `train again, with one thread (--threads 1) if it fails again`,
    { cause },
  );
}
