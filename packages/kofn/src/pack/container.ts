/** The outer form of a .kofn file: a header with a table of sections, each with its place and its checksum. */

import { crc32 } from "@kofn/format/file/crc32.js";
import {
  aligned,
  FORMAT_VERSION,
  HEADER_BYTES,
  isKofn,
  MAGIC,
  readHeader,
  type Section,
  SECTIONS,
  writeHeader,
} from "@kofn/format/file/header.js";
import { InputError } from "../errors.js";

/** Joins sections to a file. */
export function encodeContainer(sections: Readonly<Record<Section, Uint8Array>>): Uint8Array {
  const size = SECTIONS.reduce((end, name) => aligned(end + sections[name].length), HEADER_BYTES);
  const file = new Uint8Array(size);
  let offset = HEADER_BYTES;
  const table = SECTIONS.flatMap((name) => {
    const { length } = sections[name];
    const begin = offset;
    file.set(sections[name], begin);
    offset = aligned(begin + length);
    return [begin, length, crc32(file.subarray(begin, offset))];
  });
  writeHeader(file, table);
  return file;
}

/**
 * Takes a file apart; the sections are views of it. Every byte is checked, and nothing is copied.
 *
 * @param source the file's name, for error messages.
 * @throws InputError naming the section that is damaged or cut short.
 */
export function decodeContainer(file: Uint8Array, source: string): Record<Section, Uint8Array> {
  // Whoever gets a section is not to get a Buffer, whose slices share its memory.
  const bytes = new Uint8Array(file.buffer, file.byteOffset, file.length);
  const fail = (what: string): never => {
    throw new InputError(`${source}: ${what}`);
  };
  if (bytes.length < HEADER_BYTES) {
    const isBegun = bytes.length > 0 && MAGIC.slice(0, bytes.length).every((byte, i) => bytes[i] === byte);
    return fail(
      isBegun
        ? `the header is cut short: it takes ${HEADER_BYTES} bytes, and the file has ${bytes.length}.`
        : `expected a .kofn file, found ${bytes.length} bytes of something else.`,
    );
  }
  if (!isKofn(bytes)) {
    return fail(
      'expected a .kofn file, but the header does not begin with "kofn"; it is damaged, or something else.',
    );
  }
  const { version, count, length, isWhole, table } = readHeader(bytes);
  if (!isWhole) {
    const hint =
      version === FORMAT_VERSION ? "" : ` (or of version ${version}; this kofn reads ${FORMAT_VERSION})`;
    return fail(`the header is damaged: its checksum does not fit${hint}.`);
  }
  if (version !== FORMAT_VERSION) {
    return fail(`the file has version ${version} of the format, and this kofn reads ${FORMAT_VERSION}.`);
  }
  const sections: Partial<Record<Section, Uint8Array>> = {};
  let end = HEADER_BYTES;
  const checksums = SECTIONS.map((name, i) => {
    const [offset, size, checksum] = table.slice(3 * i);
    if (offset !== end || offset + size > length) {
      fail(
        `the header's entry of section "${name}" does not fit the file's ${length} bytes; the file is damaged.`,
      );
    }
    end = aligned(offset + size);
    if (bytes.length < end) {
      fail(
        `the file is cut short in section "${name}": it should have ${length} bytes, and has ${bytes.length}.`,
      );
    }
    sections[name] = bytes.subarray(offset, offset + size);
    return { name, checksum, covered: bytes.subarray(offset, end) };
  });
  if (count !== SECTIONS.length || end !== length) {
    return fail("the header's table of sections does not make up the file; the file is damaged.");
  }
  if (bytes.length > length) {
    return fail(
      `the file has ${bytes.length - length} bytes behind its last section, "values"; it is damaged.`,
    );
  }
  for (const { name, checksum, covered } of checksums) {
    if (crc32(covered) !== checksum) fail(`section "${name}" is damaged: its checksum does not fit.`);
  }
  return sections as Record<Section, Uint8Array>;
}
