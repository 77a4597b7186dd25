/** What the numbers in the sections of a .kofn file mean, and what readers take at most; docs/format.md describes the sections. */

import { WEIGHT_FORMATS } from "../run/words.js";

/** Formats of values by their number; the first two are those of floats. */
export const FORMATS = ["float32", "float16", ...WEIGHT_FORMATS] as const;

/** The number of a tensor whose elements follow. Others have 1 + 2 format, and 1 more if they are range coded. */
export const INLINE = 0;

/** The bits of a code, and so many times the axis of its scales, are one number. */
export const AXES = 16;

/** The type of elements, and so many times their rank, are one number. */
export const RANKS = 32;

/** In place of a type: that of the node's first input. */
export const SAME_TYPE = RANKS - 1;

/** Kinds of attributes by their number, which is ONNX's; undefined is none that a file can hold. */
export const ATTRIBUTE_KINDS = [
  undefined,
  "float",
  "int",
  "string",
  "tensor",
  undefined,
  "floats",
  "ints",
  "strings",
] as const;

/** Added to the number of an activation's format if the result of its layer is meant. */
export const IS_RESULT = 4;

/** The length of a string, and what it shares with the one before, are half a byte each; from this on, what is more follows. */
export const ESCAPE = 15;

/** How the places of kept units are coded, by number. */
export const POSITION_CODECS = ["bitmap", "indices", "range"] as const;
export type PositionCodec = (typeof POSITION_CODECS)[number];

/** How a mask is stored. */
export interface MaskKind {
  readonly codec: PositionCodec;
  /** Whether groups keep different numbers of units. */
  readonly countsDiffer: boolean;
  /** Whether the weight is stored [in, out]. */
  readonly transposed: boolean;
}

/** The number of a kind of mask; 0 is none. */
export function maskNumber({ codec, countsDiffer, transposed }: MaskKind): number {
  return 1 + 2 * POSITION_CODECS.indexOf(codec) + (countsDiffer ? 8 : 0) + (transposed ? 16 : 0);
}

/** The kind of mask with a number, if there is one. */
export function maskKind(number: number): MaskKind | undefined {
  const codec = POSITION_CODECS.at((number >> 1) & 3);
  if (codec === undefined || number % 2 === 0 || number >= 32) return undefined;
  return { codec, countsDiffer: (number & 8) !== 0, transposed: number >= 16 };
}

/** The most units of a group whose places are range coded: up to here, what the coder multiplies is exact. */
export const MOST_UNITS = 2 ** 20;

/** The range coder takes in a byte when its range is below this. */
export const SMALLEST_RANGE = 2 ** 24;

/** The frequencies of symbols that are range coded sum up to this. */
export const FREQUENCIES = 2 ** 12;

/** A model has at most so many numbers, for a byte of its file and in all. */
export const NUMBERS_PER_BYTE = 2 ** 16;
export const MOST_NUMBERS = 2 ** 29;

/** The most bytes of all strings. */
export const MOST_STRING_BYTES = 2 ** 26;
