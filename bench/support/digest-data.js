/** The images that `digests` trains on: a few of the built-in digits, grey or in colours, small or large. */

import { datasets } from "kofn";

/** @typedef {import("kofn").ResidentDataset} ResidentDataset */
/** @typedef {import("kofn").ResidentSplit} ResidentSplit */

/** @type {ResidentDataset | undefined} */
let glyphs;

/**
 * The first digits of each split.
 *
 * @param {number} count to train on; half as many validate, and as many test
 * @returns {ResidentDataset} 1x28x28
 */
export function greyDigits(count) {
  glyphs ??= datasets.glyphs();
  const { height, width } = glyphs;
  return withSplits(glyphs, count, (split, some) => ({
    count: some,
    images: split.images.subarray(0, some * height * width),
    labels: split.labels.subarray(0, some),
  }));
}

/**
 * The same digits with a margin, each in a colour that follows from its place and its channel, magnified.
 *
 * @param {number} count as of {@link greyDigits}
 * @param {number} [times] by which images are magnified
 * @returns {ResidentDataset} 3x32x32 times `times`
 */
export function colourDigits(count, times = 1) {
  const grey = greyDigits(count);
  const side = 32 * times;
  return withSplits({ ...grey, channels: 3, height: side, width: side }, count, (split, some) => {
    const images = new Uint8Array(some * 3 * side * side);
    for (let at = 0, channel = 0; channel < 3 * some; channel++) {
      const image = Math.floor(channel / 3);
      const ink = (37 * channel) % 256;
      for (let y = 0; y < side; y++) {
        for (let x = 0; x < side; x++) {
          const pixel = pixelAt(
            grey,
            split.images,
            image,
            Math.floor(y / times) - 2,
            Math.floor(x / times) - 2,
          );
          images[at++] = Math.round((pixel * ink) / 255);
        }
      }
    }
    return { count: some, images, labels: split.labels };
  });
}

/**
 * @param {ResidentDataset} data
 * @param {number} count
 * @param {(split: ResidentSplit, some: number) => ResidentSplit} cut
 * @returns {ResidentDataset}
 */
function withSplits(data, count, cut) {
  const half = Math.ceil(count / 2);
  const { train, validation, test } = data;
  return { ...data, train: cut(train, count), validation: cut(validation, half), test: cut(test, half) };
}

/**
 * @param {ResidentDataset} data of one channel
 * @param {Uint8Array} images
 * @param {number} image
 * @param {number} y
 * @param {number} x
 * @returns {number} 0 outside the image
 */
function pixelAt({ height, width }, images, image, y, x) {
  if (y < 0 || y >= height || x < 0 || x >= width) return 0;
  return images[(image * height + y) * width + x];
}
