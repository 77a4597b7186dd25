/** Fills batches for the network: images as float32 in [N, C, H, W], labels as int64, in the order of an epoch. */

import { KofnError } from "../errors.js";
import { Random } from "../random.js";
import { type Augmentation, ChangeSampler, type ImageChanges } from "./augment.js";
import type { Geometry } from "./geometry.js";
import { noNormalization, type Normalization } from "./normalization.js";

/** What each byte becomes: for each channel, 256 values. */
export type PixelTable = Float32Array;

/**
 * The values that bytes become: pixel / 255, and with a normalization (pixel / 255 - mean) / std.
 *
 * @returns [channels, 256]
 * @throws KofnError if mean or std do not have one number per channel, or a std is not above 0.
 */
export function pixelTable(
  channels: number,
  { mean, std }: Normalization = noNormalization(channels),
): PixelTable {
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

/** Turns the bytes of images into the values that the network sees: normalised, and while training changed at random. */
export class BatchFiller {
  readonly #geometry: Geometry;
  readonly #table: PixelTable;
  readonly #cutout: number;
  readonly #sampler: ChangeSampler | undefined;
  readonly #changes: ImageChanges = { dy: 0, dx: 0, flip: false, cutY: 0, cutX: 0 };

  /**
   * @param augmentation what is done to each image at random, and the seed of it; mix-up is not done here.
   * @throws KofnError if the normalization does not fit the geometry.
   */
  constructor(
    geometry: Geometry,
    normalization?: Normalization,
    augmentation?: { readonly of: Augmentation; readonly seed: number },
  ) {
    const { channels, height, width } = geometry;
    const { crop, flip = false, cutout = 0 } = augmentation?.of ?? {};
    this.#geometry = geometry;
    this.#table = pixelTable(channels, normalization);
    this.#cutout = cutout;
    this.#sampler =
      augmentation !== undefined && (crop !== undefined || flip || cutout > 0)
        ? new ChangeSampler(augmentation.of, augmentation.seed, height, width)
        : undefined;
  }

  /**
   * Writes images into a batch, at its front.
   *
   * @param images the bytes of images, each [channels, height, width].
   * @param positions where in `images` each one lies.
   * @param numbers the number of each in its split, which with the epoch fixes what is random.
   * @param pixels [batch, channels, height, width], batch at least as large as `positions` is long.
   */
  fill(
    images: Uint8Array,
    positions: Uint32Array,
    numbers: Uint32Array,
    epoch: number,
    pixels: Float32Array,
  ): void {
    const { channels, height, width } = this.#geometry;
    const size = channels * height * width;
    if (this.#sampler === undefined) {
      this.#fillPlain(images, positions, pixels);
      return;
    }
    for (let i = 0; i < positions.length; i++) {
      this.#sampler.draw(numbers[i], epoch, this.#changes);
      this.#fillChanged(images, positions[i] * size, pixels, i * size);
    }
  }

  #fillPlain(images: Uint8Array, positions: Uint32Array, pixels: Float32Array): void {
    const { channels, height, width } = this.#geometry;
    const plane = height * width;
    for (let channel = 0; channel < channels; channel++) {
      const values = this.#table.subarray(channel * 256, channel * 256 + 256);
      for (let i = 0; i < positions.length; i++) {
        const from = (positions[i] * channels + channel) * plane;
        const to = (i * channels + channel) * plane;
        for (let j = 0; j < plane; j++) pixels[to + j] = values[images[from + j]];
      }
    }
  }

  #fillChanged(images: Uint8Array, from: number, pixels: Float32Array, to: number): void {
    const { channels, height, width } = this.#geometry;
    const { dy, dx, flip } = this.#changes;
    // The columns that the crop takes from the image; the others are padding.
    const first = Math.max(0, -dx);
    const end = Math.min(width, width - dx);
    for (let channel = 0; channel < channels; channel++) {
      const values = channel * 256;
      const black = this.#table[values];
      for (let y = 0; y < height; y++, to += width) {
        const row = y + dy;
        if (row < 0 || row >= height || first >= end) {
          pixels.fill(black, to, to + width);
          continue;
        }
        const source = from + (channel * height + row) * width + dx;
        if (flip) {
          const last = to + width - 1;
          for (let x = 0; x < first; x++) pixels[last - x] = black;
          for (let x = first; x < end; x++) pixels[last - x] = this.#table[values + images[source + x]];
          for (let x = end; x < width; x++) pixels[last - x] = black;
        } else {
          for (let x = 0; x < first; x++) pixels[to + x] = black;
          for (let x = first; x < end; x++) pixels[to + x] = this.#table[values + images[source + x]];
          for (let x = end; x < width; x++) pixels[to + x] = black;
        }
      }
    }
    if (this.#cutout > 0) this.#cut(pixels, to - channels * height * width);
  }

  /** Blanks the square with 0, which is the mean of what the network sees. */
  #cut(pixels: Float32Array, to: number): void {
    const { channels, height, width } = this.#geometry;
    const top = this.#changes.cutY - (this.#cutout >> 1);
    const left = this.#changes.cutX - (this.#cutout >> 1);
    const from = Math.max(0, left);
    const end = Math.min(width, left + this.#cutout);
    for (let channel = 0; channel < channels; channel++) {
      for (let y = Math.max(0, top); y < Math.min(height, top + this.#cutout); y++) {
        const row = to + (channel * height + y) * width;
        pixels.fill(0, row + from, row + end);
      }
    }
  }
}
