/** The outer form of a .kofn file: a header with a table of sections. Its numbers are little-endian; docs/format.md has the whole file. */

/** "kofn", with which a file begins. */
export const MAGIC: readonly number[] = [0x6b, 0x6f, 0x66, 0x6e];

/** The version of the format that is written and read. */
export const FORMAT_VERSION = 1;

/** The sections of a file, in their order. */
export const SECTIONS = ["graph", "info", "masks", "values"] as const;
export type Section = (typeof SECTIONS)[number];

/** Where the fields of the header lie: version and number of sections of 16 bits, length of the file of 32. */
export const VERSION_OFFSET = 4;
export const COUNT_OFFSET = 6;
export const LENGTH_OFFSET = 8;
/** The header's own checksum, of 32 bits, for which they count as 0. */
export const CRC_OFFSET = 12;
/** The table: of each section offset, length and checksum, of 32 bits each. */
export const TABLE_OFFSET = 16;
export const ENTRY_BYTES = 12;
export const HEADER_BYTES = TABLE_OFFSET + SECTIONS.length * ENTRY_BYTES;

/** Sections, and arrays in that of values, begin at multiples of so many bytes. */
export const ALIGNMENT = 4;

/** Whether bytes begin as a .kofn file does. */
export function isKofn(bytes: Uint8Array): boolean {
  return MAGIC.every((byte, i) => bytes[i] === byte);
}

/** The first place from `offset` on at which a section may begin. */
export function aligned(offset: number): number {
  return Math.ceil(offset / ALIGNMENT) * ALIGNMENT;
}
