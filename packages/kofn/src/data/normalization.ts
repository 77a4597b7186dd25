/** What networks see in place of bytes: per-channel means and standard deviations, known, measured, or written as text. */

import { InputError } from "../errors.js";
import type { Geometry } from "./geometry.js";

/** Per-channel mean and standard deviation of the pixels, in units of 0 to 1: the network sees (pixel / 255 - mean) / std. */
export interface Normalization {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** The same mean and standard deviation for every channel. */
export function uniformNormalization(channels: number, mean: number, std: number): Normalization {
  return {
    mean: Array.from({ length: channels }, () => mean),
    std: Array.from({ length: channels }, () => std),
  };
}

/** pixel / 255, as it is. */
export function noNormalization(channels: number): Normalization {
  return uniformNormalization(channels, 0, 1);
}

/** Of ImageNet's training images, as torchvision's networks use them. */
const IMAGENET: Normalization = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

/** ImageNet's values; for grey images those of its luminance (the mean of the channels). */
export function imagenetNormalization(channels: number): Normalization {
  if (channels === 3) return IMAGENET;
  const average = (values: readonly number[]): number =>
    values.reduce((sum, x) => sum + x, 0) / values.length;
  return uniformNormalization(channels, average(IMAGENET.mean), average(IMAGENET.std));
}

/** A standard deviation below this (a channel that hardly varies) counts as this. */
const SMALLEST_STD = 1 / 255;

/**
 * Mean and standard deviation of each channel over images of bytes, to four decimals.
 *
 * @param images [count, channels, height, width]
 */
export function measureNormalization(images: Uint8Array, geometry: Geometry): Normalization {
  const { channels, height, width } = geometry;
  const plane = height * width;
  const sums = new Float64Array(channels);
  const squares = new Float64Array(channels);
  for (let at = 0, channel = 0; at < images.length; channel = (channel + 1) % channels) {
    let sum = 0;
    let square = 0;
    for (const end = at + plane; at < end; at++) {
      const byte = images[at];
      sum += byte;
      square += byte * byte;
    }
    sums[channel] += sum;
    squares[channel] += square;
  }
  const count = images.length / channels;
  const rounded = (value: number): number => Math.round(value * 1e4) / 1e4;
  const mean = Array.from(sums, (sum) => sum / count / 255);
  const std = Array.from(squares, (square, i) =>
    Math.sqrt(Math.max(0, square / count / 255 ** 2 - mean[i] ** 2)),
  );
  return { mean: mean.map(rounded), std: std.map((value) => Math.max(SMALLEST_STD, rounded(value))) };
}

const EXPECTED =
  'expected "none" or MEAN/STD, a number for each channel or one for all, standard deviations above 0, ' +
  "such as 0.49,0.48,0.45/0.25,0.24,0.26";

/**
 * Reads `none` or `MEAN/STD`, such as `0.49,0.48,0.45/0.25,0.24,0.26`.
 *
 * @throws InputError if the text is neither.
 */
export function parseNormalization(text: string): Normalization | "none" {
  if (text === "none") return "none";
  const parts = text
    .split("/")
    .map((list) => list.split(",").map((part) => (part.trim() === "" ? NaN : Number(part))));
  const [mean, std] = parts;
  if (
    parts.length !== 2 ||
    mean.length !== std.length ||
    !mean.every(Number.isFinite) ||
    !std.every((value) => Number.isFinite(value) && value > 0)
  ) {
    throw new InputError(`normalize "${text}": ${EXPECTED}.`);
  }
  return { mean, std };
}

/** The text that {@link parseNormalization} reads back. */
export function formatNormalization(normalization: Normalization | "none"): string {
  if (normalization === "none") return "none";
  const { mean, std } = normalization;
  return mean.every((x) => x === 0) && std.every((x) => x === 1)
    ? "none"
    : `${mean.join(",")}/${std.join(",")}`;
}

/**
 * A normalization as it was asked for, for images of so many channels; one number stands for all channels.
 *
 * @throws InputError if it has another number of channels.
 */
export function normalizationFor(wanted: Normalization | "none", channels: number): Normalization {
  if (wanted === "none") return noNormalization(channels);
  const { mean, std } = wanted;
  if (mean.length === 1 && std.length === 1) return uniformNormalization(channels, mean[0], std[0]);
  if (mean.length === channels && std.length === channels && std.every((value) => value > 0)) return wanted;
  throw new InputError(
    `normalize "${formatNormalization(wanted)}": the images have ${channels} channel${channels === 1 ? "" : "s"}, ` +
      `but there are ${mean.length} means and ${std.length} standard deviations; give one of each per channel, above 0.`,
  );
}
