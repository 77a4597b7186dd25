/** Threads that take their share of a batch. */

import { NetworkError } from "../errors.js";
import type { Program } from "../execute.js";
import { WORKER } from "../worker.generated.js";
import { FAILED, type Start, WAITS } from "./protocol.js";

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

export class Pool {
  readonly #threads: readonly Thread[];
  readonly #lanes: number;
  /** Whether this thread may wait for others; that of a page may not, and looks again and again instead. */
  #canWait = true;

  private constructor(threads: readonly Thread[], lanes: number) {
    this.#threads = threads;
    this.#lanes = lanes;
    try {
      Atomics.wait(threads[0].state, 0, WAITS, 0);
    } catch {
      this.#canWait = false;
    }
  }

  /**
   * @param count of threads besides the caller's own
   * @throws NetworkError if threads can't share memory here.
   */
  static async start(count: number, shared: Shared): Promise<Pool> {
    const { single, lanes, memory, ...rest } = shared;
    const threads = Array.from({ length: count }, async (): Promise<Thread> => {
      const [worker, isReady] = started();
      const state = new Int32Array(new SharedArrayBuffer(4));
      const input = new Float32Array(new SharedArrayBuffer(4 * lanes * single.inputSize));
      const results = new Float32Array(new SharedArrayBuffer(4 * lanes * single.outputSize));
      const copy = memory.buffer.slice(0);
      worker.postMessage({ ...rest, single, memory: copy, state, input, results }, [copy]);
      await isReady;
      return { state, input, results, worker };
    });
    return new Pool(await Promise.all(threads), lanes);
  }

  /**
   * Computes a batch.
   *
   * @param own computes the samples from `first` to before `end`, which are the caller's own share
   */
  run(
    input: Float32Array,
    results: Float32Array,
    batch: number,
    own: (first: number, end: number) => void,
  ): void {
    const [inputSize, outputSize] = [input.length / batch, results.length / batch];
    const threads = this.#threads;
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
      own(first, Math.min(batch, first + share));
      for (const { thread, begin, count } of shares) {
        while (Atomics.load(thread.state, 0) === count)
          if (this.#canWait) Atomics.wait(thread.state, 0, count);
        if (Atomics.load(thread.state, 0) === FAILED) throw new NetworkError("a thread has failed");
        results.set(thread.results.subarray(0, count * outputSize), begin * outputSize);
      }
    }
  }

  /** Ends all threads. */
  end(): void {
    for (const { worker } of this.#threads) void worker.terminate();
  }
}

/** A worker that runs the text, which no bundler has to find, and when it is ready. */
function started(): [Peer, Promise<void>] {
  const node = typeof process === "object" ? process.getBuiltinModule("node:worker_threads") : undefined;
  if (node !== undefined) {
    const worker = new node.Worker(WORKER, { eval: true });
    const isReady = new Promise<void>((resolve, reject) => {
      worker.once("error", reject).once("message", () => {
        // The process may end while threads wait.
        worker.unref();
        resolve();
      });
    });
    return [worker, isReady];
  }
  if (!crossOriginIsolated) {
    throw new NetworkError(
      "threads need a page that is isolated from others: serve it with the headers " +
        '"Cross-Origin-Opener-Policy: same-origin" and "Cross-Origin-Embedder-Policy: require-corp", or load without threads',
    );
  }
  const address = URL.createObjectURL(new Blob([WORKER], { type: "text/javascript" }));
  const worker = new Worker(address);
  const isReady = new Promise<void>((resolve, reject) => {
    worker.onmessage = () => {
      URL.revokeObjectURL(address);
      resolve();
    };
    worker.onerror = ({ message }) => {
      reject(
        new NetworkError(`a thread can't start: ${message || 'a policy has to allow "worker-src blob:"'}`),
      );
    };
  });
  return [worker, isReady];
}
