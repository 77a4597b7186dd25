/** Fills batches for the network: images as float32 in [N, C, H, W], labels as int64, in the order of an epoch. */

import { KofnError } from "../errors.js";
import { Random } from "../random.js";
import type { Dataset, Split } from "./types.js";

/** The shape of a data set's images. */
export type Geometry = Pick<Dataset, "channels" | "height" | "width">;

/** What each byte becomes: for each channel, 256 values. */
export type PixelTable = Float32Array;

/** Per-channel mean and standard deviation of the pixels, in units of 0 to 1. */
export interface Normalization {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/**
 * The values that bytes become: pixel / 255, and with a normalization (pixel / 255 - mean) / std.
 *
 * @returns [channels, 256]
 * @throws KofnError if mean or std do not have one number per channel, or a std is not above 0.
 */
export function pixelTable(channels: number, normalization?: Normalization): PixelTable {
  const mean = normalization?.mean ?? Array.from({ length: channels }, () => 0);
  const std = normalization?.std ?? Array.from({ length: channels }, () => 1);
  if (mean.length !== channels || std.length !== channels || !std.every((value) => value > 0)) {
    throw new KofnError(
      `normalization: expected ${channels} means and ${channels} standard deviations above 0, ` +
        `found mean [${mean.join(", ")}] and std [${std.join(", ")}].`,
    );
  }
  const table = new Float32Array(channels * 256);
  for (let channel = 0; channel < channels; channel++) {
    for (let byte = 0; byte < 256; byte++) {
      table[channel * 256 + byte] = (byte / 255 - mean[channel]) / std[channel];
    }
  }
  return table;
}

/**
 * The order in which epoch `epoch` goes through the training images. Training takes `stepsPerEpoch` whole batches from
 * its front: what is left over waits for another epoch, in which it will be elsewhere in the order.
 */
export function epochOrder(count: number, seed: number, epoch: number): Uint32Array {
  return new Random(seed, "shuffle", epoch).permutation(count);
}

/** The order for evaluation: every image once, as stored. */
export function sequentialOrder(count: number): Uint32Array {
  return Uint32Array.from({ length: count }, (_, i) => i);
}

/** Training steps of an epoch: the last, partial batch is dropped. */
export function stepsPerEpoch(count: number, batch: number): number {
  return Math.floor(count / batch);
}

const PLAIN = new Map<number, PixelTable>();

function plainTable(channels: number): PixelTable {
  let table = PLAIN.get(channels);
  if (table === undefined) {
    table = pixelTable(channels);
    PLAIN.set(channels, table);
  }
  return table;
}

/**
 * Writes the images `order[start]`, `order[start + 1]`, ... and their labels into a batch that the caller holds; the
 * batch is as large as `labels`. At the end of the order fewer may be left: the rest of the batch then keeps what it
 * had, and the caller ignores its results.
 *
 * @param geometry the data set.
 * @param pixels [batch, channels, height, width]
 * @param labels [batch]
 * @param table what bytes become. Default: pixel / 255.
 * @returns how many images were written.
 * @throws KofnError if `pixels` is not as long as `labels` and the geometry demand.
 *
 * @example
 * const order = epochOrder(data.train.count, seed, epoch);
 * for (let step = 0; step < stepsPerEpoch(data.train.count, batch); step++) {
 *   fillBatch(data.train, data, order, step * batch, pixels, labels);
 * }
 */
export function fillBatch(
  split: Split,
  geometry: Geometry,
  order: Uint32Array,
  start: number,
  pixels: Float32Array,
  labels: BigInt64Array,
  table: PixelTable = plainTable(geometry.channels),
): number {
  const { channels, height, width } = geometry;
  const plane = height * width;
  const size = channels * plane;
  if (pixels.length !== labels.length * size) {
    throw new KofnError(
      `a batch of ${labels.length} images [${channels}, ${height}, ${width}] takes ${labels.length * size} values, ` +
        `got room for ${pixels.length}`,
    );
  }
  const filled = Math.max(0, Math.min(labels.length, order.length - start));
  const { images } = split;
  let to = 0;
  for (let i = 0; i < filled; i++) {
    const index = order[start + i];
    labels[i] = BigInt(split.labels[index]);
    let from = index * size;
    for (let channel = 0; channel < channels; channel++) {
      const values = channel * 256;
      for (const end = from + plane; from < end; from++) pixels[to++] = table[values + images[from]];
    }
  }
  return filled;
}
