/**
 * Reads and writes ONNX files. Weights are views of the file's bytes, and are not copied when they are written; what
 * kofn has no use for stays undecoded and is written back.
 */

import { InputError, KofnError } from "../errors.js";
import { byteLength, type DataType, DATA_TYPES, dataTypeOfCode } from "./dtype.js";
import type { Attribute, Dim, Graph, Model, Node, ValueInfo, ValueType } from "./model.js";
import { joinChunks, Reader, Writer } from "./protobuf.js";
import {
  ATTRIBUTE,
  ATTRIBUTE_TYPE,
  DIMENSION,
  EXTERNAL,
  GRAPH,
  LAST_ATTRIBUTE_TYPE,
  MODEL,
  NODE,
  OPSET_ID,
  SHAPE,
  STRING_ENTRY,
  TENSOR,
  TENSOR_TYPE,
  TYPE,
  VALUE_INFO,
} from "./schema.js";
import { sizeOf, Tensor } from "./tensor.js";

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
 * Decodes an ONNX file.
 *
 * The tensors of the result are views of `bytes`: don't change either while the other is in use.
 *
 * @param bytes the whole file.
 * @param source the file's name, for error messages.
 * @param readExternal fetches tensors that are stored in files of their own; without it, such tensors are an error.
 * @throws InputError if the bytes are no ONNX model, or a damaged one, or one that kofn can't read: it names the place.
 *
 * @example
 * const model = decodeModel(readFileSync("lenet.onnx"), "lenet.onnx");
 */
export function decodeModel(bytes: Uint8Array, source: string, readExternal?: ExternalReader): Model {
  const other = recognise(bytes);
  if (other !== undefined) throw new InputError(`${source}: expected an ONNX model, found ${other}`);

  const reader = Reader.of(bytes, source, MODEL);
  const opsets = new Map<string, number>();
  const metadata = new Map<string, string>();
  let irVersion = 0;
  let producerName = "";
  let producerVersion = "";
  let graph: Graph | undefined;
  while (reader.next()) {
    switch (reader.field) {
      case MODEL.ir_version:
        irVersion = reader.integer();
        break;
      case MODEL.producer_name:
        producerName = reader.text();
        break;
      case MODEL.producer_version:
        producerVersion = reader.text();
        break;
      case MODEL.graph:
        if (graph !== undefined) reader.fail("the model has two graphs where one is expected");
        graph = decodeGraph(reader.message(GRAPH), readExternal);
        break;
      case MODEL.opset_import:
        decodeOpset(reader.message(OPSET_ID), opsets);
        break;
      case MODEL.metadata_props: {
        const [key, value] = decodeEntry(reader.message(STRING_ENTRY));
        reader.charge(100);
        metadata.set(key, value);
        break;
      }
      default:
        reader.keep();
    }
  }
  if (graph === undefined) {
    throw new InputError(
      `${source}: expected an ONNX model, but there is no graph in its ${bytes.length} bytes; ` +
        "the file is cut short or something else",
    );
  }
  return {
    irVersion,
    producerName,
    producerVersion,
    opsets,
    graph,
    metadata,
    ...unknownOf(reader),
  };
}

/** What the file is, if it is something well known that is no ONNX model. */
function recognise(bytes: Uint8Array): string | undefined {
  if (bytes.length === 0) return "an empty file";
  const start = new TextDecoder("latin1").decode(bytes.subarray(0, 64));
  if (start.startsWith("version https://git-lfs")) {
    return 'a Git LFS pointer: fetch the model itself with "git lfs pull"';
  }
  if (start.startsWith("\x1f\x8b")) return "gzipped data: unpack it first";
  if (start.startsWith("PK\x03\x04"))
    return "a zip archive (PyTorch's checkpoints are such): export it to ONNX first";
  if (start.startsWith("\x89HDF")) return "an HDF5 file (Keras's models are such): export it to ONNX first";
  if (start.slice(4, 8) === "TFL3") return "a TensorFlow Lite model: convert it to ONNX first";
  if (start.slice(4, 8) === "ORTM")
    return "a model in onnxruntime's own format: use the ONNX model it was made from";
  if (/^[\t\n\r\x20-\x7e]*$/.test(start))
    return `text, which starts with ${JSON.stringify(start.slice(0, 20))}`;
  return undefined;
}

function unknownOf(reader: Reader): { unknown?: Uint8Array } {
  const unknown = reader.kept();
  return unknown === undefined ? {} : { unknown };
}

/** "ai.onnx" is another name of the standard domain. */
function normalDomain(domain: string): string {
  return domain === "ai.onnx" ? "" : domain;
}

function decodeOpset(reader: Reader, opsets: Map<string, number>): void {
  let domain = "";
  let version = 0;
  while (reader.next()) {
    if (reader.field === OPSET_ID.domain) domain = normalDomain(reader.text());
    else if (reader.field === OPSET_ID.version) version = reader.integer();
  }
  reader.charge(100);
  const before = opsets.get(domain);
  if (before !== undefined && before !== version) {
    reader.fail(`the operator set "${domain}" is imported in two versions, ${before} and ${version}`);
  }
  opsets.set(domain, version);
}

function decodeEntry(reader: Reader): [key: string, value: string] {
  let key = "";
  let value = "";
  while (reader.next()) {
    if (reader.field === STRING_ENTRY.key) key = reader.text();
    else if (reader.field === STRING_ENTRY.value) value = reader.text();
  }
  return [key, value];
}

function decodeGraph(reader: Reader, readExternal: ExternalReader | undefined): Graph {
  const inputs: ValueInfo[] = [];
  const outputs: ValueInfo[] = [];
  const nodes: Node[] = [];
  const initializers = new Map<string, Tensor>();
  const valueTypes = new Map<string, ValueType>();
  const otherValues = new Map<string, ValueInfo>();
  let name = "";
  while (reader.next()) {
    switch (reader.field) {
      case GRAPH.node:
        nodes.push(decodeNode(reader.message(NODE), readExternal));
        break;
      case GRAPH.name:
        name = reader.text();
        break;
      case GRAPH.initializer: {
        const { name, tensor } = decodeTensor(reader.message(TENSOR), readExternal, "initializer");
        if (initializers.has(name)) reader.fail(`there are two initializers "${name}"`);
        initializers.set(name, tensor);
        break;
      }
      case GRAPH.input:
        inputs.push(decodeValueInfo(reader.message(VALUE_INFO)));
        break;
      case GRAPH.output:
        outputs.push(decodeValueInfo(reader.message(VALUE_INFO)));
        break;
      case GRAPH.value_info: {
        const info = decodeValueInfo(reader.message(VALUE_INFO));
        if (info.type !== undefined) valueTypes.set(info.name, info.type);
        if (info.type === undefined || info.unknown !== undefined) {
          otherValues.set(info.name, { ...info, type: undefined });
        }
        break;
      }
      default:
        reader.keep();
    }
  }
  const stated = statedTypes({ inputs, outputs, initializers });
  for (const [name, type] of valueTypes) if (sameType(type, stated.get(name))) valueTypes.delete(name);
  return {
    name,
    inputs,
    outputs,
    nodes,
    initializers,
    valueTypes,
    ...(otherValues.size > 0 ? { otherValues } : {}),
    ...unknownOf(reader),
  };
}

/** The types that a graph states elsewhere than in value_info, which need not repeat them. */
function statedTypes(graph: Pick<Graph, "inputs" | "outputs" | "initializers">): Map<string, ValueType> {
  const types = new Map<string, ValueType>();
  for (const [name, { dtype, dims }] of graph.initializers) types.set(name, { dtype, shape: dims });
  for (const { name, type } of [...graph.inputs, ...graph.outputs])
    if (type !== undefined) types.set(name, type);
  return types;
}

/** Whether two types say the same, so that one of them can go. */
function sameType(type: ValueType, other: ValueType | undefined): boolean {
  return (
    other !== undefined &&
    type.encoded === undefined &&
    type.dtype === other.dtype &&
    type.shape?.length === other.shape?.length &&
    (type.shape ?? []).every((dim, axis) => dim === other.shape?.[axis])
  );
}

function decodeNode(reader: Reader, readExternal: ExternalReader | undefined): Node {
  reader.charge(500);
  const inputs: string[] = [];
  const outputs: string[] = [];
  const attributes = new Map<string, Attribute>();
  let op = "";
  let domain = "";
  let name = "";
  while (reader.next()) {
    switch (reader.field) {
      case NODE.input:
        inputs.push(reader.text());
        break;
      case NODE.output:
        outputs.push(reader.text());
        break;
      case NODE.name:
        name = reader.text();
        break;
      case NODE.op_type:
        op = reader.text();
        break;
      case NODE.domain:
        domain = normalDomain(reader.text());
        break;
      case NODE.attribute: {
        const attribute = decodeAttribute(reader, readExternal);
        if (attributes.has(attribute.name)) {
          reader.fail(`a node has two attributes "${attribute.name}"`);
        }
        attributes.set(attribute.name, attribute.attribute);
        break;
      }
      default:
        reader.keep();
    }
  }
  return { op, domain, name, inputs, outputs, attributes, ...unknownOf(reader) };
}

/** The field that holds the value of an attribute of each type, and the type that this field implies. */
const VALUE_FIELDS = new Map<number, number>([
  [ATTRIBUTE_TYPE.float, ATTRIBUTE.f],
  [ATTRIBUTE_TYPE.int, ATTRIBUTE.i],
  [ATTRIBUTE_TYPE.string, ATTRIBUTE.s],
  [ATTRIBUTE_TYPE.tensor, ATTRIBUTE.t],
  [ATTRIBUTE_TYPE.graph, ATTRIBUTE.g],
  [ATTRIBUTE_TYPE.floats, ATTRIBUTE.floats],
  [ATTRIBUTE_TYPE.ints, ATTRIBUTE.ints],
  [ATTRIBUTE_TYPE.strings, ATTRIBUTE.strings],
]);
const TYPE_OF_FIELD = new Map([...VALUE_FIELDS].map(([type, field]) => [field, type]));
const OPAQUE_FIELDS: ReadonlySet<number> = new Set([
  ATTRIBUTE.tensors,
  ATTRIBUTE.graphs,
  ATTRIBUTE.tp,
  ATTRIBUTE.type_protos,
  ATTRIBUTE.ref_attr_name,
  ATTRIBUTE.sparse_tensor,
  ATTRIBUTE.sparse_tensors,
]);

/** An attribute's name, and its type: 0 if it is one whose value kofn does not read. */
function attributeHeader(reader: Reader): { name: string; type: number } {
  let name = "";
  let type = 0;
  let implied = 0;
  let opaque = false;
  while (reader.next()) {
    const { field } = reader;
    if (field === ATTRIBUTE.name) name = reader.text();
    else if (field === ATTRIBUTE.type) type = reader.int32();
    else if (OPAQUE_FIELDS.has(field)) opaque = true;
    else implied = TYPE_OF_FIELD.get(field) ?? implied;
  }
  if (type < 0 || type > LAST_ATTRIBUTE_TYPE) reader.fail(`attribute "${name}" has the unknown type ${type}`);
  if (type === 0 && !opaque) {
    // Files of IR version 1 don't say the type: the field that is there tells it.
    if (implied === 0) reader.fail(`attribute "${name}" has neither type nor value`);
    return { name, type: implied };
  }
  return { name, type: opaque || !VALUE_FIELDS.has(type) ? 0 : type };
}

function decodeAttribute(
  node: Reader,
  readExternal: ExternalReader | undefined,
): { name: string; attribute: Attribute } {
  const { name, type } = attributeHeader(node.message(ATTRIBUTE));
  const reader = node.message(ATTRIBUTE);
  reader.charge(200);
  if (type === 0) return { name, attribute: { kind: "opaque", value: reader.whole() } };
  const valueField = VALUE_FIELDS.get(type);

  let float = 0;
  let int = 0n;
  let string: Uint8Array = new Uint8Array();
  let tensor: Tensor | undefined;
  let graph: Graph | undefined;
  const floats: number[] = [];
  const ints: bigint[] = [];
  const strings: Uint8Array[] = [];
  while (reader.next()) {
    const { field } = reader;
    if (field === ATTRIBUTE.name || field === ATTRIBUTE.type) continue;
    if (field !== valueField) {
      reader.keep();
      continue;
    }
    switch (field) {
      case ATTRIBUTE.f:
        float = reader.float();
        break;
      case ATTRIBUTE.i:
        int = reader.int64();
        break;
      case ATTRIBUTE.s:
        string = reader.bytes();
        break;
      case ATTRIBUTE.t:
        if (tensor !== undefined) reader.fail(`attribute "${name}" has two tensors where one is expected`);
        tensor = decodeTensor(reader.message(TENSOR), readExternal, `attribute "${name}"`).tensor;
        break;
      case ATTRIBUTE.g:
        if (graph !== undefined) reader.fail(`attribute "${name}" has two graphs where one is expected`);
        graph = decodeGraph(reader.message(GRAPH), readExternal);
        break;
      case ATTRIBUTE.floats:
        reader.floats(floats);
        break;
      case ATTRIBUTE.ints:
        reader.int64s(ints);
        break;
      case ATTRIBUTE.strings:
        reader.charge(100);
        strings.push(reader.bytes());
        break;
    }
  }
  const unknown = unknownOf(reader);
  switch (type) {
    case ATTRIBUTE_TYPE.float:
      return { name, attribute: { kind: "float", value: float, ...unknown } };
    case ATTRIBUTE_TYPE.int:
      return { name, attribute: { kind: "int", value: int, ...unknown } };
    case ATTRIBUTE_TYPE.string:
      return { name, attribute: { kind: "string", value: string, ...unknown } };
    case ATTRIBUTE_TYPE.tensor:
      if (tensor === undefined) return reader.fail(`attribute "${name}" should be a tensor, but has none`);
      return { name, attribute: { kind: "tensor", value: tensor, ...unknown } };
    case ATTRIBUTE_TYPE.graph:
      if (graph === undefined) return reader.fail(`attribute "${name}" should be a graph, but has none`);
      return { name, attribute: { kind: "graph", value: graph, ...unknown } };
    case ATTRIBUTE_TYPE.floats:
      return { name, attribute: { kind: "floats", value: floats, ...unknown } };
    case ATTRIBUTE_TYPE.ints:
      return { name, attribute: { kind: "ints", value: ints, ...unknown } };
    default:
      return { name, attribute: { kind: "strings", value: strings, ...unknown } };
  }
}

/**
 * A tensor and its name. The name of an attribute's tensor means nothing, so there it stays among the unknown fields.
 *
 * @param role what the tensor is, for errors: "initializer" if its name is to be read.
 */
function decodeTensor(
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

const LAST_CODE = Math.max(...Object.values(DATA_TYPES).map((info) => info.code));

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

function decodeValueInfo(reader: Reader): ValueInfo {
  reader.charge(200);
  let name = "";
  let type: ValueType | undefined;
  let otherType: Uint8Array | undefined;
  while (reader.next()) {
    if (reader.field === VALUE_INFO.name) name = reader.text();
    else if (reader.field === VALUE_INFO.type) {
      if (type !== undefined || otherType !== undefined) {
        reader.fail(`value "${name}" has two types where one is expected`);
      }
      type = decodeType(reader.message(TYPE));
      if (type === undefined) otherType = reader.bytes();
    } else reader.keep();
  }
  return { name, type, ...(otherType === undefined ? {} : { otherType }), ...unknownOf(reader) };
}

/** The type of a tensor; undefined for sequences, maps and the like, and for tensors of an undefined element type. */
function decodeType(reader: Reader): ValueType | undefined {
  let dtype: DataType | undefined;
  let shape: Dim[] | undefined;
  let isTensor = false;
  let more = false;
  while (reader.next()) {
    if (reader.field !== TYPE.tensor_type) {
      more = true;
      continue;
    }
    if (isTensor) reader.fail("a value has two types where one is expected");
    isTensor = true;
    const tensor = reader.message(TENSOR_TYPE);
    while (tensor.next()) {
      if (tensor.field === TENSOR_TYPE.elem_type) {
        const code = tensor.int32();
        dtype = dataTypeOfCode(code);
        if (dtype === undefined && code !== 0) {
          tensor.fail(
            `a value has the element type ${code}, which kofn does not know (it knows 1 to ${LAST_CODE})`,
          );
        }
      } else if (tensor.field === TENSOR_TYPE.shape) {
        if (shape !== undefined) tensor.fail("a value has two shapes where one is expected");
        shape = [];
        const reader = tensor.message(SHAPE);
        while (reader.next()) {
          if (reader.field !== SHAPE.dim) {
            more = true;
            continue;
          }
          const { dim, plain } = decodeDim(reader.message(DIMENSION));
          shape.push(dim);
          more ||= !plain;
        }
      } else more = true;
    }
  }
  if (dtype === undefined) return undefined;
  return { dtype, shape, ...(more ? { encoded: reader.whole() } : {}) };
}

/** A dimension, and whether it says all that the file has. A size of -1, which some exporters write, is an unknown one. */
function decodeDim(reader: Reader): { dim: Dim; plain: boolean } {
  reader.charge(16);
  let dim: Dim;
  let plain = true;
  while (reader.next()) {
    if (reader.field === DIMENSION.dim_value) {
      const value = reader.integer();
      if (value < -1) reader.fail(`a value has the negative dimension ${value}`);
      dim = value === -1 ? undefined : value;
      plain = value !== -1;
    } else if (reader.field === DIMENSION.dim_param) {
      const name = reader.text();
      dim = name === "" ? undefined : name;
      plain = name !== "";
    } else plain = false;
  }
  return { dim, plain };
}

/**
 * Encodes a model as chunks that, one after the other, are an ONNX file. Large tensors are chunks of their own and not
 * copied. Tensors that were stored in other files are stored in this one.
 *
 * The same model gives the same bytes.
 *
 * @example
 * for (const chunk of encodeModel(model)) file.write(chunk);
 */
export function encodeModel(model: Model): Uint8Array[] {
  const writer = new Writer();
  writer.integer(MODEL.ir_version, model.irVersion);
  writeText(writer, MODEL.producer_name, model.producerName);
  writeText(writer, MODEL.producer_version, model.producerVersion);
  writer.message(MODEL.graph, (inner) => {
    encodeGraph(inner, model.graph);
  });
  for (const [domain, version] of model.opsets) {
    writer.message(MODEL.opset_import, (inner) => {
      writeText(inner, OPSET_ID.domain, domain);
      inner.integer(OPSET_ID.version, version);
    });
  }
  for (const [key, value] of model.metadata) {
    writer.message(MODEL.metadata_props, (inner) => {
      inner.text(STRING_ENTRY.key, key);
      inner.text(STRING_ENTRY.value, value);
    });
  }
  writeUnknown(writer, model);
  return writer.finish();
}

/**
 * The chunks of {@link encodeModel} in one array.
 *
 * @example
 * const session = await InferenceSession.create(encodeModelBytes(model)); // onnxruntime
 */
export function encodeModelBytes(model: Model): Uint8Array {
  return joinChunks(encodeModel(model));
}

function writeText(writer: Writer, field: number, value: string): void {
  if (value !== "") writer.text(field, value);
}

function writeUnknown(writer: Writer, message: { readonly unknown?: Uint8Array }): void {
  if (message.unknown !== undefined) writer.raw(message.unknown);
}

function encodeGraph(writer: Writer, graph: Graph): void {
  for (const node of graph.nodes) {
    writer.message(GRAPH.node, (inner) => {
      encodeNode(inner, node);
    });
  }
  writeText(writer, GRAPH.name, graph.name);
  for (const [name, tensor] of graph.initializers) {
    writer.message(GRAPH.initializer, (inner) => {
      encodeTensor(inner, tensor, name);
    });
  }
  for (const input of graph.inputs) encodeValueInfo(writer, GRAPH.input, input);
  for (const output of graph.outputs) encodeValueInfo(writer, GRAPH.output, output);
  const stated = statedTypes(graph);
  const inner = new Map([...graph.valueTypes].filter(([name, type]) => !sameType(type, stated.get(name))));
  for (const [name, type] of inner) {
    encodeValueInfo(writer, GRAPH.value_info, { ...graph.otherValues?.get(name), name, type });
  }
  for (const [name, info] of graph.otherValues ?? []) {
    if (!inner.has(name)) encodeValueInfo(writer, GRAPH.value_info, info);
  }
  writeUnknown(writer, graph);
}

function encodeNode(writer: Writer, node: Node): void {
  for (const input of node.inputs) writer.text(NODE.input, input);
  for (const output of node.outputs) writer.text(NODE.output, output);
  writeText(writer, NODE.name, node.name);
  writeText(writer, NODE.op_type, node.op);
  for (const [name, attribute] of node.attributes) {
    writer.message(NODE.attribute, (inner) => {
      encodeAttribute(inner, name, attribute);
    });
  }
  writeText(writer, NODE.domain, node.domain);
  writeUnknown(writer, node);
}

function encodeAttribute(writer: Writer, name: string, attribute: Attribute): void {
  if (attribute.kind === "opaque") {
    writer.raw(attribute.value);
    return;
  }
  writer.text(ATTRIBUTE.name, name);
  switch (attribute.kind) {
    case "float":
      writer.float(ATTRIBUTE.f, attribute.value);
      break;
    case "int":
      writer.integer(ATTRIBUTE.i, attribute.value);
      break;
    case "string":
      writer.bytes(ATTRIBUTE.s, attribute.value);
      break;
    case "tensor":
      writer.message(ATTRIBUTE.t, (inner) => {
        encodeTensor(inner, attribute.value, "");
      });
      break;
    case "graph":
      writer.message(ATTRIBUTE.g, (inner) => {
        encodeGraph(inner, attribute.value);
      });
      break;
    case "floats":
      for (const value of attribute.value) writer.float(ATTRIBUTE.floats, value);
      break;
    case "ints":
      for (const value of attribute.value) writer.integer(ATTRIBUTE.ints, value);
      break;
    case "strings":
      for (const value of attribute.value) writer.bytes(ATTRIBUTE.strings, value);
      break;
  }
  writer.integer(ATTRIBUTE.type, ATTRIBUTE_TYPE[attribute.kind]);
  writeUnknown(writer, attribute);
}

function encodeTensor(writer: Writer, tensor: Tensor, name: string): void {
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

function encodeValueInfo(writer: Writer, field: number, info: ValueInfo): void {
  writer.message(field, (inner) => {
    inner.text(VALUE_INFO.name, info.name);
    const { type, otherType } = info;
    if (type === undefined) {
      if (otherType !== undefined) inner.bytes(VALUE_INFO.type, otherType);
    } else {
      inner.message(VALUE_INFO.type, (inner) => {
        encodeType(inner, type);
      });
    }
    writeUnknown(inner, info);
  });
}

function encodeType(writer: Writer, type: ValueType): void {
  if (type.encoded !== undefined && agrees(type.encoded, type)) {
    writer.raw(type.encoded);
    return;
  }
  writer.message(TYPE.tensor_type, (tensor) => {
    tensor.integer(TENSOR_TYPE.elem_type, DATA_TYPES[type.dtype].code);
    const { shape } = type;
    if (shape === undefined) return;
    tensor.message(TENSOR_TYPE.shape, (inner) => {
      for (const dim of shape) {
        inner.message(SHAPE.dim, (inner) => {
          if (typeof dim === "number") inner.integer(DIMENSION.dim_value, dim);
          else if (dim !== undefined) inner.text(DIMENSION.dim_param, dim);
        });
      }
    });
  });
}

/** Whether an encoded type says what `type` says, which may have been copied from it with another shape. */
function agrees(encoded: Uint8Array, { dtype, shape }: ValueType): boolean {
  return sameType({ dtype, shape }, decodeType(Reader.of(encoded, "a type", TYPE)));
}
