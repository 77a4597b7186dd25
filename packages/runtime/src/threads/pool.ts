/** Threads that take their share of a batch. */

import { NetworkError } from "../errors.js";
import type { Program } from "../execute.js";
import { WORKER } from "../worker.generated.js";
import { FAILED, type Start } from "./protocol.js";

/** What all threads of a network have in common. */
export interface Shared {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly single: Program;
  readonly wide: Program | undefined;
  readonly leastWide: number;
  /** The most samples that a thread computes at once. */
  readonly lanes: number;
}

interface Thread {
  readonly state: Int32Array<SharedArrayBuffer>;
  readonly input: Float32Array<SharedArrayBuffer>;
  readonly results: Float32Array<SharedArrayBuffer>;
  readonly worker: Peer;
}

/** A worker of a browser, or of Node. */
interface Peer {
  postMessage(message: Start, transfer: ArrayBuffer[]): void;
  terminate(): unknown;
}

/**
 * A thread is given up after so many waits, each of so many milliseconds and as long as the caller took for as many samples. One long wait
 * would give threads up when the machine has slept.
 */
const MOST_WAITS = 20;
const WAIT = 250;

export class Pool {
  readonly #threads: readonly Thread[];
  readonly #lanes: number;
  /** Whether this thread may wait for others; that of a page may not, and looks again and again instead. */
  #canWait = true;

  private constructor(threads: readonly Thread[], lanes: number) {
    this.#threads = threads;
    this.#lanes = lanes;
    try {
      Atomics.wait(threads[0].state, 0, FAILED, 0);
    } catch {
      this.#canWait = false;
    }
  }

  /**
   * @param count of threads besides the caller's own
   * @throws NetworkError if threads can't share memory here, or one can't start.
   */
  static async start(count: number, { memory, ...shared }: Shared): Promise<Pool> {
    const { single, lanes } = shared;
    const threads: Thread[] = [];
    const starts = Array.from(
      { length: count },
      () =>
        new Promise<void>((resolve, reject) => {
          const floats = (size: number): Float32Array<SharedArrayBuffer> =>
            new Float32Array(new SharedArrayBuffer(4 * lanes * size));
          const worker = started(resolve, (why) => {
            Atomics.store(state, 0, FAILED);
            reject(new NetworkError(`a thread can't start: ${why}`));
          });
          const state = new Int32Array(new SharedArrayBuffer(4));
          const arrays = { state, input: floats(single.inputSize), results: floats(single.outputSize) };
          threads.push({ ...arrays, worker });
          const copy = memory.buffer.slice(0);
          worker.postMessage({ ...shared, ...arrays, memory: copy }, [copy]);
        }),
    );
    try {
      await Promise.all(starts);
    } catch (error) {
      end(threads);
      throw error;
    }
    return new Pool(threads, lanes);
  }

  /**
   * Computes a batch.
   *
   * @param own computes the samples from `first` to before `end`, which are the caller's own share
   * @throws NetworkError if a thread fails or has ended, from then on at every call.
   */
  run(
    input: Float32Array,
    results: Float32Array,
    batch: number,
    own: (first: number, end: number) => void,
  ): void {
    const [inputSize, outputSize] = [input.length / batch, results.length / batch];
    const threads = this.#threads;
    threads.forEach(check);
    let done = 0;
    while (done < batch) {
      const share = Math.min(this.#lanes, Math.ceil((batch - done) / (threads.length + 1)));
      const first = done;
      done = Math.min(batch, done + share);
      const shares = threads.flatMap((thread) => {
        const begin = done;
        done = Math.min(batch, done + share);
        if (begin === done) return [];
        thread.input.set(input.subarray(begin * inputSize, done * inputSize));
        Atomics.store(thread.state, 0, done - begin);
        Atomics.notify(thread.state, 0);
        return [{ thread, begin, count: done - begin }];
      });
      const start = performance.now();
      try {
        own(first, Math.min(batch, first + share));
      } finally {
        const patience = WAIT + performance.now() - start;
        for (const { thread, count } of shares) this.#await(thread, count, patience);
      }
      for (const { thread, begin, count } of shares)
        results.set(thread.results.subarray(0, count * outputSize), begin * outputSize);
    }
  }

  /** Waits until a thread has computed its samples. */
  #await(thread: Thread, count: number, patience: number): void {
    const { state } = thread;
    for (let waits = 0; Atomics.load(state, 0) === count; waits++) {
      // It has died, or it hears when it is done that it came too late.
      if (waits === MOST_WAITS) Atomics.compareExchange(state, 0, count, FAILED);
      else if (this.#canWait) Atomics.wait(state, 0, count, patience);
      else {
        const last = performance.now() + patience;
        while (Atomics.load(state, 0) === count && performance.now() < last);
      }
    }
    check(thread);
  }

  /** Ends all threads. */
  end(): void {
    end(this.#threads);
  }
}

function check({ state }: Thread): void {
  if (Atomics.load(state, 0) === FAILED)
    throw new NetworkError(
      "a thread of the network has failed or ended: close the network and load it again",
    );
}

function end(threads: readonly Thread[]): void {
  for (const { worker } of threads) void worker.terminate();
}

/**
 * A worker that runs the text, which no bundler has to find.
 *
 * @param ready is called when it waits for samples
 * @param lost is called when it has an error, or ends
 */
function started(ready: () => void, lost: (why: string) => void): Peer {
  const node = typeof process === "object" ? process.getBuiltinModule("node:worker_threads") : undefined;
  if (node !== undefined) {
    const worker = new node.Worker(WORKER, { eval: true });
    return worker
      .on("error", ({ message }: Error) => {
        lost(message);
      })
      .on("exit", () => {
        lost("it has ended");
      })
      .once("message", () => {
        // The process may end while threads wait.
        worker.unref();
        ready();
      });
  }
  if (!crossOriginIsolated) {
    throw new NetworkError(
      "threads need a page that is isolated from others: serve it with the headers " +
        '"Cross-Origin-Opener-Policy: same-origin" and "Cross-Origin-Embedder-Policy: require-corp", or load without threads',
    );
  }
  const address = URL.createObjectURL(new Blob([WORKER], { type: "text/javascript" }));
  const worker = new Worker(address);
  worker.onmessage = () => {
    URL.revokeObjectURL(address);
    ready();
  };
  worker.onerror = ({ message }) => {
    lost(message || 'a policy has to allow "worker-src blob:"');
  };
  return worker;
}
