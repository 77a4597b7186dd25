/** A network that is ready to run. */

import { NetworkError } from "./errors.js";
import { type Program, type Runner, runnerOf } from "./execute.js";
import type { NetworkInfo } from "./info.js";
import { sizeOf } from "./graph/types.js";
import { normalize, type PixelImage } from "./pixels.js";
import type { Pool } from "./threads/pool.js";
import type { Kernels } from "./wasm.generated.js";

/** Batches of at least so many samples run side by side, if the network allows it. */
export const LEAST_WIDE = 8;

/** A class and how likely it is. */
export interface Classification {
  /** Its place among the logits. */
  readonly index: number;
  /** Its name; its place as a text if the file has no names. */
  readonly label: string;
  readonly probability: number;
}

/** What a network is made of. */
export interface Parts {
  readonly kernels: Kernels;
  readonly info: NetworkInfo;
  readonly single: Program;
  /** Plans for so many samples side by side; undefined if the network has no layer that gains by it. */
  readonly wide: () => Program | undefined;
  readonly lanes: number;
  /** Threads that compute their share of batches. */
  readonly pool: Pool | undefined;
  /** Whether results are probabilities already. */
  readonly hasSoftmax: boolean;
}

/**
 * A network from a .kofn file. It belongs to one caller at a time, as its memory is used again by every call.
 *
 * @example
 * const net = await load("model.kofn");
 * const logits = net.run(input);
 */
export class Network {
  /** What the network is, layer by layer. */
  readonly info: NetworkInfo;
  readonly #parts: Parts;
  readonly #inputSize: number;
  readonly #outputSize: number;
  /** Planned when it is needed first; null if there is none. */
  #wide: Runner | null | undefined;
  #isClosed = false;
  readonly #single: Runner;

  /** Use `load`. */
  constructor(parts: Parts) {
    this.info = parts.info;
    this.#parts = parts;
    this.#single = runnerOf(parts.kernels, parts.single);
    this.#inputSize = sizeOf(parts.info.input);
    this.#outputSize = sizeOf(parts.info.output);
  }

  /**
   * Computes the results of one sample or of several. With threads, each computes a part of the samples; this one waits for the others
   * (on the main thread of a page, which may not wait, it looks again and again until they are done).
   *
   * @param input samples one after the other, each in the order of `info.input`, normalised as the network expects it
   * @param output takes the results; a new array by default
   * @returns the results, one after the other, each in the order of `info.output`
   * @throws NetworkError if an array has the wrong length, the network is closed, or a thread has failed or ended: every call after that
   *   fails alike.
   */
  run(input: Float32Array, output?: Float32Array): Float32Array {
    if (this.#isClosed) throw new NetworkError("the network is closed: load it again");
    const batch = input.length / this.#inputSize;
    if (!Number.isInteger(batch) || batch === 0) {
      throw new NetworkError(
        `the input has ${input.length} numbers, expected a multiple of ${this.#inputSize}, the size of a sample [${this.info.input.join(", ")}]`,
      );
    }
    const results = output ?? new Float32Array(batch * this.#outputSize);
    if (results.length !== batch * this.#outputSize) {
      throw new NetworkError(
        `the output has ${results.length} numbers, expected ${batch * this.#outputSize}: ${this.#outputSize} for each of ${batch} samples`,
      );
    }
    const own = (first: number, end: number): void => {
      this.#runPart(input, results, first, end);
    };
    const { pool } = this.#parts;
    if (pool === undefined) own(0, batch);
    else pool.run(input, results, batch, own);
    return results;
  }

  /** Ends the network's threads; it can't run after that. */
  close(): void {
    this.#isClosed = true;
    this.#parts.pool?.end();
  }

  #runPart(input: Float32Array, results: Float32Array, first: number, end: number): void {
    let done = first;
    while (done < end) {
      const wide = end - done >= LEAST_WIDE ? this.#wideOrNull() : null;
      const count = wide === null ? 1 : Math.min(this.#parts.lanes, end - done);
      (wide ?? this.#single)(input, results, done, count);
      done += count;
    }
  }

  #wideOrNull(): Runner | null {
    if (this.#wide === undefined) {
      const program = this.#parts.wide();
      this.#wide = program === undefined ? null : runnerOf(this.#parts.kernels, program);
    }
    return this.#wide;
  }

  /**
   * Normalises an image as the file says, runs the network and ranks the classes.
   *
   * @param pixels an image of the size that the network reads, such as `ImageData` of a canvas (on black where it is not opaque),
   *   or numbers from 0 to 255 in the order [channels, height, width]
   * @returns all classes, the most likely first
   * @throws NetworkError if the image does not fit, or the file does not say how to normalise.
   */
  classify(pixels: PixelImage | ArrayLike<number>): Classification[] {
    const { normalization, input, labels } = this.info;
    if (normalization === undefined) {
      throw new NetworkError("the file does not say how its input is normalised: normalise it and call run");
    }
    const logits = this.run(normalize(pixels, input, normalization));
    const most = logits.reduce((a, b) => Math.max(a, b));
    const weights = this.#parts.hasSoftmax ? logits : logits.map((logit) => Math.exp(logit - most));
    const sum = weights.reduce((a, b) => a + b);
    return Array.from(weights, (weight, index) => ({
      index,
      label: labels[index] ?? String(index),
      probability: weight / sum,
    })).sort((a, b) => b.probability - a.probability);
  }
}
