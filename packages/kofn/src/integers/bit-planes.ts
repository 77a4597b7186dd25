/** Packs small whole numbers into bits: one plane of bits for each binary digit. */

/**
 * The fewest bits that hold the codes: 1 where all are -1 or 1, else those of two's complement, from 2 to 8.
 *
 * @example
 * bitsFor(Int8Array.of(-1, 1, 1)); // 1
 * bitsFor(Int8Array.of(-1, 0, 1)); // 2
 */
export function bitsFor(codes: Int8Array): number {
  let [lowest, highest, zeros] = [0, 0, 0];
  for (const code of codes) {
    if (code < lowest) lowest = code;
    else if (code > highest) highest = code;
    else if (code === 0) zeros++;
  }
  if (zeros === 0 && lowest >= -1 && highest <= 1) return 1;
  let bits = 2;
  while (lowest < -(2 ** (bits - 1)) || highest >= 2 ** (bits - 1)) bits++;
  return bits;
}

/** What is added to a code so that its digits are those of a number of at least 0; with 1 bit, (code + 1) / 2 is stored. */
export function offsetOf(bits: number): number {
  return 2 ** (bits - 1);
}

/**
 * The codes in `bits` planes of ceil(n / 8) bytes. Plane j has digit j of each code's offset value; element i is bit i % 8
 * of byte floor(i / 8).
 *
 * @param bits at least {@link bitsFor} of the codes.
 * @returns [bits, ceil(n / 8)]
 */
export function bitPlanes(codes: Int8Array, bits: number): Uint8Array {
  const length = Math.ceil(codes.length / 8);
  const planes = new Uint8Array(bits * length);
  const offset = offsetOf(bits);
  for (let i = 0; i < codes.length; i++) {
    const value = bits === 1 ? (codes[i] + 1) >> 1 : codes[i] + offset;
    for (let digit = 0; digit < bits; digit++) {
      planes[digit * length + (i >> 3)] |= ((value >> digit) & 1) << (i & 7);
    }
  }
  return planes;
}

/** The codes two in a byte, the first one in the lower half: the elements of an int4 tensor. */
export function nibbles(codes: Int8Array): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(codes.length / 2));
  for (let i = 0; i < codes.length; i++) bytes[i >> 1] |= (codes[i] & 15) << (4 * (i & 1));
  return bytes;
}
