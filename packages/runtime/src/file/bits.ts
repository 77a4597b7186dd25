/** Fields of a few bits, one after the other, the lowest bit first. */

/** Bits of a field that tells apart so many numbers. */
export function widthOf(numbers: number): number {
  return numbers <= 1 ? 0 : Math.floor(Math.log2(numbers - 1)) + 1;
}

/** @returns whether the bits behind the last field are 0 */
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
