/** What a network and its threads say to each other. */

import type { Program } from "../execute.js";

/** State of a thread: waiting for samples. A number above that counts the samples that it is to compute. */
export const WAITS = 0;
/** It could not compute them, or has ended; this state stays. */
export const FAILED = -1;

/** What a thread is given to begin with. */
export interface Start {
  readonly module: WebAssembly.Module;
  /** A copy of the caller's memory. */
  readonly memory: ArrayBuffer;
  readonly single: Program;
  readonly wide: Program | undefined;
  /** Batches of at least so many samples run side by side. */
  readonly leastWide: number;
  /** Shared with the caller: the state, samples and results. */
  readonly state: Int32Array<SharedArrayBuffer>;
  readonly input: Float32Array<SharedArrayBuffer>;
  readonly results: Float32Array<SharedArrayBuffer>;
}
