/** Makes data sets of encoded images (JPEG, PNG, WebP): decoded in threads, brought to one size, kept as bytes if they fit. */

import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import type { Sharp, SharpInput } from "sharp";
import { InputError, KofnError, messageOf } from "../errors.js";
import { Random } from "../random.js";
import { measureNormalization } from "./normalization.js";
import { validationCount } from "./split.js";
import type { Dataset, EncodedImages, Geometry, Split } from "./types.js";

/** An encoded image and its class. */
export interface Picture {
  /** For messages: its path, or the file and row that it is in. */
  readonly name: string;
  readonly label: number;
  /** A path, or the encoded bytes. */
  readonly source: string | Uint8Array;
}

/** How pictures become a data set. */
export interface PictureOptions {
  /**
   * What images are brought to: colour (3 channels) or grey (1), scaled so that they cover height and width, and cropped at
   * the centre. Default: the first image's size, in colour.
   */
  readonly size?: Geometry;
  /** Go on without images that can't be decoded. Default: they are an error. */
  readonly skipBadImages?: boolean;
  /** Called for each image that has been decoded. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Called with what the user should know: what was left out. */
  readonly onNote?: (message: string) => void;
  readonly signal?: AbortSignal;
}

/** The pictures of a data set, divided. */
export interface DividedPictures {
  readonly train: readonly Picture[];
  readonly validation: readonly Picture[];
  readonly test: readonly Picture[];
}

/** Decoded images up to so many bytes are kept; more are decoded again when they are needed. */
const MEMORY = 2 ** 31;
/** Images on which mean and standard deviation are measured where not all are kept. */
const SAMPLE = 1000;
const NAMED = 5;

/**
 * Divides pictures into training, validation and test, at random but always the same: a tenth for validation and one for
 * test, at most 5,000 each.
 *
 * @param test pictures for testing, where there are some already; then only validation is split off.
 * @throws InputError for fewer than ten pictures.
 */
export function dividePictures(
  pictures: readonly Picture[],
  source: string,
  test?: readonly Picture[],
): DividedPictures {
  const shuffled = inRandomOrder(pictures);
  const held = validationCount(pictures.length, source);
  const train = pictures.length - (test === undefined ? 2 : 1) * held;
  return {
    train: shuffled.slice(0, train),
    validation: shuffled.slice(train, train + held),
    test: test ?? shuffled.slice(train + held),
  };
}

/** The pictures in an order that is always the same, and mixes the classes. */
export function inRandomOrder(pictures: readonly Picture[]): Picture[] {
  return Array.from(new Random(0, "pictures").permutation(pictures.length), (i) => pictures[i]);
}

/**
 * Decodes pictures to a data set. If all of them fit into 2 GB they are decoded once; otherwise their headers are checked,
 * and each is decoded when its batch is due.
 *
 * @param memory bytes of decoded images that are kept.
 * @throws InputError if images can't be decoded (unless they are to be skipped), or the size is of no picture.
 * @throws KofnError if the package sharp can't be loaded.
 */
export async function pictureDataset(
  name: string,
  classes: readonly string[],
  divided: DividedPictures,
  options: PictureOptions,
  memory = MEMORY,
): Promise<Dataset> {
  const decoder = await Decoder.open(options.size, divided.train[0]);
  const { geometry, size } = decoder;
  const pictures = [...divided.train, ...divided.validation, ...divided.test];
  const keep = pictures.length * size <= memory;
  const images = new Uint8Array(keep ? pictures.length * size : 0);
  const bad = new Map<Picture, string>();
  let done = 0;
  await inParallel(pictures.length, async (i) => {
    options.signal?.throwIfAborted();
    try {
      if (keep) await decoder.decode(pictures[i], images, i * size);
      else await decoder.check(pictures[i]);
    } catch (error) {
      bad.set(pictures[i], messageOf(error).split("\n")[0]);
    }
    options.onProgress?.(++done, pictures.length);
  });
  reportBad(bad, pictures, options);
  let first = 0;
  const splitOf = (part: readonly Picture[], role: string): Split => {
    const good = part.filter((picture) => !bad.has(picture));
    if (good.length === 0) {
      throw new InputError(
        `data set ${name}: expected images for ${role} that can be decoded, found none among ${part.length}.`,
      );
    }
    const labels = Uint16Array.from(good, ({ label }) => label);
    const own = images.subarray(first * size, (first + part.length) * size);
    first += part.length;
    if (!keep) return { count: good.length, images: decoder.images(good), labels };
    let to = 0;
    part.forEach((picture, i) => {
      if (!bad.has(picture)) own.copyWithin(size * to++, i * size, (i + 1) * size);
    });
    return { count: good.length, images: own.subarray(0, good.length * size), labels };
  };
  const [train, validation, test] = [
    splitOf(divided.train, "training"),
    splitOf(divided.validation, "validation"),
    splitOf(divided.test, "testing"),
  ];
  const { height, width } = geometry;
  return {
    name,
    ...geometry,
    classes,
    train,
    validation,
    test,
    normalization: measureNormalization(await sampleOf(train, size), geometry),
    // As much as the customary 4 pixels are of CIFAR's 32.
    augmentation: { crop: Math.max(1, Math.round(Math.min(height, width) / 8)), flip: true },
  };
}

/** The bytes of all images where they are kept, else of some. */
async function sampleOf({ count, images }: Split, size: number): Promise<Uint8Array> {
  if (images instanceof Uint8Array) return images;
  const numbers = Uint32Array.from({ length: Math.min(SAMPLE, count) }, (_, i) => i);
  const sample = new Uint8Array(numbers.length * size);
  await images.decode(numbers, sample);
  return sample;
}

function reportBad(
  bad: ReadonlyMap<Picture, string>,
  pictures: readonly Picture[],
  { skipBadImages = false, onNote }: PictureOptions,
): void {
  if (bad.size === 0) return;
  const inOrder = pictures.filter((picture) => bad.has(picture));
  const named = inOrder.slice(0, NAMED).map((picture) => `${picture.name} (${bad.get(picture) ?? ""})`);
  const found =
    `${bad.size} of ${pictures.length} images can't be decoded: ` +
    named.join(", ") +
    (bad.size > NAMED ? `, and ${bad.size - NAMED} more` : "");
  if (!skipBadImages) {
    throw new InputError(
      `${found}. Replace or remove them, or go on without them (--skip-bad-images; skipBadImages: true in the library).`,
    );
  }
  onNote?.(`${found}; going on without them.`);
}

type SharpModule = (input: SharpInput) => Sharp;

/** Decodes pictures to planes of bytes of one size. sharp works in the threads of libuv's pool. */
class Decoder {
  readonly geometry: Geometry;
  /** Bytes of an image. */
  readonly size: number;
  readonly #sharp: SharpModule;

  private constructor(sharp: SharpModule, geometry: Geometry) {
    this.#sharp = sharp;
    this.geometry = geometry;
    this.size = geometry.channels * geometry.height * geometry.width;
  }

  static async open(wanted: Geometry | undefined, first: Picture): Promise<Decoder> {
    const sharp = await loadSharp();
    if (wanted !== undefined) {
      if (wanted.channels === 1 || wanted.channels === 3) return new Decoder(sharp, wanted);
      throw new InputError(
        `images can be brought to 1 channel (grey) or 3 (colour), but the model takes ${wanted.channels}.`,
      );
    }
    try {
      const { autoOrient } = await sharp(await bytesOf(first)).metadata();
      return new Decoder(sharp, { channels: 3, height: autoOrient.height, width: autoOrient.width });
    } catch (error) {
      throw new InputError(
        `${first.name}: the size of this image decides that of all, but it can't be decoded ` +
          `(${messageOf(error)}). Replace it, or say what size images are to have.`,
        { cause: error },
      );
    }
  }

  /** Writes the image's planes, [channels, height, width], from `offset` on. */
  async decode(picture: Picture, target: Uint8Array, offset: number): Promise<void> {
    const { channels, height, width } = this.geometry;
    const image = this.#sharp(await bytesOf(picture))
      .autoOrient()
      .resize(width, height, { fit: "cover" })
      .removeAlpha();
    const coloured = channels === 1 ? image.greyscale().toColourspace("b-w") : image.toColourspace("srgb");
    const { data, info } = await coloured.raw({ depth: "uchar" }).toBuffer({ resolveWithObject: true });
    const plane = height * width;
    if (info.channels !== channels || data.length !== channels * plane) {
      throw new KofnError(`decoded to ${info.channels} channels of ${info.height}x${info.width} pixels`);
    }
    for (let channel = 0; channel < channels; channel++) {
      let to = offset + channel * plane;
      for (let from = channel; from < data.length; from += channels) target[to++] = data[from];
    }
  }

  /** Reads the image's header. */
  async check(picture: Picture): Promise<void> {
    await this.#sharp(await bytesOf(picture)).metadata();
  }

  /** Pictures that are decoded when they are asked for. */
  images(pictures: readonly Picture[]): EncodedImages {
    return {
      decode: (numbers, target) =>
        inParallel(numbers.length, async (i) => {
          const picture = pictures[numbers[i]];
          try {
            await this.decode(picture, target, i * this.size);
          } catch (error) {
            throw new KofnError(
              `${picture.name}: the image can't be decoded (${messageOf(error)}). Replace or remove it, and train anew.`,
              { cause: error },
            );
          }
        }),
    };
  }
}

async function bytesOf({ source }: Picture): Promise<Uint8Array> {
  return typeof source === "string" ? readFile(source) : source;
}

async function loadSharp(): Promise<SharpModule> {
  try {
    const { default: sharp } = await import("sharp");
    // Its cache holds on to images that are not read twice.
    sharp.cache(false);
    return sharp;
  } catch (error) {
    throw new KofnError(
      `the package sharp, which decodes images, can't be loaded (${messageOf(error)}); install it with "npm install sharp"`,
      { cause: error },
    );
  }
}

/** Does the work 0 .. count-1, several at a time. */
async function inParallel(count: number, work: (i: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: 2 * availableParallelism() }, worker));
}
