/** What is done to images at random while training: crops, flips, cutout, mix-up. */

import { InputError } from "../errors.js";
import { philox, Random, streamOf } from "../random.js";

/** What is done to the images of a batch at random. What is left out is not done. */
export interface Augmentation {
  /** Pads by so many black pixels on each side and crops back to the size at random. */
  readonly crop?: number;
  /** Mirrors every other image, left to right. */
  readonly flip?: boolean;
  /** Blanks a square of so many pixels a side, anywhere (DeVries and Taylor, arXiv 1708.04552). */
  readonly cutout?: number;
  /** Mixes pairs of images by a share from Beta(a, a), 0 < a <= 1 (Zhang et al., arXiv 1710.09412). */
  readonly mixup?: number;
}

const KEYS = ["crop", "flip", "cutout", "mixup"] as const;
const EXPECTED =
  'expected "none" or a list of crop:PIXELS, flip, cutout:PIXELS and mixup:A (0 < A <= 1), such as crop:4,flip,cutout:8';

/**
 * Reads `none` or a list such as `crop:4,flip,cutout:8,mixup:0.2`.
 *
 * @throws InputError if the text is neither.
 */
export function parseAugmentation(text: string): Augmentation {
  if (text === "none") return {};
  const result: { crop?: number; flip?: boolean; cutout?: number; mixup?: number } = {};
  for (const part of text.split(",")) {
    const words = part.split(":");
    const [name, amount] = words;
    const key = KEYS.find((known) => known === name);
    if (key === undefined || key in result || words.length !== (key === "flip" ? 1 : 2)) {
      throw new InputError(`augment "${text}": can't read "${part}": ${EXPECTED}.`);
    }
    if (key === "flip") result.flip = true;
    else result[key] = amount === "" ? NaN : Number(amount);
  }
  checkAugmentation(result);
  return result;
}

/** @throws InputError if an amount is out of range, or as large as the images. */
export function checkAugmentation(
  augmentation: Augmentation,
  images?: { readonly height: number; readonly width: number },
): void {
  const { crop = 1, cutout = 1, mixup = 1 } = augmentation;
  const pixels = (value: number): boolean => Number.isSafeInteger(value) && value >= 1 && value <= 1 << 16;
  if (!(pixels(crop) && pixels(cutout) && mixup > 0 && mixup <= 1)) {
    throw new InputError(`augment "${formatAugmentation(augmentation)}": ${EXPECTED}.`);
  }
  if (images === undefined) return;
  const { height, width } = images;
  const side = Math.min(height, width);
  for (const key of ["crop", "cutout"] as const) {
    const amount = augmentation[key];
    if (amount === undefined || amount < side) continue;
    throw new InputError(
      `augment "${formatAugmentation(augmentation)}": the images have ${height}x${width} pixels, so ${key} can be at most ` +
        `${side - 1}, got ${amount}; choose less, or leave ${key} out.`,
    );
  }
}

/** The text that {@link parseAugmentation} reads back. */
export function formatAugmentation({ crop, flip, cutout, mixup }: Augmentation): string {
  const parts = [
    ...(crop === undefined ? [] : [`crop:${crop}`]),
    ...(flip === true ? ["flip"] : []),
    ...(cutout === undefined ? [] : [`cutout:${cutout}`]),
    ...(mixup === undefined ? [] : [`mixup:${mixup}`]),
  ];
  return parts.length === 0 ? "none" : parts.join(",");
}

/** The changes to one image: where the crop begins, in pixels against the image, whether it is mirrored, and where cutout is centred. */
export interface ImageChanges {
  dy: number;
  dx: number;
  flip: boolean;
  cutY: number;
  cutX: number;
}

const STREAM = streamOf("augment");

/** Draws the changes to images: a function of the seed, the epoch and the number of the image alone. */
export class ChangeSampler {
  readonly #augmentation: Augmentation;
  readonly #key: readonly [number, number];
  readonly #block = new Uint32Array(4);
  readonly #height: number;
  readonly #width: number;

  constructor(augmentation: Augmentation, seed: number, height: number, width: number) {
    this.#augmentation = augmentation;
    this.#key = [seed >>> 0, (Math.floor(seed / 2 ** 32) ^ STREAM) >>> 0];
    this.#height = height;
    this.#width = width;
  }

  /** Writes what is to be done to image number `image` in `epoch`. */
  draw(image: number, epoch: number, changes: ImageChanges): void {
    const { crop = 0, flip = false, cutout } = this.#augmentation;
    const block = this.#block;
    philox(block, [0, image, epoch, 0], this.#key);
    changes.dy = below(block[0], 2 * crop + 1) - crop;
    changes.dx = below(block[1], 2 * crop + 1) - crop;
    changes.flip = flip && block[2] >= 0x80000000;
    if (cutout === undefined) return;
    philox(block, [1, image, epoch, 0], this.#key);
    changes.cutY = below(block[0], this.#height);
    changes.cutX = below(block[1], this.#width);
  }
}

/** 32 random bits to 0 .. n-1. */
function below(bits: number, n: number): number {
  return Math.floor((bits / 2 ** 32) * n);
}

/**
 * The share with which the images of a batch keep their own pixels and label: from Beta(alpha, alpha), or 1 minus it,
 * whichever is larger, so that an image's own label is the one that weighs more.
 *
 * @param step number of the step in the run.
 */
export function mixupShare(alpha: number, seed: number, step: number): number {
  const random = new Random(seed, "mixup", step);
  // Jöhnk's method: u^(1/a) / (u^(1/a) + v^(1/a)) where that sum is at most 1; logarithms, for a small a underflows.
  for (;;) {
    const x = Math.log(random.uniform()) / alpha;
    const y = Math.log(random.uniform()) / alpha;
    const max = Math.max(x, y);
    const logSum = max + Math.log(Math.exp(x - max) + Math.exp(y - max));
    if (logSum <= 0) return Math.exp(max - logSum);
  }
}

/**
 * Mixes each image of a batch with the one that lies as far from the end as it from the front, in place: the order of
 * an epoch is random, and so are the pairs.
 *
 * @param pixels [labels.length, ...]
 * @param partners gets the label of each image's partner.
 */
export function mixPairs(
  pixels: Float32Array,
  labels: BigInt64Array,
  partners: BigInt64Array,
  share: number,
): void {
  const count = labels.length;
  const size = pixels.length / count;
  for (let i = 0; i < count; i++) partners[i] = labels[count - 1 - i];
  for (let i = 0; i < count >> 1; i++) {
    let a = i * size;
    let b = (count - 1 - i) * size;
    for (const end = a + size; a < end; a++, b++) {
      const [one, other] = [pixels[a], pixels[b]];
      pixels[a] = share * one + (1 - share) * other;
      pixels[b] = share * other + (1 - share) * one;
    }
  }
}
