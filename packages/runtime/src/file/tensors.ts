/** Reads constants: those that lie in the graph, and weights of few bits and with masks. */

import { bytesOf, unpackBits } from "@kofn/format/file/bits.js";
import { AXES, FORMATS, INLINE, MOST_NUMBERS, NUMBERS_PER_BYTE, RANKS } from "@kofn/format/file/fields.js";
import { weightMatrix } from "@kofn/format/file/units.js";
import type { Constant, KeptWeights } from "../graph/types.js";
import { sizeOf } from "../graph/types.js";
import type { Readers } from "./container.js";
import { readMask } from "./masks.js";
import { readSymbols } from "./range-decoder.js";
import { Reader } from "./reader.js";

/** Bits of an element by the number of its type in ONNX. */
const ELEMENT_BITS = [
  0, 32, 8, 8, 16, 16, 32, 64, 0, 8, 16, 64, 32, 64, 64, 128, 16, 8, 8, 8, 8, 4, 4, 4, 8, 2, 2,
];
const FLOAT32 = 1;
const INT32 = 6;
const INT64 = 7;

/** @param name reads a name */
export function readConstants(
  readers: Readers,
  name: () => string,
  fileBytes: number,
): Map<string, Constant> {
  const { graph, masks, values } = readers;
  let left = Math.min(MOST_NUMBERS, NUMBERS_PER_BYTE * fileBytes);
  const constants = graph.list(() => {
    const key = name();
    const { type, dims } = readShape(graph);
    left -= sizeOf(dims);
    if (left < 0) graph.fail(`tensors of too many numbers for a file of ${fileBytes} bytes`);
    const encoding = readEncoding(graph);
    if (encoding !== undefined && type !== FLOAT32)
      graph.fail(`elements of type ${type} where floats are expected`);
    const constant =
      encoding === undefined ? readRaw(graph, type, dims) : readWeight(readers, name, dims, encoding);
    return [key, constant] as const;
  });
  masks.end();
  values.end();
  return new Map(constants);
}

function readShape(graph: Reader): { type: number; dims: number[] } {
  const number = graph.uint();
  const rank = Math.floor(number / RANKS);
  const bits = ELEMENT_BITS.at(number % RANKS) ?? 0;
  if (bits === 0 || rank > graph.left)
    graph.fail(`a tensor of type ${number % RANKS} with ${rank} dimensions`);
  const dims = Array.from({ length: rank }, () => graph.below(2 ** 31, "a dimension"));
  if (!Number.isSafeInteger(sizeOf(dims))) graph.fail(`a tensor of [${dims.join(", ")}]`);
  return { type: number % RANKS, dims };
}

function readRaw(graph: Reader, type: number, dims: readonly number[]): Constant {
  const size = sizeOf(dims);
  const { buffer } = graph.bytes(bytesOf(size * (ELEMENT_BITS[type] ?? 0))).slice();
  switch (type) {
    case FLOAT32:
      return { dims, data: new Float32Array(buffer) };
    case INT32:
      return { dims, data: Array.from(new Int32Array(buffer)) };
    case INT64:
      return { dims, data: Array.from(new BigInt64Array(buffer), Number) };
    default:
      return { dims, data: undefined };
  }
}

/** A tensor in an attribute. */
export function readTensor(graph: Reader): Constant {
  const { type, dims } = readShape(graph);
  return readRaw(graph, type, dims);
}

/** How numbers are stored. */
interface Encoding {
  readonly format: number;
  /** Their bytes, if they are range coded. */
  readonly coded: number | undefined;
}

function readEncoding(graph: Reader): Encoding | undefined {
  const number = graph.below(1 + 2 * FORMATS.length, "a format");
  if (number === INLINE) return undefined;
  return { format: (number - 1) >> 1, coded: number % 2 === 0 ? graph.uint() : undefined };
}

function readWeight(
  { graph, masks, values }: Readers,
  name: () => string,
  dims: readonly number[],
  encoding: Encoding,
): Constant {
  const isFloat = encoding.format < 2;
  let [bits, axis] = [0, 0];
  let scaleEncoding: Encoding | undefined;
  if (!isFloat) {
    name();
    const number = graph.uint();
    [bits, axis] = [number % AXES, Math.floor(number / AXES)];
    scaleEncoding = readEncoding(graph);
    if (bits < 1 || bits > 8 || axis >= dims.length || (scaleEncoding?.format ?? 2) > 1)
      graph.fail("codes that do not fit");
  }
  const mask = readMask(graph, masks, dims);
  const count = mask?.kept.columns.length ?? sizeOf(dims);
  const scales = scaleEncoding && readFloats(values, scaleEncoding, dims[axis]);
  const codes =
    scales === undefined ? readFloats(values, encoding, count) : readCodes(values, encoding, count, bits);
  const inner = sizeOf(dims.slice(axis + 1));
  const value = (i: number, place: number): number =>
    scales === undefined ? codes[i] : codes[i] * scales[Math.floor(place / inner) % dims[axis]];
  const stored = { format: FORMATS[encoding.format], ...(mask && { mask: mask.stored }) };
  return mask === undefined
    ? { dims, stored, data: scales === undefined ? codes : codes.map((_, i) => value(i, i)) }
    : { dims, stored, ...spread(dims, mask.kept, value) };
}

/** The weight of a mask and its values, by their number and their place, and where it is not 0: values that are kept may be 0, too. */
function spread(
  dims: readonly number[],
  { transposed, ends, columns }: KeptWeights,
  value: (i: number, place: number) => number,
): { data: Float32Array; kept: KeptWeights } {
  const data = new Float32Array(sizeOf(dims));
  const { down, right } = weightMatrix({ dims, transposed });
  let [i, left] = [0, 0];
  ends.forEach((end, row) => {
    for (; i < end; i++) {
      const place = row * down + columns[i] * right;
      data[place] = value(i, place);
      if (data[place] !== 0) columns[left++] = columns[i];
    }
    ends[row] = left;
  });
  return { data, kept: { transposed, ends, columns: columns.subarray(0, left) } };
}

/** The bytes of an array, and a reader of them if they are range coded. */
function readArray(
  values: Reader,
  { coded }: Encoding,
  plain: number,
): { bytes: Uint8Array; reader: Reader | undefined } {
  const bytes = values.bytes(coded ?? plain);
  values.align();
  return { bytes, reader: coded === undefined ? undefined : new Reader(bytes, "range coded values") };
}

function readFloats(values: Reader, encoding: Encoding, count: number): Float32Array {
  const width = encoding.format === 0 ? 4 : 2;
  const { bytes, reader } = readArray(values, encoding, count * width);
  const whole = reader === undefined ? bytes.slice() : new Uint8Array(count * width);
  if (reader !== undefined) {
    const low = reader.bytes(count * (width - 1));
    const high = readSymbols(reader, count);
    for (let i = 0; i < count; i++) {
      for (let j = 0; j < width - 1; j++) whole[i * width + j] = low[i * (width - 1) + j];
      whole[i * width + width - 1] = high[i];
    }
  }
  return width === 4
    ? new Float32Array(whole.buffer)
    : Float32Array.from(new Uint16Array(whole.buffer), fromHalf);
}

function fromHalf(half: number): number {
  const [sign, exponent, fraction] = [half >> 15 ? -1 : 1, (half >> 10) & 31, half & 1023];
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
}

function readCodes(values: Reader, encoding: Encoding, count: number, bits: number): Float32Array {
  const { bytes, reader } = readArray(values, encoding, bytesOf(count * bits));
  const fields = reader === undefined ? new Uint8Array(count) : readSymbols(reader, count);
  if (reader === undefined && !unpackBits(bytes, bits, fields))
    values.fail("bits behind codes that are not 0");
  return Float32Array.from(fields, (field) => (bits === 1 ? 2 * field - 1 : field - 2 ** (bits - 1)));
}
