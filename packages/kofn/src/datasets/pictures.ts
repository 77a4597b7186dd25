/** Makes data sets of encoded images (JPEG, PNG, WebP): decoded in threads, brought to one size, kept as bytes if they fit. */

import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { availableParallelism } from "node:os";
import type { Geometry } from "../data/geometry.js";
import { measureNormalization } from "../data/normalization.js";
import type { Dataset, EncodedImages, Split } from "../data/types.js";
import { InputError, KofnError, messageOf } from "../errors.js";
import { Random } from "../random.js";
import { Decoder, type Picture } from "./decoder.js";
import { validationCount } from "./split.js";

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
      else await decoder.original(pictures[i]);
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
    if (!keep) return { count: good.length, images: encodedImages(decoder, good), labels };
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

/** Pictures that are decoded when they are asked for. */
function encodedImages(decoder: Decoder, pictures: readonly Picture[]): EncodedImages {
  return {
    decode: (numbers, target) =>
      inParallel(numbers.length, async (i) => {
        const picture = pictures[numbers[i]];
        try {
          await decoder.decode(picture, target, i * decoder.size);
        } catch (error) {
          throw new KofnError(
            `${picture.name}: the image can't be decoded (${messageOf(error)}). Replace or remove it, and train anew.`,
            { cause: error },
          );
        }
      }),
    digest: async () => {
      const sizes = new Float64Array(pictures.length);
      await inParallel(pictures.length, async (i) => {
        sizes[i] = await encodedSize(pictures[i]);
      });
      const hash = createHash("sha256");
      pictures.forEach(({ name }, i) => hash.update(`${JSON.stringify(name)}${sizes[i]}`));
      return hash.digest();
    },
  };
}

async function encodedSize({ source }: Picture): Promise<number> {
  return typeof source === "string" ? (await stat(source)).size : source.length;
}

/** Does the work 0 .. count-1, several at a time. */
async function inParallel(count: number, work: (i: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: 2 * availableParallelism() }, worker));
}
