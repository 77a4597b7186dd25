/** Arrays of numbers in the section of values: floats whole or halved, codes in few bits, plain or range coded. */

import { packBits, unpackBits } from "@kofn/format/file/bits.js";
import { ByteReader } from "./bytes.js";
import { fromHalves, toHalves } from "./float16.js";
import { decodeSymbols, encodeSymbols } from "./symbols.js";

/** How floats are stored. */
export type FloatFormat = "float32" | "float16";

/** Bytes of a float. */
export function floatBytes(format: FloatFormat): 2 | 4 {
  return format === "float32" ? 4 : 2;
}

/** An array as it is stored. */
export interface StoredArray {
  readonly bytes: Uint8Array;
  readonly isCoded: boolean;
}

/** @param entropy whether to use the range coder where it takes fewer bytes. */
export function encodeFloats(values: Float32Array, format: FloatFormat, entropy: boolean): StoredArray {
  const { buffer, byteOffset, byteLength } = format === "float32" ? values : toHalves(values);
  const plain = new Uint8Array(buffer, byteOffset, byteLength);
  if (!entropy || values.length === 0) return { bytes: plain, isCoded: false };
  const width = floatBytes(format);
  const low = new Uint8Array(values.length * (width - 1));
  const high = new Uint8Array(values.length);
  for (let i = 0; i < values.length; i++) {
    for (let j = 0; j < width - 1; j++) low[i * (width - 1) + j] = plain[i * width + j];
    high[i] = plain[i * width + width - 1];
  }
  return smaller(plain, [low, encodeSymbols(high)]);
}

/**
 * Undoes {@link encodeFloats}.
 *
 * @param where opens the message of an error.
 * @throws InputError if the bytes are damaged.
 */
export function decodeFloats(
  { bytes, isCoded }: StoredArray,
  count: number,
  format: FloatFormat,
  where: string,
): Float32Array {
  const width = floatBytes(format);
  const whole = isCoded ? new Uint8Array(count * width) : bytes.slice();
  if (isCoded) {
    const reader = new ByteReader(bytes, where);
    const low = reader.bytes(count * (width - 1));
    const high = decodeSymbols(reader.bytes(reader.left), count, where);
    for (let i = 0; i < count; i++) {
      for (let j = 0; j < width - 1; j++) whole[i * width + j] = low[i * (width - 1) + j];
      whole[i * width + width - 1] = high[i];
    }
  }
  return format === "float32" ? new Float32Array(whole.buffer) : fromHalves(new Uint16Array(whole.buffer));
}

/**
 * @param bits of a code, at least those that the codes need; with 1 all codes are -1 or 1.
 * @param entropy whether to use the range coder where it takes fewer bytes.
 */
export function encodeCodes(codes: Int8Array, bits: number, entropy: boolean): StoredArray {
  const fields = new Uint8Array(codes.length);
  const offset = 2 ** (bits - 1);
  for (let i = 0; i < codes.length; i++) fields[i] = bits === 1 ? (codes[i] + 1) >> 1 : codes[i] + offset;
  const plain = packBits(fields, bits);
  return entropy && codes.length > 0
    ? smaller(plain, [encodeSymbols(fields)])
    : { bytes: plain, isCoded: false };
}

/**
 * Undoes {@link encodeCodes}.
 *
 * @param where opens the message of an error.
 * @throws InputError if the bytes are damaged.
 */
export function decodeCodes(
  { bytes, isCoded }: StoredArray,
  count: number,
  bits: number,
  where: string,
): Int8Array {
  const fields = isCoded ? decodeSymbols(bytes, count, where) : new Uint8Array(count);
  const reader = new ByteReader(bytes, where);
  if (!isCoded && !unpackBits(bytes, bits, fields)) reader.fail("bits behind the codes are not 0");
  const codes = new Int8Array(count);
  const offset = 2 ** (bits - 1);
  for (let i = 0; i < count; i++) codes[i] = bits === 1 ? 2 * fields[i] - 1 : fields[i] - offset;
  return codes;
}

function smaller(plain: Uint8Array, parts: readonly Uint8Array[]): StoredArray {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  if (length >= plain.length) return { bytes: plain, isCoded: false };
  const coded = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    coded.set(part, at);
    at += part.length;
  }
  return { bytes: coded, isCoded: true };
}
