/** Files of wrong varints, and how many bytes a decoder reads of them. */

import { type Section, SECTIONS } from "@kofn/format/file/header.js";
import { decodeContainer, encodeContainer } from "../../src/pack/container.js";
import { ByteReader } from "../../src/pack/bytes.js";
import { decodeKofn } from "../../src/pack/file.js";
import type { Random } from "../../src/random.js";

/** Where a number in LEB128 lies. */
export interface Varint {
  readonly section: Section;
  /** In the section. */
  readonly begin: number;
  readonly end: number;
  /** Whether it has 64 bits and a sign. */
  readonly isInt: boolean;
}

/** Replaces a method while `body` runs. */
function patched<Method extends "uint" | "int" | "byte">(
  reader: Record<Method, () => number | bigint>,
  method: Method,
  around: (self: unknown, call: () => number | bigint) => number | bigint,
  body: () => void,
): void {
  const original = reader[method];
  reader[method] = function (this: unknown) {
    return around(this, () => original.call(this));
  };
  try {
    body();
  } finally {
    reader[method] = original;
  }
}

/** All varints of a right file, as the decoder comes upon them. */
export function varintsOf(file: Uint8Array): Varint[] {
  const sections = decodeContainer(file, "test");
  const found: Varint[] = [];
  const noting =
    (isInt: boolean) =>
    (self: unknown, call: () => number | bigint): number | bigint => {
      const place = (): number => (self as ByteReader).bytes(0).byteOffset;
      const begin = place();
      const value = call();
      const section = SECTIONS.findLast((name) => sections[name].byteOffset <= begin) ?? "graph";
      const start = sections[section].byteOffset;
      found.push({ section, begin: begin - start, end: place() - start, isInt });
      return value;
    };
  const { prototype } = ByteReader;
  patched(prototype as { uint(): number }, "uint", noting(false), () => {
    patched(prototype as { int(): bigint }, "int", noting(true), () => {
      decodeKofn(file, "test");
    });
  });
  return found;
}

/** The file with other bytes in place of a varint, and right checksums. */
export function withVarint(
  file: Uint8Array,
  { section, begin, end }: Varint,
  bytes: readonly number[],
): Uint8Array {
  const sections = decodeContainer(file, "test");
  const before = sections[section];
  const changed = Uint8Array.from([...before.slice(0, begin), ...bytes, ...before.slice(end)]);
  return encodeContainer({ ...sections, [section]: changed });
}

/** Varints that nothing may take: too long, too large, or in more bytes than they need. */
export function wrongVarints(file: Uint8Array, varint: Varint, random: Random): number[][] {
  const { section, begin, end, isInt } = varint;
  const own = [...decodeContainer(file, "test")[section].slice(begin, end)];
  const most = isInt ? 10 : 8;
  const longer = (bytes: readonly number[], last: readonly number[]): number[] => [
    ...bytes.map((byte) => byte | 128),
    ...last,
  ];
  const length = most + random.below(200);
  return [
    ...[most, 146, 147, 1000].map((count) => longer(new Array<number>(count).fill(0), [0])),
    longer(own, [0]),
    longer(own, new Array<number>(random.below(20)).fill(128).concat(0)),
    longer(
      Array.from({ length }, () => random.below(256)),
      [1 + random.below(127)],
    ),
    longer(new Array<number>(most - 1).fill(255), isInt ? [2] : [16]),
  ];
}

/** Varints that are right but large, and mean another file. */
export function largeVarints(random: Random): number[][] {
  const numbers = [127, 2 ** 31, 2 ** 32 + 2 ** 31, 2 ** 53 - 1, Math.floor(2 ** (52 * random.uniform()))];
  return numbers.map((number) => {
    const bytes: number[] = [];
    let rest = number;
    for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
    return [...bytes, rest];
  });
}

/**
 * A file of 216 bytes that decoders hung on: the length of its first string has 148 bytes, in which the power of 128 grows to Infinity,
 * times 0.
 */
export function endlessFile(): Uint8Array {
  const graph = Uint8Array.from([1, 15, ...new Array<number>(147).fill(128), 0]);
  const none = new Uint8Array();
  return encodeContainer({ graph, info: none, masks: none, values: none });
}

/**
 * Runs a decoder that may read each byte of a file twice, but not go on for ever.
 *
 * @param reader the prototype of what it reads bytes by
 * @returns what it throws, or "none"
 */
export function outcome(reader: { byte(): number }, file: Uint8Array, decode: () => void): string {
  let left = 2 * file.length;
  try {
    patched(
      reader,
      "byte",
      (_, call) => {
        if (left-- === 0) throw new Error("it reads more bytes than there are");
        return call();
      },
      decode,
    );
  } catch (error) {
    return String(error);
  }
  return "none";
}
