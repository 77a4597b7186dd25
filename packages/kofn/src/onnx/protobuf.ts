/**
 * The protobuf wire format: a reader that hands out views of the file, and a writer that collects chunks, so that
 * large byte fields are never copied.
 */

import { InputError, KofnError } from "../errors.js";
import type { FieldTable } from "./schema.js";

const VARINT = 0;
const FIXED64 = 1;
const LENGTH_DELIMITED = 2;
const FIXED32 = 5;

const WIRE_TYPES = new Map([
  [VARINT, "varint"],
  [FIXED64, "64-bit"],
  [LENGTH_DELIMITED, "length-delimited"],
  [FIXED32, "32-bit"],
]);

/** Messages within messages. Google's parsers have the same limit. */
const MAX_DEPTH = 100;

/**
 * What the decoded messages may take in memory, without the weights. A few bytes of a file can demand some hundred
 * bytes of memory, so a limit keeps a hostile file from exhausting it; real models stay far below.
 */
const MEMORY_BUDGET = 2 ** 29;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A file that is being read: what all readers of its messages share. */
class Source {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly name: string;
  memory = 0;

  constructor(bytes: Uint8Array, name: string) {
    // A plain Uint8Array even where `bytes` is a Buffer, whose slice() does not copy.
    this.bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.name = name;
  }
}

/** Reads the fields of one message, one after the other. */
export class Reader {
  /** The current field's number. */
  field = 0;

  readonly #source: Source;
  readonly #table: FieldTable;
  readonly #parent: Reader | undefined;
  readonly #depth: number;
  readonly #start: number;
  readonly #end: number;
  #wire = 0;
  #position: number;
  /** Where the current field's tag and value begin; the value ends at #position. */
  #tagStart: number;
  #valueStart: number;
  /** The two halves of the varint that was read last. */
  #low = 0;
  #high = 0;
  #kept: number[] | undefined;

  private constructor(
    source: Source,
    table: FieldTable,
    parent: Reader | undefined,
    start: number,
    end: number,
  ) {
    this.#source = source;
    this.#table = table;
    this.#parent = parent;
    this.#depth = parent === undefined ? 0 : parent.#depth + 1;
    this.#start = start;
    this.#end = end;
    this.#position = start;
    this.#tagStart = start;
    this.#valueStart = start;
  }

  /**
   * A reader of a message that fills `bytes`.
   *
   * @param name where the bytes come from, for error messages.
   */
  static of(bytes: Uint8Array, name: string, table: FieldTable): Reader {
    return new Reader(new Source(bytes, name), table, undefined, 0, bytes.length);
  }

  /**
   * Goes to the next field.
   *
   * @returns false at the end of the message.
   * @throws InputError if the field is damaged or reaches beyond the message.
   */
  next(): boolean {
    if (this.#position === this.#end) return false;
    this.#tagStart = this.#position;
    this.#valueStart = this.#position;
    this.field = 0;
    this.#readVarint();
    if (this.#high !== 0 || this.#low < 8) this.#damaged("a field number is out of range");
    this.field = this.#low >>> 3;
    this.#wire = this.#low & 7;
    this.#valueStart = this.#position;
    switch (this.#wire) {
      case VARINT:
        this.#readVarint();
        break;
      case FIXED64:
        this.#skip(8);
        break;
      case LENGTH_DELIMITED: {
        this.#readVarint();
        this.#valueStart = this.#position;
        this.#skip(this.#high * 2 ** 32 + this.#low);
        break;
      }
      case FIXED32:
        this.#skip(4);
        break;
      default:
        this.#damaged(`${this.#describe()} has wire type ${this.#wire}, which does not occur in ONNX`);
    }
    return true;
  }

  /** The current field's bytes, a view of the file. */
  bytes(): Uint8Array {
    this.#expect(LENGTH_DELIMITED);
    return this.#source.bytes.subarray(this.#valueStart, this.#position);
  }

  /** The current field as text. */
  text(): string {
    const bytes = this.bytes();
    this.charge(24 + 2 * bytes.length);
    try {
      return utf8.decode(bytes);
    } catch {
      return this.#damaged(`${this.#describe()} should be text, but is not valid UTF-8`);
    }
  }

  /** The current field as an int64. */
  int64(): bigint {
    this.#expect(VARINT);
    return this.#bigint();
  }

  /** The current field as an int64 that must fit a number exactly. */
  integer(): number {
    this.#expect(VARINT);
    return this.#safe();
  }

  /** The current field as an int32. */
  int32(): number {
    this.#expect(VARINT);
    return this.#low | 0;
  }

  /** The current field as a float. */
  float(): number {
    this.#expect(FIXED32);
    return this.#source.view.getFloat32(this.#valueStart, true);
  }

  /** Appends the current field of a repeated float field: one value, or a packed run of them. */
  floats(into: number[]): void {
    if (this.#wire === LENGTH_DELIMITED) this.#checkPacked(4);
    else this.#expect(FIXED32);
    this.charge(2 * (this.#position - this.#valueStart));
    for (let at = this.#valueStart; at < this.#position; at += 4) {
      into.push(this.#source.view.getFloat32(at, true));
    }
  }

  /** Appends the current field of a repeated int64 field: one value, or a packed run of them. */
  int64s(into: bigint[]): void {
    this.#varints(() => {
      this.charge(40);
      into.push(this.#bigint());
    });
  }

  /** As {@link int64s}, for values that must fit a number exactly. */
  integers(into: number[]): void {
    this.#varints(() => {
      this.charge(8);
      into.push(this.#safe());
    });
  }

  /**
   * The bytes of the current field of a repeated fixed-width field, without its tag: one value or a packed run.
   *
   * @param width bytes of one value, 4 or 8.
   */
  fixedRun(width: 4 | 8): Uint8Array {
    if (this.#wire === LENGTH_DELIMITED) this.#checkPacked(width);
    else this.#expect(width === 4 ? FIXED32 : FIXED64);
    return this.#source.bytes.subarray(this.#valueStart, this.#position);
  }

  /** The bytes of the current field of a repeated varint field, without its tag: one value or a packed run. */
  varintRun(): Uint8Array {
    if (this.#wire !== LENGTH_DELIMITED) this.#expect(VARINT);
    else if (this.#valueStart < this.#position && this.#source.bytes[this.#position - 1] >= 0x80) {
      this.#damaged(`${this.#describe()} ends within a varint`);
    }
    return this.#source.bytes.subarray(this.#valueStart, this.#position);
  }

  /** A reader of the current field's message. */
  message(table: FieldTable): Reader {
    this.#expect(LENGTH_DELIMITED);
    if (this.#depth + 1 >= MAX_DEPTH) {
      this.#damaged(`messages are nested more than ${MAX_DEPTH} deep`);
    }
    return new Reader(this.#source, table, this, this.#valueStart, this.#position);
  }

  /** Keeps the current field, undecoded, for {@link kept}. */
  keep(): void {
    this.#kept ??= [];
    const last = this.#kept.length - 1;
    if (this.#kept[last] === this.#tagStart) this.#kept[last] = this.#position;
    else {
      this.charge(16);
      this.#kept.push(this.#tagStart, this.#position);
    }
  }

  /** The fields that were kept, with their tags: a view of the file if they lie together, else a copy. */
  kept(): Uint8Array | undefined {
    const spans = this.#kept;
    if (spans === undefined) return undefined;
    const { bytes } = this.#source;
    if (spans.length === 2) return bytes.subarray(spans[0], spans[1]);
    let length = 0;
    for (let i = 0; i < spans.length; i += 2) length += spans[i + 1] - spans[i];
    const all = new Uint8Array(length);
    let at = 0;
    for (let i = 0; i < spans.length; i += 2) {
      all.set(bytes.subarray(spans[i], spans[i + 1]), at);
      at += spans[i + 1] - spans[i];
    }
    return all;
  }

  /** The whole message, undecoded: a view of the file. */
  whole(): Uint8Array {
    return this.#source.bytes.subarray(this.#start, this.#end);
  }

  /**
   * Counts `bytes` of memory that decoding takes.
   *
   * @throws InputError if the file demands an absurd amount.
   */
  charge(bytes: number): void {
    this.#source.memory += bytes;
    if (this.#source.memory > MEMORY_BUDGET) {
      this.fail(
        `the model's structure (without weights) takes more than ${MEMORY_BUDGET / 2 ** 20} MB of memory, ` +
          "far more than any real model does; the file is damaged or made to do harm",
      );
    }
  }

  /** @throws InputError with the place of this message in the file. */
  fail(what: string): never {
    const path = this.#path();
    const place = path === "" ? `at byte ${this.#tagStart}` : `in ${path}, at byte ${this.#tagStart}`;
    throw new InputError(`${this.#source.name}: ${what} (${place})`);
  }

  #damaged(what: string): never {
    return this.fail(`expected an ONNX model, but the file is damaged or something else: ${what}`);
  }

  #expect(wire: number): void {
    if (this.#wire === wire) return;
    const expected = WIRE_TYPES.get(wire) ?? "";
    const found = WIRE_TYPES.get(this.#wire) ?? "";
    this.#damaged(`${this.#describe()} has wire type ${found} where ${expected} is expected`);
  }

  #checkPacked(width: number): void {
    const length = this.#position - this.#valueStart;
    if (length % width !== 0) {
      this.#damaged(`${this.#describe()} has ${length} bytes, which is no multiple of ${width}`);
    }
  }

  #skip(length: number): void {
    const left = this.#end - this.#position;
    if (length > left) {
      this.#damaged(
        `${this.#describe()} takes ${length} bytes where ${left} are left; the file may be cut short`,
      );
    }
    this.#position += length;
  }

  #varints(each: () => void): void {
    if (this.#wire !== LENGTH_DELIMITED) {
      this.#expect(VARINT);
      each();
      return;
    }
    const end = this.#position;
    this.#position = this.#valueStart;
    while (this.#position < end) {
      this.#readVarint();
      if (this.#position > end) this.#damaged(`${this.#describe()} ends within a varint`);
      each();
    }
  }

  #readVarint(): void {
    const { bytes } = this.#source;
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.#position >= this.#end) {
        this.#damaged(`${this.#describe()} ends within a varint; the file may be cut short`);
      }
      const byte = bytes[this.#position++];
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high |= bits >>> 4;
      } else high |= bits << (shift - 32);
      if (byte < 0x80) {
        this.#low = low >>> 0;
        this.#high = high >>> 0;
        return;
      }
    }
    this.#damaged(`${this.#describe()} has a varint of more than 10 bytes`);
  }

  #bigint(): bigint {
    if (this.#high === 0) return BigInt(this.#low);
    return BigInt.asIntN(64, (BigInt(this.#high) << 32n) | BigInt(this.#low));
  }

  #safe(): number {
    const value = (this.#high | 0) * 2 ** 32 + this.#low;
    if (!Number.isSafeInteger(value)) {
      this.#damaged(`${this.#describe()} has the absurd value ${this.#bigint()}`);
    }
    return value;
  }

  #describe(): string {
    return this.field === 0 ? "a field's tag" : `field ${this.#name(this.field)}`;
  }

  #name(field: number): string {
    for (const [name, number] of Object.entries(this.#table)) if (number === field) return name;
    return `number ${field}`;
  }

  /** Where this message is, such as "graph.node[3].attribute". */
  #path(): string {
    if (this.#parent === undefined) return "";
    const above = this.#parent.#path();
    const label = this.#parent.#labelOfCurrent();
    return above === "" ? label : `${above}.${label}`;
  }

  /** Name of the current field, with its index if the message has several. */
  #labelOfCurrent(): string {
    const scan = new Reader(this.#source, this.#table, this.#parent, this.#start, this.#position);
    let index = -1;
    while (scan.next()) if (scan.field === this.field) index++;
    return index > 0 ? `${this.#name(this.field)}[${index}]` : this.#name(this.field);
  }
}

/** Byte fields from this size on stay what they are instead of being copied into the writer's own buffer. */
const LARGE = 1024;

const utf8Encoder = new TextEncoder();

/** Writes the fields of one message as a list of chunks. */
export class Writer {
  /** Bytes that were written. */
  length = 0;

  readonly #chunks: Uint8Array[] = [];
  #buffer = new Uint8Array(64);
  /** What was written to #buffer and is in no chunk yet. */
  #from = 0;
  #to = 0;

  /** An integer field. Negative values take 10 bytes, as int64 and int32 fields demand. */
  integer(field: number, value: number | bigint): void {
    this.#tag(field, VARINT);
    if (typeof value === "number" && value >= 0 && Number.isSafeInteger(value)) this.#varint(value);
    else this.#varint64(BigInt(value));
  }

  float(field: number, value: number): void {
    this.#tag(field, FIXED32);
    this.#reserve(4);
    new DataView(this.#buffer.buffer).setFloat32(this.#to, value, true);
    this.#advance(4);
  }

  /** A byte field. Large ones become a chunk without being copied. */
  bytes(field: number, value: Uint8Array): void {
    this.#tag(field, LENGTH_DELIMITED);
    this.#varint(value.length);
    this.raw(value);
  }

  text(field: number, value: string): void {
    this.bytes(field, utf8Encoder.encode(value));
  }

  message(field: number, write: (writer: Writer) => void): void {
    const inner = new Writer();
    write(inner);
    this.#tag(field, LENGTH_DELIMITED);
    this.#varint(inner.length);
    for (const chunk of inner.finish()) this.raw(chunk);
  }

  /** Fields that are encoded already. */
  raw(bytes: Uint8Array): void {
    if (bytes.length >= LARGE) {
      this.#flush();
      this.#chunks.push(bytes);
      this.length += bytes.length;
      return;
    }
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#to);
    this.#advance(bytes.length);
  }

  /** The message, in order. */
  finish(): Uint8Array[] {
    this.#flush();
    return this.#chunks;
  }

  #tag(field: number, wire: number): void {
    this.#varint(field * 8 + wire);
  }

  #varint(value: number): void {
    this.#reserve(10);
    let at = this.#to;
    let rest = value;
    while (rest >= 0x80) {
      this.#buffer[at++] = (rest % 0x80) + 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#buffer[at++] = rest;
    this.#advance(at - this.#to);
  }

  #varint64(value: bigint): void {
    if (BigInt.asIntN(64, value) !== value) throw new KofnError(`${value} does not fit an int64 field`);
    this.#reserve(10);
    let at = this.#to;
    let rest = BigInt.asUintN(64, value);
    while (rest >= 0x80n) {
      this.#buffer[at++] = Number(rest & 0x7fn) | 0x80;
      rest >>= 7n;
    }
    this.#buffer[at++] = Number(rest);
    this.#advance(at - this.#to);
  }

  #reserve(bytes: number): void {
    if (this.#to + bytes <= this.#buffer.length) return;
    const pending = this.#buffer.subarray(this.#from, this.#to);
    const grown = new Uint8Array(Math.max(2 * (pending.length + bytes), 64));
    grown.set(pending);
    this.#buffer = grown;
    this.#from = 0;
    this.#to = pending.length;
  }

  #advance(bytes: number): void {
    this.#to += bytes;
    this.length += bytes;
  }

  #flush(): void {
    if (this.#from === this.#to) return;
    this.#chunks.push(this.#buffer.subarray(this.#from, this.#to));
    this.#from = this.#to;
  }
}

/** The chunks in one array. */
export function joinChunks(chunks: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const chunk of chunks) length += chunk.length;
  const all = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}
