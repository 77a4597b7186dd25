/** Decodes images (JPEG, PNG, WebP and what else sharp reads) to planes of bytes of one size. */

import { readFile } from "node:fs/promises";
import type { Sharp, SharpInput } from "sharp";
import type { Geometry } from "../data/geometry.js";
import { InputError, KofnError, messageOf } from "../errors.js";

/** An encoded image and its class. */
export interface Picture {
  /** For messages: its path, or the file and row that it is in. */
  readonly name: string;
  readonly label: number;
  /** A path, or the encoded bytes. */
  readonly source: string | Uint8Array;
}

type SharpModule = (input: SharpInput) => Sharp;

/** What an image is before it is decoded. */
export interface Original {
  /** As it is looked at: turned as its metadata says. */
  readonly width: number;
  readonly height: number;
  readonly isGrey: boolean;
  /** Whether it says how opaque its pixels are, which decoding leaves out. */
  readonly hasOpacity: boolean;
}

/** Decodes pictures to planes of bytes of one size. sharp works in the threads of libuv's pool. */
export class Decoder {
  readonly geometry: Geometry;
  /** Bytes of an image. */
  readonly size: number;
  readonly #sharp: SharpModule;

  private constructor(sharp: SharpModule, geometry: Geometry) {
    this.#sharp = sharp;
    this.geometry = geometry;
    this.size = geometry.channels * geometry.height * geometry.width;
  }

  /**
   * @param wanted what images are brought to; by default the size of the first one, in colour.
   * @throws InputError if images can't be brought to it, or the first one can't be decoded.
   * @throws KofnError if the package sharp can't be loaded.
   */
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
  async original(picture: Picture): Promise<Original> {
    const { autoOrient, channels, hasAlpha } = await this.#sharp(await bytesOf(picture)).metadata();
    return { ...autoOrient, isGrey: channels < 3, hasOpacity: hasAlpha };
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
