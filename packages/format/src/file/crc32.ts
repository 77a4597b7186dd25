/** The CRC-32 of zip and PNG. */

const TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/**
 * @example
 * crc32(new TextEncoder().encode("123456789")).toString(16); // "cbf43926"
 */
export function crc32(bytes: Uint8Array): number {
  let crc = -1;
  let at = 0;
  while (at < bytes.length) crc = TABLE[(crc ^ bytes[at++]) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}
