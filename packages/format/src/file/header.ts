/**
 * The header of a .kofn file, with its table of sections. Its numbers are little-endian, as typed arrays are wherever there are such
 * files. docs/format.md describes the whole file.
 */

import { crc32 } from "./crc32.js";

/** "kofn", with which a file begins. */
export const MAGIC: readonly number[] = [0x6b, 0x6f, 0x66, 0x6e];

/** The version of the format that is written and read. */
export const FORMAT_VERSION = 1;

/** The sections of a file, in their order. */
export const SECTIONS = ["graph", "info", "masks", "values"] as const;
export type Section = (typeof SECTIONS)[number];

export const HEADER_BYTES = 16 + 12 * SECTIONS.length;

/** Sections, and arrays in that of values, begin at multiples of so many bytes. */
export const ALIGNMENT = 4;

/** What a header says. */
export interface Header {
  readonly version: number;
  /** How many sections there are. */
  readonly count: number;
  /** Bytes of the file. */
  readonly length: number;
  /** Whether the header's own checksum fits. */
  readonly isWhole: boolean;
  /** Of each section its offset, its length, and the checksum of it and of the bytes up to the next one. */
  readonly table: readonly number[];
}

/** Whether bytes begin as a .kofn file does. */
export function isKofn(bytes: Uint8Array): boolean {
  return MAGIC.every((byte, i) => bytes[i] === byte);
}

/** The first place from `offset` on at which a section may begin. */
export function aligned(offset: number): number {
  return Math.ceil(offset / ALIGNMENT) * ALIGNMENT;
}

/** Reads the header of a file of at least HEADER_BYTES. */
export function readHeader(file: Uint8Array): Header {
  const words = new Uint32Array(Uint8Array.from(file.subarray(0, HEADER_BYTES)).buffer);
  const [, kind, length, checksum, ...table] = words;
  // The header's checksum is taken with itself as 0.
  words[3] = 0;
  const isWhole = crc32(new Uint8Array(words.buffer)) === checksum;
  return { version: kind & 0xffff, count: kind >>> 16, length, isWhole, table };
}

/** Writes the header of a file in which the sections lie already. */
export function writeHeader(file: Uint8Array, table: readonly number[]): void {
  const words = Uint32Array.of(0, FORMAT_VERSION + 2 ** 16 * SECTIONS.length, file.length, 0, ...table);
  const header = new Uint8Array(words.buffer);
  header.set(MAGIC);
  words[3] = crc32(header);
  file.set(header);
}
