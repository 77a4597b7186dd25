/** Reads and writes tensors, wherever their elements are stored: TensorProto. */

import { KofnError } from "../../errors.js";
import { byteLength, DATA_TYPES, dataTypeOfCode, type DataType } from "../dtype.js";
import { joinChunks, type Reader, type Writer } from "../protobuf.js";
import { EXTERNAL, STRING_ENTRY, TENSOR } from "../schema.js";
import { sizeOf, Tensor } from "../tensor.js";
import { decodeEntry, LAST_CODE, writeText, writeUnknown } from "./common.js";

/** Where a tensor's elements lie outside the model file. */
export interface ExternalLocation {
  /** A path relative to the model's folder. */
  readonly location: string;
  /** Bytes from the start of that file. */
  readonly offset: number;
  /** Bytes that the tensor takes. */
  readonly length: number;
}

/** Fetches the bytes of a tensor that are stored outside the model file. `tensor` says which one, for errors. */
export type ExternalReader = (at: ExternalLocation, tensor: string) => Uint8Array;

/**
 * A tensor and its name. The name of an attribute's tensor means nothing, so there it stays among the unknown fields.
 *
 * @param role what the tensor is, for errors: "initializer" if its name is to be read.
 */
export function decodeTensor(
  reader: Reader,
  readExternal: ExternalReader | undefined,
  role: string,
): { name: string; tensor: Tensor } {
  reader.charge(250);
  const dims: number[] = [];
  const external = new Map<string, string>();
  const runs: Uint8Array[] = [];
  let name = "";
  let code = 0;
  let raw: Uint8Array | undefined;
  let storedIn = 0;
  let isExternal = false;
  let strings = 0;
  const store = (run: Uint8Array): void => {
    if (storedIn !== 0 && storedIn !== reader.field) {
      reader.fail("a tensor stores its elements in two fields where one is expected");
    }
    reader.charge(100);
    storedIn = reader.field;
    runs.push(run);
  };
  while (reader.next()) {
    switch (reader.field) {
      case TENSOR.dims:
        reader.integers(dims);
        break;
      case TENSOR.data_type:
        code = reader.int32();
        break;
      case TENSOR.name:
        name = reader.text();
        if (role !== "initializer") reader.keep();
        break;
      case TENSOR.raw_data:
        raw = reader.bytes();
        break;
      case TENSOR.float_data:
        store(reader.fixedRun(4));
        break;
      case TENSOR.double_data:
        store(reader.fixedRun(8));
        break;
      case TENSOR.int32_data:
      case TENSOR.int64_data:
      case TENSOR.uint64_data:
        store(reader.varintRun());
        break;
      case TENSOR.string_data:
        reader.bytes();
        strings++;
        reader.keep();
        break;
      case TENSOR.external_data: {
        const [key, value] = decodeEntry(reader.message(STRING_ENTRY));
        reader.charge(100);
        external.set(key, value);
        break;
      }
      case TENSOR.data_location:
        isExternal = reader.int32() === EXTERNAL;
        break;
      default:
        reader.keep();
    }
  }

  const label = role === "initializer" ? `initializer "${name}"` : `the tensor of ${role}`;
  const dtype = dataTypeOfCode(code);
  if (dtype === undefined) {
    return reader.fail(
      `${label} has the element type ${code}, which kofn does not know (it knows 1 to ${LAST_CODE})`,
    );
  }
  for (const dim of dims) if (dim < 0) reader.fail(`${label} has the negative dimension ${dim}`);
  const size = sizeOf(dims);
  const shape = `${dtype}[${dims.join(", ")}]`;
  if (!Number.isSafeInteger(size)) reader.fail(`${label} has the absurd shape ${shape}`);
  const length = byteLength(dtype, size);
  const unknown = reader.kept();
  const finish = (bytes: Uint8Array): { name: string; tensor: Tensor } => ({
    name,
    tensor: new Tensor(dtype, dims, bytes, unknown),
  });

  if (dtype === "string") {
    if (strings !== size || raw !== undefined || storedIn !== 0 || isExternal) {
      reader.fail(`${label} is ${shape} and should have ${size} strings, but has ${strings}`);
    }
    return finish(new Uint8Array());
  }
  if (strings > 0) reader.fail(`${label} is ${shape}, but has strings`);
  if (isExternal) {
    if (raw !== undefined || storedIn !== 0) {
      reader.fail(`${label} stores its elements both in the model and in another file`);
    }
    if (readExternal === undefined) {
      return reader.fail(
        `${label} stores its elements in the file "${external.get("location") ?? ""}" beside the model, ` +
          "and the model's bytes alone don't tell where that is; load it from its path",
      );
    }
    return finish(readExternal(externalLocation(reader, external, length, label), label));
  }
  if (raw !== undefined) {
    if (storedIn !== 0) reader.fail(`${label} stores its elements in two fields where one is expected`);
    if (raw.length !== length) {
      reader.fail(`${label} is ${shape} and should have ${length} bytes of data, but has ${raw.length}`);
    }
    return finish(raw);
  }
  return finish(elementBytes(reader, dtype, storedIn, runs, length, `${label} (${shape})`));
}

/** The field, besides raw_data, that may hold elements of a type; int32_data for the types that are not here. */
const FIELD_OF_TYPE: Partial<Record<DataType, number>> = {
  float32: TENSOR.float_data,
  complex64: TENSOR.float_data,
  float64: TENSOR.double_data,
  complex128: TENSOR.double_data,
  int64: TENSOR.int64_data,
  uint32: TENSOR.uint64_data,
  uint64: TENSOR.uint64_data,
};

/**
 * The elements of a tensor that stores them in float_data, int32_data and the like, as raw_data would have them.
 * A single run of floats has that form already and is not copied.
 */
function elementBytes(
  reader: Reader,
  dtype: DataType,
  storedIn: number,
  runs: readonly Uint8Array[],
  length: number,
  label: string,
): Uint8Array {
  const field = FIELD_OF_TYPE[dtype] ?? TENSOR.int32_data;
  if (storedIn !== 0 && storedIn !== field) {
    reader.fail(`${label} stores its elements in a field of another type`);
  }
  const fixed = field === TENSOR.float_data || field === TENSOR.double_data;
  const width = Math.max(1, DATA_TYPES[dtype].bits / 8);
  let found = 0;
  for (const run of runs) found += fixed ? run.length : width * countVarints(run);
  if (found !== length) reader.fail(`${label} should have ${length} bytes of data, but has ${found}`);
  if (fixed) return runs.length === 1 ? runs[0] : joinChunks(runs);

  reader.charge(length);
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const run of runs) at = unpackVarints(run, width, bytes, at);
  return bytes;
}

/** Number of varints in a run of whole ones. */
function countVarints(run: Uint8Array): number {
  let count = 0;
  for (const byte of run) if (byte < 0x80) count++;
  return count;
}

/** Writes each varint's low `width` bytes, little-endian, and returns where they end. */
function unpackVarints(run: Uint8Array, width: number, into: Uint8Array, at: number): number {
  let low = 0;
  let high = 0;
  let shift = 0;
  for (const byte of run) {
    const bits = byte & 0x7f;
    if (shift < 28) low |= bits << shift;
    else if (shift === 28) {
      low |= bits << 28;
      high |= bits >>> 4;
    } else if (shift < 64) high |= bits << (shift - 32);
    shift += 7;
    if (byte >= 0x80) continue;
    for (let i = 0; i < width; i++) into[at++] = i < 4 ? low >>> (8 * i) : high >>> (8 * (i - 4));
    low = 0;
    high = 0;
    shift = 0;
  }
  return at;
}

/** The entries of external_data, checked. */
function externalLocation(
  reader: Reader,
  entries: ReadonlyMap<string, string>,
  length: number,
  label: string,
): ExternalLocation {
  const location = entries.get("location");
  if (location === undefined || location === "") {
    return reader.fail(`${label} is stored in another file, but its external_data names no location`);
  }
  const number = (key: string, fallback: number): number => {
    const text = entries.get(key);
    if (text === undefined) return fallback;
    const value = Number(text);
    if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return value;
    return reader.fail(
      `${label} has the external_data ${key} ${JSON.stringify(text)}, expected a number of bytes`,
    );
  };
  const stated = number("length", length);
  if (stated !== length) {
    reader.fail(`${label} should have ${length} bytes of data, but its external_data states ${stated}`);
  }
  return { location, offset: number("offset", 0), length };
}

export function encodeTensor(writer: Writer, tensor: Tensor, name: string): void {
  for (const dim of tensor.dims) writer.integer(TENSOR.dims, dim);
  writer.integer(TENSOR.data_type, DATA_TYPES[tensor.dtype].code);
  writeText(writer, TENSOR.name, name);
  if (tensor.dtype === "string") {
    if (tensor.size > 0 && tensor.unknown === undefined) {
      throw new KofnError(`the string tensor "${name}" of shape [${tensor.dims.join(", ")}] has no strings`);
    }
  } else writer.bytes(TENSOR.raw_data, tensor.bytes);
  writeUnknown(writer, tensor);
}
