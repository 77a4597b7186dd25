/** What a data set is to the trainer: images as bytes, and labels. */

/** Some labelled images. */
export interface Split {
  readonly count: number;
  /** `count` images, each [channels, height, width], values 0 to 255. */
  readonly images: Uint8Array;
  /** `count` class numbers. */
  readonly labels: Uint16Array;
}

/** A classification data set in three splits; images of one size, [channels, height, width]. */
export interface Dataset {
  readonly name: string;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /** Names of the classes, in the order of the labels. */
  readonly classes: readonly string[];
  readonly train: Split;
  /** Chooses the best epoch. */
  readonly validation: Split;
  /** Looked at once, at the end. */
  readonly test: Split;
}
