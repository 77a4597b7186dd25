/** Brings batches to the trainer: from memory as they are asked for, or decoded in threads while the step before runs. */

import { KofnError } from "../errors.js";
import type { BatchFiller } from "./batches.js";
import type { Geometry } from "./geometry.js";
import type { Split } from "./types.js";

/** A decoding that runs ahead: of which images, into which bytes. */
interface Ahead {
  readonly order: Uint32Array;
  readonly start: number;
  readonly done: Promise<void>;
}

/**
 * Loads batches of a split. Ask for the batches of an order one after the other: where images are decoded on the way,
 * those of the next batch are decoded while the caller works on this one.
 *
 * @example
 * const loader = new BatchLoader(data.train, data, new BatchFiller(data));
 * const order = epochOrder(data.train.count, seed, epoch);
 * for (let start = 0; start < order.length; start += labels.length) {
 *   const filled = await loader.load(order, start, epoch, pixels, labels);
 * }
 */
export class BatchLoader {
  readonly #split: Split;
  readonly #size: number;
  readonly #filler: BatchFiller;
  #bytes = new Uint8Array(0);
  #positions = new Uint32Array(0);
  #ahead: Ahead | undefined;

  constructor(split: Split, geometry: Geometry, filler: BatchFiller) {
    this.#split = split;
    this.#size = geometry.channels * geometry.height * geometry.width;
    this.#filler = filler;
  }

  /**
   * Writes the images `order[start]`, `order[start + 1]`, ... and their labels into a batch that the caller holds; the
   * batch is as large as `labels`. At the end of the order fewer may be left: the rest of the batch then keeps what it
   * had, and the caller ignores its results.
   *
   * @param epoch with the number of an image it fixes what is random.
   * @param pixels [batch, channels, height, width]
   * @param labels [batch]
   * @returns how many images were written.
   * @throws KofnError if `pixels` is not as long as `labels` and the geometry demand, or an image can't be decoded.
   */
  async load(
    order: Uint32Array,
    start: number,
    epoch: number,
    pixels: Float32Array,
    labels: BigInt64Array,
  ): Promise<number> {
    const batch = labels.length;
    if (pixels.length !== batch * this.#size) {
      throw new KofnError(
        `a batch of ${batch} images of ${this.#size} values takes ${batch * this.#size}, got room for ${pixels.length}`,
      );
    }
    const numbers = order.subarray(start, start + batch);
    const { images } = this.#split;
    if (images instanceof Uint8Array) {
      this.#filler.fill(images, numbers, numbers, epoch, pixels);
    } else {
      await this.#decoded(order, start, batch);
      this.#filler.fill(this.#bytes, this.#positions.subarray(0, numbers.length), numbers, epoch, pixels);
      if (start + batch < order.length) this.#decodeAhead(order, start + batch, batch);
    }
    for (let i = 0; i < numbers.length; i++) labels[i] = BigInt(this.#split.labels[numbers[i]]);
    return numbers.length;
  }

  /** Waits for what was begun. */
  async close(): Promise<void> {
    await this.#ahead?.done.catch(() => undefined);
    this.#ahead = undefined;
  }

  async #decoded(order: Uint32Array, start: number, batch: number): Promise<void> {
    if (this.#ahead?.order !== order || this.#ahead.start !== start) {
      await this.close();
      this.#decodeAhead(order, start, batch);
    }
    await this.#ahead?.done;
    this.#ahead = undefined;
  }

  #decodeAhead(order: Uint32Array, start: number, batch: number): void {
    const { images } = this.#split;
    if (images instanceof Uint8Array) return;
    if (this.#bytes.length < batch * this.#size) {
      this.#bytes = new Uint8Array(batch * this.#size);
      this.#positions = Uint32Array.from({ length: batch }, (_, i) => i);
    }
    const done = images.decode(order.subarray(start, start + batch), this.#bytes);
    // Whoever asks for the batch gets the error; until then it must not count as unhandled.
    done.catch(() => undefined);
    this.#ahead = { order, start, done };
  }
}
