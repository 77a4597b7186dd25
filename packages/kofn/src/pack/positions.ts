/** Codes which units of each group are kept: as a bitmap, as indices of a fixed width, or by a range coder. */

import { bytesOf, packBits, unpackBits, widthOf } from "@kofn/format/file/bits.js";
import { MOST_UNITS, type PositionCodec } from "@kofn/format/file/fields.js";
import { RangeDecoder, RangeEncoder } from "./range-coder.js";

/** Positions of a mask in one of the codecs. */
export interface Positions {
  readonly codec: PositionCodec;
  readonly bytes: Uint8Array;
}

/**
 * @param units 0 or 1 for each unit, those of a group together.
 * @param counts of each group, how many units are kept.
 * @param wanted a codec, or "auto" for the one with the fewest bytes.
 */
export function encodePositions(
  units: Uint8Array,
  counts: Uint32Array,
  wanted: PositionCodec | "auto",
): Positions {
  if (wanted !== "auto") return { codec: wanted, bytes: encode(units, counts, wanted) };
  const n = units.length / counts.length;
  const kept = counts.reduce((sum, count) => sum + count, 0);
  const plain = units.length <= kept * widthOf(n) ? "bitmap" : "indices";
  const ranged = n <= MOST_UNITS ? encode(units, counts, "range") : undefined;
  const plainBytes = positionBytes(plain, n, counts);
  return ranged !== undefined && ranged.length < plainBytes
    ? { codec: "range", bytes: ranged }
    : { codec: plain, bytes: encode(units, counts, plain) };
}

/** Bytes of the codecs whose length follows from the counts. */
export function positionBytes(codec: "bitmap" | "indices", n: number, counts: Uint32Array): number {
  if (codec === "bitmap") return bytesOf(n * counts.length);
  return bytesOf(counts.reduce((sum, count) => sum + count, 0) * widthOf(n));
}

function encode(units: Uint8Array, counts: Uint32Array, codec: PositionCodec): Uint8Array {
  const n = units.length / counts.length;
  switch (codec) {
    case "bitmap":
      return packBits(units, 1);
    case "indices":
      return packBits(indicesOf(units, counts), widthOf(n));
    case "range":
      return encodeRange(units, counts);
  }
}

/** The numbers, within their group, of the units that are kept. */
export function indicesOf(units: Uint8Array, counts: Uint32Array): Uint32Array {
  const n = units.length / counts.length;
  const indices = new Uint32Array(counts.reduce((sum, count) => sum + count, 0));
  let at = 0;
  for (let start = 0; start < units.length; start += n) {
    for (let i = 0; i < n; i++) if (units[start + i] === 1) indices[at++] = i;
  }
  return indices;
}

function encodeRange(units: Uint8Array, counts: Uint32Array): Uint8Array {
  const n = units.length / counts.length;
  const encoder = new RangeEncoder();
  let at = 0;
  for (const count of counts) {
    const end = at + n;
    let left = count;
    for (; left > 0 && left < end - at; at++) {
      const isKept = units[at] === 1;
      encoder.choose(isKept, left, end - at);
      if (isKept) left--;
    }
    at = end;
  }
  return encoder.finish();
}

/**
 * Undoes {@link encodePositions}.
 *
 * @param bytes as many as the codec needs; any content.
 * @param units takes the result, all 0 before.
 * @returns what is wrong with the bytes, or undefined.
 */
export function decodePositions(
  { codec, bytes }: Positions,
  counts: Uint32Array,
  units: Uint8Array,
): string | undefined {
  switch (codec) {
    case "bitmap":
      return decodeBitmap(bytes, counts, units);
    case "indices":
      return decodeIndices(bytes, counts, units);
    case "range":
      return decodeRange(bytes, counts, units);
  }
}

function decodeBitmap(bytes: Uint8Array, counts: Uint32Array, units: Uint8Array): string | undefined {
  if (!unpackBits(bytes, 1, units)) return "bits behind the bitmap are not 0";
  const n = units.length / counts.length;
  for (let group = 0, at = 0; group < counts.length; group++) {
    let count = 0;
    for (const end = at + n; at < end; at++) count += units[at];
    if (count !== counts[group])
      return `group ${group} keeps ${count} units where ${counts[group]} are expected`;
  }
  return undefined;
}

function decodeIndices(bytes: Uint8Array, counts: Uint32Array, units: Uint8Array): string | undefined {
  const n = units.length / counts.length;
  const indices = new Uint32Array(counts.reduce((sum, count) => sum + count, 0));
  if (!unpackBits(bytes, widthOf(n), indices)) return "bits behind the indices are not 0";
  for (let group = 0, at = 0; group < counts.length; group++) {
    let last = -1;
    for (const end = at + counts[group]; at < end; at++) {
      const index = indices[at];
      if (index <= last || index >= n) return `the indices of group ${group} do not ascend below ${n}`;
      units[group * n + index] = 1;
      last = index;
    }
  }
  return undefined;
}

function decodeRange(bytes: Uint8Array, counts: Uint32Array, units: Uint8Array): string | undefined {
  const n = units.length / counts.length;
  const decoder = new RangeDecoder(bytes);
  let at = 0;
  for (const count of counts) {
    const end = at + n;
    let left = count;
    for (; left > 0 && left < end - at; at++) {
      if (!decoder.choose(left, end - at)) continue;
      units[at] = 1;
      left--;
    }
    if (left > 0) units.fill(1, at, end);
    at = end;
  }
  return decoder.left > 0 ? `${decoder.left} bytes are left over` : undefined;
}
