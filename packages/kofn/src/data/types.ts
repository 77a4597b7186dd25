/** What a data set is to the trainer: images as bytes, and labels. */

import type { Augmentation } from "./augment.js";
import type { Geometry } from "./geometry.js";
import type { Normalization } from "./normalization.js";

/** Images that are decoded when they are asked for, since all of them would not fit into memory. */
export interface EncodedImages {
  /**
   * Decodes images, in threads of their own.
   *
   * @param numbers which.
   * @param target their bytes, one image after the other.
   * @throws KofnError naming an image that can't be decoded.
   */
  decode(numbers: Uint32Array, target: Uint8Array): Promise<void>;
  /** A digest that changes with the names of the images, their order, or their encoded sizes. Absent where they have none. */
  digest?(): Promise<Uint8Array>;
}

/** Some labelled images. */
export interface Split {
  readonly count: number;
  /** `count` images, each [channels, height, width], values 0 to 255. */
  readonly images: Uint8Array | EncodedImages;
  /** `count` class numbers. */
  readonly labels: Uint16Array;
}

/** A split whose images are all in memory. */
export interface ResidentSplit extends Split {
  readonly images: Uint8Array;
}

/** A classification data set in three splits; images of one size, [channels, height, width]. */
export interface Dataset<S extends Split = Split> extends Geometry {
  readonly name: string;
  /** Names of the classes, in the order of the labels. */
  readonly classes: readonly string[];
  readonly train: S;
  /** Chooses the best epoch. */
  readonly validation: S;
  /** Looked at once, at the end. */
  readonly test: S;
  /** Mean and standard deviation of the pixels, for networks that are trained on it from the start. Default: none, pixel / 255. */
  readonly normalization?: Normalization;
  /** What is done to the training images at random, where nothing else is asked for. Default: nothing. */
  readonly augmentation?: Augmentation;
}

/** A data set whose images are all in memory. */
export type ResidentDataset = Dataset<ResidentSplit>;
