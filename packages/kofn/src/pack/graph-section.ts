/** The section of a .kofn file with the graph: strings, model, tensors, inputs and outputs, nodes, quantized activations. */

import { ATTRIBUTE_KINDS, IS_RESULT, RANKS, SAME_TYPE } from "@kofn/format/file/fields.js";
import { ACTIVATION_FORMATS } from "@kofn/format/run/words.js";
import { InputError } from "../errors.js";
import { byteLength, DATA_TYPES, dataTypeOfCode } from "../onnx/dtype.js";
import type { Attribute, Dim, Graph, Model, Node, ValueInfo, ValueType } from "../onnx/model.js";
import type { OnnxOp } from "../onnx/ops.js";
import { sizeOf, Tensor } from "../onnx/tensor.js";
import type { QuantizedActivation } from "../quantize/types.js";
import type { ByteReader, ByteWriter } from "./bytes.js";
import { ATTRIBUTE_CODES, attributeOf, OP_CODES, opOf } from "./op-codes.js";
import type { StringReader, StringTable } from "./strings.js";

/** Writes what describes the model as a whole. */
export function writeModel(writer: ByteWriter, strings: StringTable, model: Model): void {
  const { graph, irVersion, producerName, producerVersion, opsets } = model;
  writer.uint(strings.number(graph.name));
  writer.uint(irVersion);
  writer.uint(strings.number(producerName));
  writer.uint(strings.number(producerVersion));
  writer.list([...opsets], ([domain, version]) => {
    writer.uint(strings.number(domain));
    writer.uint(version);
  });
}

/** Undoes {@link writeModel}; the graph has a name alone. */
export function readModel(reader: ByteReader, strings: StringReader): Model {
  const name = strings.name();
  const irVersion = reader.uint();
  const producerName = strings.name();
  const producerVersion = strings.name();
  const opsets = new Map(reader.list(() => [strings.name(), reader.uint()] as const));
  const graph: Graph = {
    name,
    inputs: [],
    outputs: [],
    nodes: [],
    initializers: new Map(),
    valueTypes: new Map(),
  };
  return { irVersion, producerName, producerVersion, opsets, graph, metadata: new Map() };
}

/**
 * Writes inputs, outputs and nodes.
 *
 * @param types of the outputs of nodes, as far as they are known.
 * @throws InputError for attributes that a .kofn file can't hold.
 */
export function writeNodes(
  writer: ByteWriter,
  strings: StringTable,
  graph: Graph,
  types: ReadonlyMap<string, ValueType>,
): void {
  const value = ({ name, type }: Pick<ValueInfo, "name" | "type">): void => {
    writer.uint(strings.number(name));
    writeType(writer, strings, type);
  };
  writer.list(graph.inputs, value);
  writer.list(graph.outputs, value);
  writer.list(graph.nodes, (node) => {
    const code = node.domain === "" ? OP_CODES[node.op as OnnxOp] : 0;
    writer.uint(code);
    if (code === 0) {
      writer.uint(strings.number(node.domain));
      writer.uint(strings.number(node.op));
    }
    writer.uint(strings.number(node.name));
    writer.list(node.inputs, (name) => {
      writer.uint(strings.number(name));
    });
    writer.list(node.outputs, (name) => {
      if (isSameType(types.get(node.inputs[0]), types.get(name))) {
        writer.uint(strings.number(name));
        writer.uint(SAME_TYPE);
      } else {
        value({ name, type: types.get(name) });
      }
    });
    writer.list([...node.attributes], ([name, attribute]) => {
      const number = ATTRIBUTE_CODES.get(name) ?? 0;
      writer.uint(number);
      if (number === 0) writer.uint(strings.number(name));
      writeAttribute(writer, attribute, `attribute "${name}" of node "${node.name}"`);
    });
  });
}

/** Undoes {@link writeNodes}: fills the graph, and returns the types of its inputs and of the outputs of nodes. */
export function readNodes(reader: ByteReader, strings: StringReader, graph: Graph): Map<string, ValueType> {
  const types = new Map<string, ValueType>();
  const value = (): ValueInfo => ({ name: strings.name(), type: readType(reader, strings) });
  graph.inputs = reader.list(value);
  graph.outputs = reader.list(value);
  for (const { name, type } of graph.inputs) if (type !== undefined) types.set(name, type);
  graph.nodes = reader.list((): Node => {
    const code = reader.uint();
    const domain = code === 0 ? strings.name() : "";
    const op = code === 0 ? strings.name() : opOf(code);
    if (op === undefined) return reader.fail(`an operator of number ${code}, which this kofn does not know`);
    const name = strings.name();
    const inputs = reader.list(() => strings.name());
    const first = types.get(inputs[0] ?? "");
    const outputs = reader.list(() => {
      const output = strings.name();
      const type = readType(reader, strings, first);
      if (type !== undefined) types.set(output, type);
      return output;
    });
    const attributes = new Map(
      reader.list((): readonly [string, Attribute] => {
        const number = reader.uint();
        const known = number === 0 ? strings.name() : attributeOf(number);
        if (known === undefined)
          return reader.fail(`an attribute of number ${number}, which this kofn does not know`);
        return [known, readAttribute(reader)];
      }),
    );
    return { op, domain, name, inputs, outputs, attributes };
  });
  return types;
}

export function writeActivations(
  writer: ByteWriter,
  strings: StringTable,
  activations: readonly QuantizedActivation[],
): void {
  writer.list(activations, ({ tensor, layer, result, format, scale, zeroPoint }) => {
    writer.uint(strings.number(tensor));
    writer.uint(strings.number(layer));
    writer.uint(ACTIVATION_FORMATS.indexOf(format) + (result === true ? IS_RESULT : 0));
    writer.f64(scale);
    writer.f64(zeroPoint);
  });
}

export function readActivations(reader: ByteReader, strings: StringReader): QuantizedActivation[] {
  return reader.list(() => {
    const tensor = strings.name();
    const layer = strings.name();
    const number = reader.below(2 * IS_RESULT, "the format of an activation");
    const format = ACTIVATION_FORMATS.at(number % IS_RESULT);
    if (format === undefined) return reader.fail(`unknown format ${number} of an activation`);
    const [scale, zeroPoint] = [reader.f64(), reader.f64()];
    if (!(scale > 0 && scale < Infinity) || !Number.isFinite(zeroPoint)) {
      return reader.fail(`scale ${scale} and zero point ${zeroPoint} of activation "${tensor}"`);
    }
    return { tensor, layer, ...(number >= IS_RESULT ? { result: true } : {}), format, scale, zeroPoint };
  });
}

/** Writes element type and dimensions. */
export function writeShape(writer: ByteWriter, { dtype, dims }: Pick<Tensor, "dtype" | "dims">): void {
  writer.uint(DATA_TYPES[dtype].code + RANKS * dims.length);
  for (const dim of dims) writer.uint(dim);
}

/** Reads what {@link writeShape} has written. */
export function readShape(reader: ByteReader): Pick<Tensor, "dtype" | "dims"> {
  const number = reader.uint();
  const dtype = dataTypeOfCode(number % RANKS);
  const rank = Math.floor(number / RANKS);
  if (dtype === undefined || dtype === "string" || rank > reader.left) {
    return reader.fail(`a tensor of type ${number % RANKS} with ${rank} dimensions`);
  }
  const dims = Array.from({ length: rank }, () => reader.below(2 ** 31, "a dimension"));
  if (!Number.isSafeInteger(sizeOf(dims))) reader.fail(`a tensor of [${dims.join(", ")}]`);
  return { dtype, dims };
}

/** Reads the elements of a tensor as raw_data has them. */
export function readRaw(reader: ByteReader, { dtype, dims }: Pick<Tensor, "dtype" | "dims">): Tensor {
  // A copy, so that the tensor does not keep the whole file in memory, and its elements are aligned.
  return new Tensor(dtype, dims, reader.bytes(byteLength(dtype, sizeOf(dims))).slice());
}

function writeType(writer: ByteWriter, strings: StringTable, type: ValueType | undefined): void {
  if (type === undefined) {
    writer.uint(0);
    return;
  }
  const { dtype, shape } = type;
  writer.uint(DATA_TYPES[dtype].code + (shape === undefined ? 0 : RANKS * (shape.length + 1)));
  for (const dim of shape ?? []) {
    writer.uint(typeof dim === "number" ? 2 * dim : 2 * strings.number(dim ?? "") + 1);
  }
}

/** @param same what stands for the type of a node's first input. */
function readType(reader: ByteReader, strings: StringReader, same?: ValueType): ValueType | undefined {
  const number = reader.uint();
  if (number === 0) return undefined;
  if (number === SAME_TYPE) return same ?? reader.fail("the type of a first input, which is not known");
  const dtype = dataTypeOfCode(number % RANKS);
  if (dtype === undefined) return reader.fail(`unknown element type ${number % RANKS}`);
  const rank = Math.floor(number / RANKS) - 1;
  if (rank < 0) return { dtype, shape: undefined };
  if (rank > reader.left) reader.fail(`a shape of ${rank} dimensions`);
  const shape = Array.from({ length: rank }, (): Dim => {
    const dim = reader.uint();
    if (dim % 2 === 0) return dim / 2;
    const symbol = strings.at((dim - 1) / 2);
    return symbol === "" ? undefined : symbol;
  });
  return { dtype, shape };
}

function isSameType(one: ValueType | undefined, other: ValueType | undefined): boolean {
  if (one?.shape === undefined || other?.shape === undefined || one.dtype !== other.dtype) return false;
  const { shape } = other;
  return (
    one.shape.length === shape.length && one.shape.every((dim, i) => dim !== undefined && dim === shape[i])
  );
}

function writeAttribute(writer: ByteWriter, attribute: Attribute, where: string): void {
  const { kind, value } = attribute;
  if (kind === "graph" || kind === "opaque") {
    throw new InputError(
      `${where} is a ${kind === "graph" ? "graph" : "value of another kind"}, which a .kofn file can't hold.`,
    );
  }
  writer.uint(ATTRIBUTE_KINDS.indexOf(kind));
  switch (kind) {
    case "float":
      writer.f32(value);
      break;
    case "int":
      writer.int(value);
      break;
    case "string":
      writer.blob(value);
      break;
    case "tensor":
      if (value.dtype === "string") {
        throw new InputError(`${where} is a tensor of strings, which a .kofn file can't hold.`);
      }
      writeShape(writer, value);
      writer.bytes(value.bytes);
      break;
    case "floats":
      writer.list(value, (one) => {
        writer.f32(one);
      });
      break;
    case "ints":
      writer.list(value, (one) => {
        writer.int(one);
      });
      break;
    case "strings":
      writer.list(value, (one) => {
        writer.blob(one);
      });
      break;
  }
}

function readAttribute(reader: ByteReader): Attribute {
  const number = reader.uint();
  const kind = ATTRIBUTE_KINDS.at(number) ?? reader.fail(`unknown kind ${number} of an attribute`);
  switch (kind) {
    case "float":
      return { kind, value: reader.f32() };
    case "int":
      return { kind, value: reader.int() };
    case "string":
      return { kind, value: reader.blob().slice() };
    case "tensor":
      return { kind, value: readRaw(reader, readShape(reader)) };
    case "floats":
      return { kind, value: reader.list(() => reader.f32()) };
    case "ints":
      return { kind, value: reader.list(() => reader.int()) };
    case "strings":
      return { kind, value: reader.list(() => reader.blob().slice()) };
  }
}
