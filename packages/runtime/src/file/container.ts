/** The outer form of a .kofn file: a header with a table of sections and checksums. docs/format.md describes all of the file. */

import { crc32 } from "@kofn/format/file/crc32.js";
import {
  aligned,
  FORMAT_VERSION,
  HEADER_BYTES,
  isKofn,
  readHeader,
  SECTIONS,
} from "@kofn/format/file/header.js";
import { NetworkError } from "../errors.js";
import { Reader } from "./reader.js";

/** A reader of each section. */
export interface Readers {
  readonly graph: Reader;
  readonly info: Reader;
  readonly masks: Reader;
  readonly values: Reader;
}

/**
 * Takes a file apart, once every checksum has been found right.
 *
 * @param source the file's name, for messages
 */
export function readContainer(bytes: Uint8Array, source: string): Readers {
  const fail = (what: string): never => {
    throw new NetworkError(`${source}: ${what}`);
  };
  if (bytes.length < HEADER_BYTES || !isKofn(bytes)) {
    return fail(`expected a .kofn file, found ${bytes.length} bytes of something else, or a damaged header`);
  }
  const { version, count, length: size, isWhole, table } = readHeader(bytes);
  if (!isWhole) fail("the header is damaged");
  if (version !== FORMAT_VERSION)
    fail(`the file has version ${version} of the format, and this runtime reads ${FORMAT_VERSION}`);
  if (count !== SECTIONS.length || size !== bytes.length)
    fail(`the file should have ${size} bytes, it has ${bytes.length}; it is cut short or damaged`);
  let end = HEADER_BYTES;
  const readers = SECTIONS.map((name, i) => {
    const [offset, length, checksum] = table.slice(3 * i);
    if (offset !== end || offset + length > size) fail(`section "${name}" does not fit; the file is damaged`);
    end = aligned(offset + length);
    if (crc32(bytes.subarray(offset, end)) !== checksum)
      fail(`section "${name}" is damaged: its checksum does not fit`);
    return [
      name,
      new Reader(bytes.subarray(offset, offset + length), `${source}, section "${name}"`),
    ] as const;
  });
  if (end !== size) fail("its sections do not make up the file; it is damaged");
  return Object.fromEntries(readers) as Record<(typeof SECTIONS)[number], Reader>;
}
