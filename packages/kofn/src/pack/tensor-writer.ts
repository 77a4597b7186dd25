/** Writes the tensors of a .kofn file: descriptions among the graph, masks and values in sections of their own. */

import { packBits, widthOf } from "@kofn/format/file/bits.js";
import { AXES, FORMATS, INLINE, maskNumber, MOST_UNITS } from "@kofn/format/file/fields.js";
import { ALIGNMENT } from "@kofn/format/file/header.js";
import { gather, keptIndices, type PackedMask, unitMatrix } from "@kofn/format/file/units.js";
import { InputError } from "../errors.js";
import { axisView } from "../onnx/evaluate/support.js";
import type { Graph } from "../onnx/model.js";
import type { Tensor } from "../onnx/tensor.js";
import type { Quantization, QuantizedWeight } from "../quantize/types.js";
import { bitsOf, dequantized, largestCode } from "../quantize/weights.js";
import type { ByteWriter } from "./bytes.js";
import { fromHalves, toHalves } from "./float16.js";
import { writeShape } from "./graph-section.js";
import { encodePositions } from "./positions.js";
import type { StringTable } from "./strings.js";
import type { PackOptions, StoredTensor } from "./types.js";
import { encodeCodes, encodeFloats, floatBytes, type FloatFormat, type StoredArray } from "./values.js";

/** The sections that tensors are written to. */
export interface TensorSections {
  readonly graph: ByteWriter;
  readonly masks: ByteWriter;
  readonly values: ByteWriter;
}

export interface WrittenTensors {
  readonly tensors: readonly StoredTensor[];
  /** By how much a value differs at most from the tensor's. */
  readonly largestError: number;
}

/**
 * Writes all initializers of a graph.
 *
 * @throws InputError if masks or codes are not those of the graph's weights.
 */
export function writeTensors(
  sections: TensorSections,
  strings: StringTable,
  graph: Graph,
  masks: ReadonlyMap<string, PackedMask>,
  quantization: Quantization,
  options: PackOptions,
): WrittenTensors {
  const quantized = new Map(quantization.weights.map((weight) => [weight.weight, weight]));
  const tensors: StoredTensor[] = [];
  let largestError = 0;
  sections.graph.list([...graph.initializers], ([name, value]) => {
    sections.graph.uint(strings.number(name));
    if (value.dtype === "string") {
      throw new InputError(`tensor "${name}" is one of strings, which a .kofn file can't hold.`);
    }
    writeShape(sections.graph, value);
    if (value.dtype !== "float32") {
      sections.graph.uint(INLINE);
      sections.graph.bytes(value.bytes);
      return;
    }
    const mask = masks.get(name);
    const one = quantized.get(name);
    const source = {
      name,
      value: value as Tensor<"float32">,
      ...(mask && { mask }),
      ...(one && { quantized: one }),
    };
    const { stored, error } = writeTensor(sections, strings, source, options);
    tensors.push(stored);
    largestError = Math.max(largestError, error);
  });
  return { tensors, largestError };
}

interface Source {
  readonly name: string;
  readonly value: Tensor<"float32">;
  readonly mask?: PackedMask;
  readonly quantized?: QuantizedWeight;
}

function writeTensor(
  { graph, masks, values }: TensorSections,
  strings: StringTable,
  { name, value, mask, quantized }: Source,
  options: PackOptions,
): { stored: StoredTensor; error: number } {
  const indices = mask === undefined ? undefined : indicesOf(name, value, mask);
  const { main, scales } =
    quantized === undefined
      ? { main: keptFloats(value, indices, options), scales: undefined }
      : keptCodes(quantized, value, indices, options);
  writeEncoding(graph, main);
  if (quantized !== undefined && scales !== undefined) {
    graph.uint(strings.number(quantized.layer));
    graph.uint(main.bits + AXES * quantized.axis);
    writeEncoding(graph, scales);
    values.bytes(scales.array.bytes);
    values.align(ALIGNMENT);
  }
  values.bytes(main.array.bytes);
  values.align(ALIGNMENT);
  const before = masks.length;
  const stored = writeMask(graph, masks, mask, options);
  return {
    stored: {
      name,
      dims: value.dims,
      format: main.format,
      bits: main.bits,
      kept: indices?.length ?? value.size,
      ...(stored === undefined ? {} : { mask: stored }),
      bytes: {
        values: main.array.bytes.length,
        positions: masks.length - before,
        scales: scales?.array.bytes.length ?? 0,
      },
    },
    error: Math.max(main.error, scales?.error ?? 0),
  };
}

function writeEncoding(graph: ByteWriter, { format, array }: Encoded<(typeof FORMATS)[number]>): void {
  graph.uint(1 + 2 * FORMATS.indexOf(format) + (array.isCoded ? 1 : 0));
  if (array.isCoded) graph.uint(array.bytes.length);
}

/** Where the weights lie that a mask keeps; all others are checked to be 0. */
function indicesOf(name: string, value: Tensor<"float32">, mask: PackedMask): Uint32Array {
  if (unitMatrix(mask.layout, value.dims)?.units !== mask.units.length) {
    throw new InputError(`the mask of "${name}" is none for dimensions [${value.dims.join(", ")}].`);
  }
  const indices = keptIndices(mask, value.dims);
  const bits = bitsIn(value);
  if (nonZeros(gather(bits, indices)) !== nonZeros(bits)) {
    throw new InputError(
      `weight "${name}" is not 0 everywhere where its mask keeps nothing: model and masks are not of one run.`,
    );
  }
  return indices;
}

/** An array of the values section. */
interface Encoded<Format> {
  readonly format: Format;
  readonly bits: number;
  readonly array: StoredArray;
  readonly error: number;
}

/** Floats keep all their bits on the way, those of NaN included. */
function keptFloats(
  value: Tensor<"float32">,
  indices: Uint32Array | undefined,
  options: PackOptions,
): Encoded<FloatFormat> {
  const bits = bitsIn(value);
  const kept = indices === undefined ? bits : gather(bits, indices);
  return encodedFloats(new Float32Array(kept.buffer, kept.byteOffset, kept.length), options);
}

/** @param factor by which an error of these values becomes one of weights. */
function encodedFloats(
  floats: Float32Array,
  { values = "float32", entropy = false }: PackOptions,
  factor = 1,
): Encoded<FloatFormat> {
  const halves = values === "float16" ? fromHalves(toHalves(floats)) : floats;
  // What a half can't hold at all stays as it is.
  const format = halves.every((half, i) => Number.isFinite(half) || !Number.isFinite(floats[i]))
    ? values
    : "float32";
  let error = 0;
  if (format === "float16")
    halves.forEach((half, i) => (error = Math.max(error, Math.abs(half - floats[i]) || 0)));
  return {
    format,
    bits: 8 * floatBytes(format),
    array: encodeFloats(floats, format, entropy),
    error: error * factor,
  };
}

function keptCodes(
  quantized: QuantizedWeight,
  value: Tensor<"float32">,
  indices: Uint32Array | undefined,
  options: PackOptions,
): { main: Encoded<QuantizedWeight["format"]>; scales: Encoded<FloatFormat> } {
  const { weight, format, axis, scale, codes } = quantized;
  const product = dequantized(codes, scale, axisView(value.dims, axis));
  if (Buffer.compare(new Uint8Array(product.buffer), value.bytes) !== 0) {
    throw new InputError(
      `weight "${weight}" is not scale times code: model and quantization are not of one run.`,
    );
  }
  const kept = indices === undefined ? codes : gather(codes, indices);
  const bits = format === "binary" && kept.includes(0) ? 2 : bitsOf(format);
  const array = encodeCodes(kept, bits, options.entropy ?? false);
  return {
    main: { format, bits, array, error: 0 },
    scales: encodedFloats(scale, options, largestCode(format)),
  };
}

function writeMask(
  graph: ByteWriter,
  masks: ByteWriter,
  mask: PackedMask | undefined,
  { positions: wanted = "auto" }: PackOptions,
): StoredTensor["mask"] {
  if (mask === undefined) {
    graph.uint(0);
    return undefined;
  }
  const { layout, units, counts } = mask;
  const { transposed, span, share, n } = layout;
  const countsDiffer = counts.some((count) => count !== counts[0]);
  const chosen = wanted === "range" && n > MOST_UNITS ? "auto" : wanted;
  const { codec, bytes } = encodePositions(units, counts, chosen);
  graph.uint(maskNumber({ codec, countsDiffer, transposed }));
  for (const number of [span, share, n]) graph.uint(number);
  if (countsDiffer) masks.bytes(packBits(counts, widthOf(n + 1)));
  else graph.uint(counts[0]);
  if (codec === "range") graph.uint(bytes.length);
  masks.bytes(bytes);
  return { ...mask, codec };
}

function bitsIn(value: Tensor<"float32">): Uint32Array {
  const { buffer, byteOffset, length } = value.array();
  return new Uint32Array(buffer, byteOffset, length);
}

function nonZeros(values: Uint32Array): number {
  let count = 0;
  for (const value of values) if (value !== 0) count++;
  return count;
}
