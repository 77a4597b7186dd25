/** ONNX element types: their codes in TensorProto.DataType, sizes, and the JavaScript arrays that hold them. */

interface DataTypeInfo {
  /** Value of TensorProto.DataType. */
  readonly code: number;
  /** Bits of one element in raw_data; 0 for strings, which have no raw form. */
  readonly bits: number;
  /** onnxruntime's name of the type in its JavaScript API, where it has one. */
  readonly ort?: string;
}

export const DATA_TYPES = {
  float32: { code: 1, bits: 32, ort: "float32" },
  uint8: { code: 2, bits: 8, ort: "uint8" },
  int8: { code: 3, bits: 8, ort: "int8" },
  uint16: { code: 4, bits: 16, ort: "uint16" },
  int16: { code: 5, bits: 16, ort: "int16" },
  int32: { code: 6, bits: 32, ort: "int32" },
  int64: { code: 7, bits: 64, ort: "int64" },
  string: { code: 8, bits: 0, ort: "string" },
  bool: { code: 9, bits: 8, ort: "bool" },
  float16: { code: 10, bits: 16, ort: "float16" },
  float64: { code: 11, bits: 64, ort: "float64" },
  uint32: { code: 12, bits: 32, ort: "uint32" },
  uint64: { code: 13, bits: 64, ort: "uint64" },
  complex64: { code: 14, bits: 64 },
  complex128: { code: 15, bits: 128 },
  bfloat16: { code: 16, bits: 16 },
  float8e4m3fn: { code: 17, bits: 8 },
  float8e4m3fnuz: { code: 18, bits: 8 },
  float8e5m2: { code: 19, bits: 8 },
  float8e5m2fnuz: { code: 20, bits: 8 },
  uint4: { code: 21, bits: 4, ort: "uint4" },
  int4: { code: 22, bits: 4, ort: "int4" },
  float4e2m1: { code: 23, bits: 4 },
  float8e8m0: { code: 24, bits: 8 },
  uint2: { code: 25, bits: 2 },
  int2: { code: 26, bits: 2 },
} as const satisfies Record<string, DataTypeInfo>;

/** The name of an ONNX element type. */
export type DataType = keyof typeof DATA_TYPES;

const BY_CODE = new Map<number, DataType>(
  Object.entries(DATA_TYPES).map(([name, info]) => [info.code, name as DataType]),
);

/** The type with this TensorProto.DataType code, or undefined if kofn does not know the code. */
export function dataTypeOfCode(code: number): DataType | undefined {
  return BY_CODE.get(code);
}

/** Bytes that `count` elements of a type take in raw_data. */
export function byteLength(dtype: DataType, count: number): number {
  return Math.ceil((DATA_TYPES[dtype].bits * count) / 8);
}

/** The types that kofn computes with on the host, each with its typed array. */
export interface Arrays {
  float32: Float32Array;
  float64: Float64Array;
  int8: Int8Array;
  uint8: Uint8Array;
  int16: Int16Array;
  uint16: Uint16Array;
  int32: Int32Array;
  uint32: Uint32Array;
  int64: BigInt64Array;
  uint64: BigUint64Array;
  bool: Uint8Array;
}
/** An element type that kofn computes with on the host. */
export type HostType = keyof Arrays;

export const ARRAYS = {
  float32: Float32Array,
  float64: Float64Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
} as const;

export function isHostType(dtype: DataType): dtype is HostType {
  return dtype in ARRAYS;
}
