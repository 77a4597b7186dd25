/** Field numbers of the ONNX messages (onnx.proto, IR version 13), as far as kofn reads them, by their names there. */

/** A message's fields: name -> field number. */
export type FieldTable = Readonly<Record<string, number>>;

export const MODEL = {
  ir_version: 1,
  producer_name: 2,
  producer_version: 3,
  graph: 7,
  opset_import: 8,
  metadata_props: 14,
} as const satisfies FieldTable;

export const OPSET_ID = { domain: 1, version: 2 } as const satisfies FieldTable;

export const STRING_ENTRY = { key: 1, value: 2 } as const satisfies FieldTable;

export const GRAPH = {
  node: 1,
  name: 2,
  initializer: 5,
  input: 11,
  output: 12,
  value_info: 13,
} as const satisfies FieldTable;

export const NODE = {
  input: 1,
  output: 2,
  name: 3,
  op_type: 4,
  attribute: 5,
  domain: 7,
} as const satisfies FieldTable;

export const ATTRIBUTE = {
  name: 1,
  f: 2,
  i: 3,
  s: 4,
  t: 5,
  g: 6,
  floats: 7,
  ints: 8,
  strings: 9,
  tensors: 10,
  graphs: 11,
  tp: 14,
  type_protos: 15,
  type: 20,
  ref_attr_name: 21,
  sparse_tensor: 22,
  sparse_tensors: 23,
} as const satisfies FieldTable;

/** AttributeProto.AttributeType of the attributes that kofn reads. */
export const ATTRIBUTE_TYPE = {
  float: 1,
  int: 2,
  string: 3,
  tensor: 4,
  graph: 5,
  floats: 6,
  ints: 7,
  strings: 8,
} as const;

/** The largest AttributeProto.AttributeType (TYPE_PROTOS). */
export const LAST_ATTRIBUTE_TYPE = 14;

export const TENSOR = {
  dims: 1,
  data_type: 2,
  float_data: 4,
  int32_data: 5,
  string_data: 6,
  int64_data: 7,
  name: 8,
  raw_data: 9,
  double_data: 10,
  uint64_data: 11,
  external_data: 13,
  data_location: 14,
} as const satisfies FieldTable;

/** TensorProto.DataLocation.EXTERNAL */
export const EXTERNAL = 1;

export const VALUE_INFO = { name: 1, type: 2 } as const satisfies FieldTable;

export const TYPE = { tensor_type: 1 } as const satisfies FieldTable;

export const TENSOR_TYPE = { elem_type: 1, shape: 2 } as const satisfies FieldTable;

export const SHAPE = { dim: 1 } as const satisfies FieldTable;

export const DIMENSION = { dim_value: 1, dim_param: 2 } as const satisfies FieldTable;
