/** Reads the members of a tar archive (POSIX ustar) in order. */

import { InputError } from "../errors.js";
import type { ByteReader } from "./bytes.js";

/** Headers and the bytes of members take multiples of this. */
export const TAR_BLOCK = 512;

/** A file in the archive. Its bytes can be read until the next member is asked for. */
export interface TarMember {
  readonly name: string;
  readonly size: number;
  /** Fills `target` with the member's next bytes; returns how many there were. */
  fill(target: Uint8Array): Promise<number>;
}

/**
 * @param remedy a sentence for error messages: how to get a sound archive.
 * @throws InputError if the archive is damaged or cut off.
 */
export async function* tarMembers(reader: ByteReader, remedy: string): AsyncGenerator<TarMember> {
  const header = new Uint8Array(TAR_BLOCK);
  for (;;) {
    const read = await reader.fill(header);
    if (read === 0 || (read === TAR_BLOCK && header.every((byte) => byte === 0))) return;
    const member = read === TAR_BLOCK ? parseHeader(header) : undefined;
    if (member === undefined) {
      throw new InputError(
        `${reader.path}: expected the header of a tar member, found other bytes: it is no tar archive, or damaged. ${remedy}`,
      );
    }
    let left = member.size;
    const padded = Math.ceil(member.size / TAR_BLOCK) * TAR_BLOCK;
    yield {
      ...member,
      async fill(target) {
        const filled = await reader.fill(target.subarray(0, Math.min(target.length, left)));
        left -= filled;
        return filled;
      },
    };
    const rest = left + padded - member.size;
    if ((await reader.skip(rest)) < rest) {
      throw new InputError(
        `${reader.path}: ends inside of ${member.name}: the archive was cut off. ${remedy}`,
      );
    }
  }
}

/** Name and size of a member; undefined if the header's checksum is wrong. Numbers are octal text. */
function parseHeader(header: Uint8Array): { name: string; size: number } | undefined {
  const text = (from: number, length: number): string => {
    const field = header.subarray(from, from + length);
    const end = field.indexOf(0);
    return new TextDecoder("latin1").decode(end < 0 ? field : field.subarray(0, end));
  };
  const size = Number.parseInt(text(124, 12).trim() || "0", 8);
  const checksum = Number.parseInt(text(148, 8).trim(), 8);
  let sum = 0;
  for (let i = 0; i < TAR_BLOCK; i++) sum += i >= 148 && i < 156 ? 0x20 : header[i];
  if (!(size >= 0) || sum !== checksum) return undefined;
  const prefix = text(257, 5) === "ustar" ? text(345, 155) : "";
  return { name: prefix === "" ? text(0, 100) : `${prefix}/${text(0, 100)}`, size };
}
