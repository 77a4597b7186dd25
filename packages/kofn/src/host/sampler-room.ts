/** Where samplers lie: side by side in the memory of one instance of the kernels, or of as many as hold them. */

import type { Optimizer } from "../optim/optimizer.js";
import type { Kernel } from "./kernel.js";
import { Learner } from "./learner.js";
import { kernelFor, MOST_BYTES, sideBySide } from "./memory.js";
import { STRUCTURES } from "./wasm.generated.js";

/** Rows are updated in blocks of about so many logits, which stay in the cache from their gradient to their update. */
const BLOCK = 8_192;

/** Bytes between the gradients of blocks that may be those of different threads, and between what threads have of their own. */
const APART = 64;

/**
 * Noise comes from a pool of at least as many values as the layer has logits, but for these bounds: a smaller pool would soon
 * show the same noise again, and a larger one is dear to read.
 */
const POOL = { least: 2 ** 16, most: 2 ** 20 };

/** What a sampler is made for. */
export interface HostSamplerOptions {
  /** R */
  readonly rows: number;
  readonly n: number;
  /** The largest k that will be asked for. */
  readonly most: number;
  readonly seed: number;
  /** With the seed, the key of the layer's noise. */
  readonly name: string;
  readonly optimizer: Optimizer;
  /** Weight of the entropy regulariser. */
  readonly entropy: number;
  /**
   * Where each unit is one weight: the optimizer of the weights. The sampler then holds them too, so that a training step
   * takes W * M in place of W and M, and gives the gradient of that.
   */
  readonly weights?: Optimizer;
}

/** Sizes of a sampler. */
export interface SamplerLayout {
  /** Rows of a block: a multiple of four, so that it begins at a multiple of four elements. */
  readonly block: number;
  /** Bytes between the gradients of a block and those of the next. */
  readonly gap: number;
  /** Numbers of the pool of noise. */
  readonly poolSize: number;
  /** In how many blocks the layer reads it. */
  readonly reads: number;
  /** Bytes for each thread. */
  readonly scratchBytes: number;
  readonly productBytes: number;
  /**
   * Bytes of each piece of memory: structure, order, guesses, scratch memory, product, pool, offsets, mask, z and gradient; then of the
   * logits and, if the sampler holds them, the weights: structure, values, and each state.
   */
  readonly pieces: readonly number[];
}

/** Room for a sampler. */
export interface SamplerRoom {
  readonly kernel: Kernel;
  readonly layout: SamplerLayout;
  /** Where the pieces begin. */
  readonly begins: readonly number[];
}

/**
 * Makes room for samplers. Each further memory takes more addresses from the system.
 *
 * @param threads that are to work on them
 * @param most bytes in one memory
 * @throws KofnError if there is not enough memory.
 */
export function roomsFor(
  options: readonly HostSamplerOptions[],
  threads = 1,
  most = MOST_BYTES,
): readonly SamplerRoom[] {
  const { kernel: ruler } = kernelFor([]);
  const memories: SamplerLayout[][] = [];
  let left = 0;
  for (const own of options) {
    const layout = layoutOf(own, threads, ruler.scratchBytes(own.n, own.most));
    const bytes = sideBySide(0, layout.pieces).end;
    if (bytes > left) {
      memories.push([]);
      left = most;
    }
    memories[memories.length - 1].push(layout);
    left -= bytes;
  }
  return memories.flatMap((layouts) => roomsIn(layouts, threads > 1));
}

/** Room for samplers in one memory. */
function roomsIn(layouts: readonly SamplerLayout[], isShared: boolean): SamplerRoom[] {
  const all = layouts.flatMap(({ pieces }) => pieces);
  const { kernel, begins } = kernelFor(all, isShared);
  let taken = 0;
  return layouts.map((layout) => {
    const own = begins.slice(taken, taken + layout.pieces.length);
    taken += layout.pieces.length;
    return { kernel, layout, begins: own };
  });
}

function layoutOf(
  { rows, n, most, optimizer, weights }: HostSamplerOptions,
  threads: number,
  scratch: number,
): SamplerLayout {
  const block = 4 * Math.max(1, Math.round(BLOCK / (4 * n)));
  const gap = threads > 1 ? APART : 0;
  const units = Math.min(Math.max(rows * n, POOL.least), POOL.most);
  const poolSize = 2 ** Math.ceil(Math.log2(units));
  const reads = Math.ceil((rows * n + 3) / poolSize);
  // The kernels read and write whole vectors of 16 bytes.
  const bytes = 4 * rows * n + 16;
  const scratchBytes = apart(scratch);
  const productBytes = weights === undefined ? 0 : apart(4 * block * n + 16);
  const learners = weights === undefined ? [optimizer] : [optimizer, weights];
  const pieces = [
    ...[STRUCTURES.Sampler.bytes, 16 * Math.ceil(rows / 4) * most, 12 * rows],
    ...[threads * scratchBytes, threads * productBytes, 4 * poolSize + 16, 4 * reads],
    ...[bytes, bytes, bytes + gap * Math.ceil(rows / block)],
    ...learners.flatMap(({ state }) => [Learner.bytes, bytes, ...state.map(() => bytes)]),
  ];
  return { block, gap, poolSize, reads, scratchBytes, productBytes, pieces };
}

/** So many bytes and a few more, so that pieces of this size have no line of the cache in common. */
function apart(bytes: number): number {
  return Math.ceil(bytes / APART) * APART;
}
