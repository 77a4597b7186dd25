/** The numbers by which a .kofn file says how a tensor is stored. */

import { WEIGHT_FORMATS } from "@kofn/format/run/words.js";

/** Formats of values by their number; the first two are those of floats. */
export const FORMATS = ["float32", "float16", ...WEIGHT_FORMATS] as const;

/** The number of a tensor whose elements follow. Others have 1 + 2 format, and 1 more if they are range coded. */
export const INLINE = 0;

/** The bits of a code and the axis of its scales are one number. */
export const AXES = 16;

/** Arrays of values begin at multiples of so many bytes. */
export const ALIGNMENT = 4;

/** Parts of the number that says how a mask is stored; there is a 1 besides. */
export const MASK = { codec: 2, codecs: 4, countsDiffer: 8, transposed: 16, end: 32 } as const;

/** The codec whose positions are preceded by their length. */
export const RANGE_CODEC = 2;
