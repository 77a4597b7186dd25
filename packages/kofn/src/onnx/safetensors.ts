/**
 * The safetensors format: eight bytes with the length of a JSON header, the header (each tensor's element type, shape
 * and place), then the elements, without gaps.
 */

import { InputError, KofnError, messageOf } from "../errors.js";
import { byteLength, type DataType } from "./dtype.js";
import { sizeOf, Tensor } from "./tensor.js";

const DTYPES: Partial<Record<DataType, string>> = {
  float64: "F64",
  float32: "F32",
  float16: "F16",
  bfloat16: "BF16",
  float8e4m3fn: "F8_E4M3",
  float8e5m2: "F8_E5M2",
  int64: "I64",
  uint64: "U64",
  int32: "I32",
  uint32: "U32",
  int16: "I16",
  uint16: "U16",
  int8: "I8",
  uint8: "U8",
  bool: "BOOL",
};
const TYPE_OF_NAME = new Map(Object.entries(DTYPES).map(([dtype, name]) => [name, dtype as DataType]));

/** Key of the metadata in the header. */
const METADATA = "__metadata__";

/** A header of this size names some 100,000 tensors; parsing a larger one could exhaust the memory. */
const MAX_HEADER_BYTES = 16 * 2 ** 20;

/**
 * Encodes tensors as a safetensors file. The order in the file depends on names and element types alone (wide types
 * first, so that all elements are aligned), so the same tensors give the same bytes.
 *
 * @param metadata text to keep with them.
 * @throws KofnError for element types that the format does not have.
 *
 * @example
 * writeFileSync("masks.safetensors", encodeSafetensors(run.masks));
 */
export function encodeSafetensors(
  tensors: ReadonlyMap<string, Tensor>,
  metadata?: Readonly<Record<string, string>>,
): Uint8Array {
  const sorted = [...tensors].sort(
    ([nameA, a], [nameB, b]) => byteLength(b.dtype, 1) - byteLength(a.dtype, 1) || (nameA < nameB ? -1 : 1),
  );
  const entries: [string, unknown][] = [];
  if (metadata !== undefined) {
    entries.push([
      METADATA,
      Object.fromEntries(Object.entries(metadata).sort(([a], [b]) => (a < b ? -1 : 1))),
    ]);
  }
  let end = 0;
  for (const [name, { dtype, dims, bytes }] of sorted) {
    const type = DTYPES[dtype];
    if (type === undefined)
      throw new KofnError(`safetensors has no element type ${dtype}, which tensor "${name}" has`);
    if (name === METADATA) throw new KofnError(`a tensor in a safetensors file can't be named "${METADATA}"`);
    const start = end;
    end += bytes.length;
    entries.push([name, { dtype: type, shape: dims, data_offsets: [start, end] }]);
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)));
  const headerLength = Math.ceil(json.length / 8) * 8;
  const file = new Uint8Array(8 + headerLength + end);
  new DataView(file.buffer).setBigUint64(0, BigInt(headerLength), true);
  file.set(json, 8);
  file.fill(0x20, 8 + json.length, 8 + headerLength);
  let at = 8 + headerLength;
  for (const [, { bytes }] of sorted) {
    file.set(bytes, at);
    at += bytes.length;
  }
  return file;
}

/**
 * Decodes a safetensors file. The tensors are views of `bytes`, in the order of the header.
 *
 * @param source the file's name, for error messages.
 * @throws InputError if the file is damaged.
 *
 * @example
 * decodeSafetensors(readFileSync("masks.safetensors"), "masks.safetensors").get("fc1.weight");
 */
export function decodeSafetensors(bytes: Uint8Array, source: string): Map<string, Tensor> {
  const fail = (what: string, cause?: unknown): never => {
    throw new InputError(`${source}: expected a safetensors file, but ${what}`, { cause });
  };
  if (bytes.length < 8)
    return fail(`it has ${bytes.length} bytes, which is too short for a header; it is cut short`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const stated = view.getBigUint64(0, true);
  if (stated > BigInt(bytes.length - 8)) {
    return fail(
      `its first 8 bytes state a header of ${stated} bytes where ${bytes.length - 8} are left; ` +
        "it is cut short or something else",
    );
  }
  if (stated > BigInt(MAX_HEADER_BYTES)) {
    return fail(
      `its first 8 bytes state a header of ${stated} bytes, more than the ${MAX_HEADER_BYTES} that kofn reads`,
    );
  }
  const headerEnd = 8 + Number(stated);
  const data = new Uint8Array(bytes.buffer, bytes.byteOffset + headerEnd, bytes.length - headerEnd);

  const tensors = new Map<string, Tensor>();
  const spans: { name: string; start: number; end: number }[] = [];
  for (const [name, value] of Object.entries(parseHeader(bytes.subarray(8, headerEnd), fail))) {
    if (name === METADATA) continue;
    const { dtype, shape, start, end } = entryOf(name, value, fail);
    const label = `tensor "${name}"`;
    if (end > data.length) {
      return fail(
        `${label} should end at byte ${end} of the data, which has ${data.length} bytes; the file is cut short or damaged`,
      );
    }
    const size = sizeOf(shape);
    const length = byteLength(dtype, size);
    if (!Number.isSafeInteger(size) || length !== end - start) {
      return fail(
        `${label} is ${dtype}[${shape.join(", ")}], which takes ${length} bytes, but it has ${end - start}`,
      );
    }
    tensors.set(name, new Tensor(dtype, shape, data.subarray(start, end)));
    spans.push({ name, start, end });
  }

  let at = 0;
  for (const { name, start, end } of spans.sort((a, b) => a.start - b.start || a.end - b.end)) {
    if (start !== at) {
      const found =
        start < at ? "overlaps the tensor before it" : `leaves a gap of ${start - at} bytes before it`;
      return fail(`tensor "${name}", at bytes ${start} to ${end} of the data, ${found}`);
    }
    at = end;
  }
  if (at !== data.length)
    return fail(`its tensors end at byte ${at} of the data, which has ${data.length} bytes`);
  return tensors;
}

type Fail = (what: string, cause?: unknown) => never;

function parseHeader(bytes: Uint8Array, fail: Fail): object {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    return fail(`its header is no JSON: ${messageOf(error)}`, error);
  }
  if (!isObject(header)) return fail("its header is no JSON object");
  return header;
}

function entryOf(
  name: string,
  value: unknown,
  fail: Fail,
): { dtype: DataType; shape: number[]; start: number; end: number } {
  const label = `tensor "${name}"`;
  if (!isObject(value)) return fail(`the header's entry of ${label} is no object`);
  const { dtype: type, shape, data_offsets: offsets } = value as Record<string, unknown>;
  const dtype = typeof type === "string" ? TYPE_OF_NAME.get(type) : undefined;
  if (dtype === undefined) {
    const found = typeof type === "string" ? `the unknown dtype "${type.slice(0, 20)}"` : "no dtype";
    return fail(`${label} has ${found}; kofn knows ${[...TYPE_OF_NAME.keys()].join(", ")}`);
  }
  if (!isSizes(shape)) return fail(`the shape of ${label} is no list of whole numbers >= 0`);
  if (!isSizes(offsets) || offsets.length !== 2 || offsets[0] > offsets[1]) {
    return fail(`the data_offsets of ${label} are no [start, end] in bytes`);
  }
  return { dtype, shape, start: offsets[0], end: offsets[1] };
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && (item as number) >= 0);
}
