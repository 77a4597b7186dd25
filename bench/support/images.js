/** Random images, for benches in which no data set is to count. */

import { internals } from "./internals.js";

const { Random } = await internals.random();

const CLASSES = 10;

/**
 * @param {object} size
 * @param {number} size.channels
 * @param {number} size.side height and width
 * @param {number} size.count
 */
export function randomImages({ channels, side, count }) {
  const random = new Random(1, "bench/images");
  const split = {
    count,
    images: Uint8Array.from({ length: count * channels * side * side }, () => random.below(256)),
    labels: Uint16Array.from({ length: count }, () => random.below(CLASSES)),
  };
  return {
    name: "random",
    channels,
    height: side,
    width: side,
    classes: Array.from({ length: CLASSES }, (_, label) => String(label)),
    train: split,
    validation: split,
    test: split,
  };
}
