/** Reads and writes graphs, nodes and attributes: GraphProto, NodeProto, AttributeProto. */

import type { Attribute, Graph, Node, ValueInfo, ValueType } from "../model.js";
import type { Reader, Writer } from "../protobuf.js";
import {
  ATTRIBUTE,
  ATTRIBUTE_TYPE,
  GRAPH,
  LAST_ATTRIBUTE_TYPE,
  NODE,
  TENSOR,
  VALUE_INFO,
} from "../schema.js";
import type { Tensor } from "../tensor.js";
import { unknownOf, normalDomain, writeText, writeUnknown } from "./common.js";
import { type ExternalReader, decodeTensor, encodeTensor } from "./tensor.js";
import { statedTypes, sameType, decodeValueInfo, encodeValueInfo } from "./types.js";

export function decodeGraph(reader: Reader, readExternal: ExternalReader | undefined): Graph {
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

export function encodeGraph(writer: Writer, graph: Graph): void {
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
