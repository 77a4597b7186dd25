/** A tensor: element type, dimensions and its bytes as ONNX's raw_data stores them (little-endian, row-major). */

import { KofnError } from "../errors.js";
import { ARRAYS, type Arrays, byteLength, type DataType, type HostType, isHostType } from "./dtype.js";

/**
 * A tensor.
 *
 * @example
 * const weight = model.graph.initializers.get("fc1.weight");
 * console.log(weight?.dtype, weight?.dims, weight?.numbers());
 */
export class Tensor<T extends DataType = DataType> {
  readonly dtype: T;
  readonly dims: readonly number[];
  /** The elements as raw_data has them. May lie at any offset of a larger buffer (a file that was read). */
  readonly bytes: Uint8Array;
  /** Fields of the file's TensorProto that kofn does not read; among them the elements of a string tensor. */
  readonly unknown?: Uint8Array;

  /**
   * @throws KofnError if `bytes` is not as long as `dims` and `dtype` demand.
   */
  constructor(dtype: T, dims: readonly number[], bytes: Uint8Array, unknown?: Uint8Array) {
    const expected = byteLength(dtype, sizeOf(dims));
    if (bytes.byteLength !== expected) {
      throw new KofnError(
        `a ${dtype} tensor of shape [${dims.join(", ")}] takes ${expected} bytes, got ${bytes.byteLength}`,
      );
    }
    this.dtype = dtype;
    this.dims = dims;
    this.bytes = bytes;
    if (unknown !== undefined) this.unknown = unknown;
  }

  /** Number of elements. */
  get size(): number {
    return sizeOf(this.dims);
  }

  /**
   * The elements as a typed array. Shares memory with `bytes` where their offset allows, else it is a copy.
   *
   * @throws KofnError for types without a typed array (float16, int4, string, ...).
   */
  array(): T extends HostType ? Arrays[T] : never {
    if (!isHostType(this.dtype)) throw new KofnError(`kofn can't compute with ${this.dtype} tensors`);
    const constructor = ARRAYS[this.dtype];
    const aligned = this.bytes.byteOffset % constructor.BYTES_PER_ELEMENT === 0;
    const { buffer, byteOffset } = aligned ? this.bytes : this.bytes.slice();
    return new constructor(buffer as ArrayBuffer, byteOffset, this.size) as T extends HostType
      ? Arrays[T]
      : never;
  }

  /** The elements as plain numbers: for shapes, axes and other small tensors. */
  numbers(): number[] {
    const values: ArrayLike<number | bigint> = (this as Tensor<HostType>).array();
    return Array.from(values, Number);
  }

  reshaped(dims: readonly number[]): Tensor<T> {
    return new Tensor(this.dtype, dims, this.bytes);
  }
}

/**
 * A tensor over a typed array, without copying it.
 *
 * @example
 * tensor("float32", [2, 3], new Float32Array(6));
 */
export function tensor<T extends HostType>(dtype: T, dims: readonly number[], array: Arrays[T]): Tensor<T> {
  return new Tensor(dtype, dims, new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
}

/**
 * A tensor from plain numbers, converted to `dtype`.
 *
 * @example
 * tensorFrom("int64", [2], [-1, 784]);
 */
export function tensorFrom<T extends HostType>(
  dtype: T,
  dims: readonly number[],
  values: ArrayLike<number | bigint>,
): Tensor<T> {
  if (dtype === "int64") return tensor(dtype, dims, BigInt64Array.from(values, toBigInt) as Arrays[T]);
  if (dtype === "uint64") return tensor(dtype, dims, BigUint64Array.from(values, toBigInt) as Arrays[T]);
  const array = new ARRAYS[dtype](values.length);
  for (let i = 0; i < values.length; i++) array[i] = Number(values[i]);
  return tensor(dtype, dims, array as Arrays[T]);
}

function toBigInt(value: number | bigint): bigint {
  return typeof value === "bigint" ? value : BigInt(Math.trunc(value));
}

/** Number of elements of a shape; 1 for a scalar. */
export function sizeOf(dims: readonly number[]): number {
  let size = 1;
  for (const dim of dims) size *= dim;
  return size;
}
