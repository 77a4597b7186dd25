/** Turns pixels into what a network reads. */

import { NetworkError } from "./errors.js";
import type { Normalization } from "./file/info.js";
import type { Dims } from "./graph/types.js";

/** An image as a canvas gives it: rows of red, green, blue and opacity, 0 to 255. */
export interface PixelImage {
  readonly data: ArrayLike<number>;
  readonly width: number;
  readonly height: number;
}

const RGBA = 4;
/** Of red, green and blue in grey (ITU-R BT.601). */
const GREY = [0.299, 0.587, 0.114];

/**
 * @param pixels an image, on black where it is not opaque, or numbers 0 to 255 in the order [channels, height, width]
 * @param dims of the network's input, [1, channels, height, width]
 * @throws NetworkError if the sizes differ.
 */
export function normalize(
  pixels: PixelImage | ArrayLike<number>,
  [, channels, height, width]: Dims,
  { mean, std }: Normalization,
): Float32Array {
  const area = height * width;
  const input = new Float32Array(channels * area);
  if (mean.length !== channels)
    throw new NetworkError(`a normalisation of ${mean.length} channels for ${channels}`);
  if ("data" in pixels) {
    if (pixels.width !== width || pixels.height !== height || (channels !== 1 && channels !== 3)) {
      const found = `${pixels.width}x${pixels.height}`;
      throw new NetworkError(
        `the image has ${found} pixels, the network reads ${width}x${height} with ${channels} channels; scale the image first`,
      );
    }
    const { data } = pixels;
    for (let i = 0; i < area; i++) {
      const [red, green, blue] = [0, 1, 2].map((c) => (data[RGBA * i + c] * data[RGBA * i + 3]) / 255);
      if (channels === 1) input[i] = GREY[0] * red + GREY[1] * green + GREY[2] * blue;
      else [red, green, blue].forEach((value, c) => (input[c * area + i] = value));
    }
  } else {
    if (pixels.length !== input.length) {
      throw new NetworkError(
        `${pixels.length} pixels, the network reads ${input.length}: [${channels}, ${height}, ${width}]`,
      );
    }
    input.set(pixels);
  }
  for (let i = 0; i < input.length; i++) {
    const channel = Math.floor(i / area);
    input[i] = (input[i] / 255 - mean[channel]) / std[channel];
  }
  return input;
}
