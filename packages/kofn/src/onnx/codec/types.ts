/** Reads and writes the names and types of values: ValueInfoProto, TypeProto. */

import { DATA_TYPES, dataTypeOfCode, type DataType } from "../dtype.js";
import type { Dim, Graph, ValueInfo, ValueType } from "../model.js";
import { Reader, type Writer } from "../protobuf.js";
import { DIMENSION, SHAPE, TENSOR_TYPE, TYPE, VALUE_INFO } from "../schema.js";
import { LAST_CODE, unknownOf, writeUnknown } from "./common.js";

/** The types that a graph states elsewhere than in value_info, which need not repeat them. */
export function statedTypes(
  graph: Pick<Graph, "inputs" | "outputs" | "initializers">,
): Map<string, ValueType> {
  const types = new Map<string, ValueType>();
  for (const [name, { dtype, dims }] of graph.initializers) types.set(name, { dtype, shape: dims });
  for (const { name, type } of [...graph.inputs, ...graph.outputs])
    if (type !== undefined) types.set(name, type);
  return types;
}

/** Whether two types say the same, so that one of them can go. */
export function sameType(type: ValueType, other: ValueType | undefined): boolean {
  return (
    other !== undefined &&
    type.encoded === undefined &&
    type.dtype === other.dtype &&
    type.shape?.length === other.shape?.length &&
    (type.shape ?? []).every((dim, axis) => dim === other.shape?.[axis])
  );
}

export function decodeValueInfo(reader: Reader): ValueInfo {
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

export function encodeValueInfo(writer: Writer, field: number, info: ValueInfo): void {
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
