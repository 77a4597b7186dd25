/** The outer form of a .kofn file: a header with a table of sections and checksums. docs/format.md describes all of the file. */

import { NetworkError } from "../errors.js";
import { Reader } from "./reader.js";

const SECTIONS = ["graph", "info", "masks", "values"] as const;
type Section = (typeof SECTIONS)[number];

const VERSION = 1;
const ENTRY_BYTES = 12;
const HEADER_BYTES = 16 + SECTIONS.length * ENTRY_BYTES;
const CRC_OFFSET = 12;

/**
 * Takes a file apart, once every checksum has been found right.
 *
 * @param source the file's name, for messages
 */
export function readContainer(bytes: Uint8Array, source: string): Record<Section, Reader> {
  const fail = (what: string): never => {
    throw new NetworkError(`${source}: ${what}`);
  };
  if (bytes.length < HEADER_BYTES || String.fromCharCode(...bytes.subarray(0, 4)) !== "kofn") {
    return fail(`expected a .kofn file, found ${bytes.length} bytes of something else, or a damaged header`);
  }
  const header = bytes.slice(0, HEADER_BYTES);
  const view = new DataView(header.buffer);
  const stated = view.getUint32(CRC_OFFSET, true);
  view.setUint32(CRC_OFFSET, 0, true);
  if (crc32(header) !== stated) fail("the header is damaged");
  const version = view.getUint16(4, true);
  if (version !== VERSION)
    fail(`the file has version ${version} of the format, and this runtime reads ${VERSION}`);
  if (view.getUint16(6, true) !== SECTIONS.length || view.getUint32(8, true) !== bytes.length) {
    fail(
      `the file should have ${view.getUint32(8, true)} bytes, it has ${bytes.length}; it is cut short or damaged`,
    );
  }
  let end = HEADER_BYTES;
  const readers = SECTIONS.map((name, i) => {
    const [offset, length, checksum] = [0, 4, 8].map((at) => view.getUint32(16 + i * ENTRY_BYTES + at, true));
    if (offset !== end || offset + length > bytes.length)
      fail(`section "${name}" does not fit; the file is damaged`);
    end = Math.ceil((offset + length) / 4) * 4;
    if (crc32(bytes.subarray(offset, end)) !== checksum)
      fail(`section "${name}" is damaged: its checksum does not fit`);
    return [
      name,
      new Reader(bytes.subarray(offset, offset + length), `${source}, section "${name}"`),
    ] as const;
  });
  if (end !== bytes.length) fail("its sections do not make up the file; it is damaged");
  return Object.fromEntries(readers) as Record<Section, Reader>;
}

const TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let i = 0; i < 8; i++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/** The checksum of zip and PNG. */
function crc32(bytes: Uint8Array): number {
  let crc = -1;
  let at = 0;
  while (at < bytes.length) crc = TABLE[(crc ^ bytes[at++]) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}
