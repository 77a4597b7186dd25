/** Fields of a few bits, one after the other: the lowest bit of a field first, in the lowest bit of a byte that is free. */

/** Bytes of so many bits. */
export function bytesOf(bits: number): number {
  return Math.ceil(bits / 8);
}

/** Bits of a field that tells apart so many numbers, from 0 on. */
export function widthOf(numbers: number): number {
  return numbers <= 1 ? 0 : Math.floor(Math.log2(numbers - 1)) + 1;
}

/**
 * @param width 0 to 24.
 * @returns ceil(length * width / 8) bytes
 */
export function packBits(values: Uint8Array | Uint32Array, width: number): Uint8Array {
  const bytes = new Uint8Array(bytesOf(values.length * width));
  let [held, count, at] = [0, 0, 0];
  for (const value of values) {
    held |= value << count;
    count += width;
    for (; count >= 8; count -= 8, held >>>= 8) bytes[at++] = held & 255;
  }
  if (count > 0) bytes[at] = held;
  return bytes;
}

/**
 * Undoes {@link packBits}.
 *
 * @param bytes at least ceil(length * width / 8).
 * @param into as many numbers are read as it holds.
 * @returns whether the bits that are left over are 0.
 */
export function unpackBits(bytes: Uint8Array, width: number, into: Uint8Array | Uint32Array): boolean {
  const mask = 2 ** width - 1;
  let [held, count, at] = [0, 0, 0];
  for (let i = 0; i < into.length; i++) {
    for (; count < width; count += 8) held |= bytes[at++] << count;
    into[i] = held & mask;
    held >>>= width;
    count -= width;
  }
  return held === 0;
}
