/** Reads the tensors of a .kofn file, and believes nothing that it says of their sizes. */

import { bytesOf, unpackBits, widthOf } from "@kofn/format/file/bits.js";
import {
  AXES,
  FORMATS,
  INLINE,
  maskKind,
  MOST_NUMBERS,
  MOST_UNITS,
  NUMBERS_PER_BYTE,
  type PositionCodec,
} from "@kofn/format/file/fields.js";
import { ALIGNMENT } from "@kofn/format/file/header.js";
import {
  keptIndices,
  scatter,
  type UnitLayout,
  type PackedMask,
  unitMatrix,
} from "@kofn/format/file/units.js";
import { axisView } from "../onnx/evaluate/support.js";
import type { Tensor } from "../onnx/tensor.js";
import { sizeOf, tensor } from "../onnx/tensor.js";
import type { QuantizedWeight } from "../quantize/types.js";
import { dequantized, largestCode } from "../quantize/weights.js";
import type { ByteReader } from "./bytes.js";
import { readRaw, readShape } from "./graph-section.js";
import { decodePositions, positionBytes } from "./positions.js";
import type { StringReader } from "./strings.js";
import type { StoredTensor } from "./types.js";
import { decodeCodes, decodeFloats, floatBytes, type StoredArray } from "./values.js";

export interface ReadTensors {
  readonly initializers: Map<string, Tensor>;
  readonly masks: Map<string, PackedMask>;
  readonly weights: QuantizedWeight[];
  readonly tensors: StoredTensor[];
}

/** The sections that tensors are read from. */
export interface TensorReaders {
  readonly graph: ByteReader;
  readonly masks: ByteReader;
  readonly values: ByteReader;
}

/** @param fileBytes the length of the file, by which the model's size is judged. */
export function readTensors(readers: TensorReaders, strings: StringReader, fileBytes: number): ReadTensors {
  const { graph, masks, values } = readers;
  const read: ReadTensors = { initializers: new Map(), masks: new Map(), weights: [], tensors: [] };
  const most = Math.min(MOST_NUMBERS, NUMBERS_PER_BYTE * fileBytes);
  let numbers = 0;
  graph.list(() => {
    const name = strings.name();
    const shape = readShape(graph);
    const { dims } = shape;
    numbers += sizeOf(dims);
    if (numbers > most) {
      graph.fail(
        `tensors of more than ${most} numbers, the most for a file of ${fileBytes} bytes, with "${name}" of [${dims.join(", ")}]`,
      );
    }
    const encoding = readEncoding(graph);
    if (encoding === undefined) {
      read.initializers.set(name, readRaw(graph, shape));
      return;
    }
    if (shape.dtype !== "float32") graph.fail(`"${name}" is ${shape.dtype}, where float32 is expected`);
    readTensor(readers, strings, { name, dims, ...encoding }, read);
  });
  masks.end();
  values.end();
  return read;
}

/** How an array of values is stored. */
interface Encoding {
  readonly format: (typeof FORMATS)[number];
  /** Its length, if it is range coded. */
  readonly codedBytes: number | undefined;
}

/** @returns undefined where the elements follow. */
function readEncoding(graph: ByteReader): Encoding | undefined {
  const number = graph.below(1 + 2 * FORMATS.length, "a format");
  if (number === INLINE) return undefined;
  return {
    format: FORMATS[Math.floor((number - 1) / 2)],
    codedBytes: number % 2 === 0 ? graph.uint() : undefined,
  };
}

/** The next array of the section of values, of so many numbers of so many bits. */
function readArray(values: ByteReader, { codedBytes }: Encoding, count: number, bits: number): StoredArray {
  const bytes = values.bytes(codedBytes ?? bytesOf(count * bits));
  values.align(ALIGNMENT);
  return { bytes, isCoded: codedBytes !== undefined };
}

function readTensor(
  { graph, masks, values }: TensorReaders,
  strings: StringReader,
  described: Encoding & { readonly name: string; readonly dims: readonly number[] },
  read: ReadTensors,
): void {
  const { name, dims, format } = described;
  const isFloat = format === "float32" || format === "float16";
  const codes = isFloat ? undefined : readCodeFields(graph, strings, dims);
  const mask = readMask(graph, masks, name, dims);
  const indices = mask?.indices;
  const size = sizeOf(dims);
  const count = indices?.length ?? size;
  const where = values.where(`"${name}"`);
  const scales = codes === undefined ? undefined : readScales(values, codes, where);
  const bits = codes?.bits ?? 8 * floatBytes(format === "float16" ? format : "float32");
  const array = readArray(values, described, count, bits);
  if (isFloat) {
    const floats = decodeFloats(array, count, format, where);
    const kept = new Uint32Array(floats.buffer);
    const whole = indices === undefined ? kept : scatter(kept, indices, size);
    read.initializers.set(name, tensor("float32", dims, new Float32Array(whole.buffer)));
  } else if (codes !== undefined && scales !== undefined) {
    const { layer, axis } = codes;
    const kept = decodeCodes(array, count, bits, where);
    const most = largestCode(format);
    const beyond = kept.find((code) => Math.abs(code) > most);
    if (beyond !== undefined) values.fail(`"${name}" has the code ${beyond}, and ${format} ends at ${most}`);
    const whole = indices === undefined ? kept : scatter(kept, indices, size);
    read.weights.push({ layer, weight: name, format, axis, scale: scales.numbers, codes: whole });
    read.initializers.set(
      name,
      tensor("float32", dims, dequantized(whole, scales.numbers, axisView(dims, axis))),
    );
  }
  if (mask !== undefined) read.masks.set(name, mask.mask);
  read.tensors.push({
    name,
    dims,
    format,
    bits,
    kept: count,
    ...(mask === undefined ? {} : { mask: { ...mask.mask, codec: mask.codec } }),
    bytes: {
      values: array.bytes.length,
      positions: mask?.bytes ?? 0,
      scales: scales?.bytes ?? 0,
    },
  });
}

/** How codes are stored. */
interface CodeFields {
  readonly layer: string;
  readonly axis: number;
  readonly bits: number;
  readonly scaleCount: number;
  readonly scaleEncoding: Encoding;
}

function readCodeFields(graph: ByteReader, strings: StringReader, dims: readonly number[]): CodeFields {
  const layer = strings.name();
  const number = graph.uint();
  const [bits, axis] = [number % AXES, Math.floor(number / AXES)];
  const scaleEncoding = readEncoding(graph);
  const scaleCount = dims.at(axis);
  if (bits < 1 || bits > 8 || scaleCount === undefined || scaleEncoding === undefined) {
    return graph.fail(`codes of ${bits} bits with scales on axis ${axis} of [${dims.join(", ")}]`);
  }
  return { layer, axis, bits, scaleCount, scaleEncoding };
}

function readScales(
  values: ByteReader,
  { scaleCount, scaleEncoding }: CodeFields,
  where: string,
): { readonly numbers: Float32Array; readonly bytes: number } {
  const { format } = scaleEncoding;
  if (format !== "float32" && format !== "float16") return values.fail(`scales of format ${format}`);
  const array = readArray(values, scaleEncoding, scaleCount, 8 * floatBytes(format));
  const numbers = decodeFloats(array, scaleCount, format, where);
  const bad = numbers.find((scale) => !(scale >= 0 && scale < Infinity));
  if (bad !== undefined) values.fail(`expected finite scales of at least 0, found ${bad}`);
  return { numbers, bytes: array.bytes.length };
}

interface ReadMask {
  readonly mask: PackedMask;
  readonly codec: PositionCodec;
  /** Bytes of positions and counts. */
  readonly bytes: number;
  readonly indices: Uint32Array;
}

function readMask(
  graph: ByteReader,
  masks: ByteReader,
  name: string,
  dims: readonly number[],
): ReadMask | undefined {
  const number = graph.uint();
  if (number === 0) return undefined;
  const { codec, countsDiffer, transposed } =
    maskKind(number) ?? graph.fail(`unknown kind ${number} of mask`);
  const [span, share, n] = [graph.uint(), graph.uint(), graph.uint()];
  const layout: UnitLayout = { transposed, span, share, n };
  const matrix = unitMatrix(layout, dims);
  if (matrix === undefined || (codec === "range" && n > MOST_UNITS)) {
    return graph.fail(
      `a mask of groups of ${n} units of ${span} weights, shared by ${share} rows, for "${name}" of [${dims.join(", ")}]`,
    );
  }
  const k = countsDiffer ? 0 : graph.below(n + 1, "k");
  const rangeBytes = codec === "range" ? graph.uint() : undefined;
  const { left } = masks;
  const countBytes = countsDiffer ? masks.bytes(bytesOf(matrix.groups * widthOf(n + 1))) : undefined;
  const counts = new Uint32Array(matrix.groups).fill(k);
  if (countBytes !== undefined) {
    if (!unpackBits(countBytes, widthOf(n + 1), counts))
      masks.fail(`bits behind the counts of "${name}" are not 0`);
    if (counts.some((count) => count > n)) masks.fail(`a group of "${name}" keeps more than ${n} units`);
  }
  const length = rangeBytes ?? positionBytes(codec === "indices" ? "indices" : "bitmap", n, counts);
  const bytes = masks.bytes(length);
  const units = new Uint8Array(matrix.units);
  const problem = decodePositions({ codec, bytes }, counts, units);
  if (problem !== undefined) masks.fail(`the positions of "${name}": ${problem}`);
  const mask = { layout, units, counts };
  return { mask, codec, bytes: left - masks.left, indices: keptIndices(mask, dims) };
}
