/** What the reference evaluator's rules share: reading and making tensors, index arithmetic, and number systems. */

import { KofnError } from "../../errors.js";
import { ARRAYS, type Arrays, type DataType, type HostType, isHostType } from "../dtype.js";
import { describeNode } from "../infer/support.js";
import type { Node } from "../model.js";
import { type Tensor, tensor, tensorFrom } from "../tensor.js";

/** Element type and shape of an output whose dimensions are all known. */
export interface OutputType {
  readonly dtype: DataType;
  readonly dims: readonly number[];
}

/** A node with the values of its inputs and the types of its outputs. */
export interface EvaluateContext {
  readonly node: Node;
  /** undefined for an input that is left out. */
  readonly inputs: readonly (Tensor | undefined)[];
  readonly outputs: readonly OutputType[];
}

/** Computes a node's outputs. A rule may give more than the node asks for. */
export type EvaluateRule = (context: EvaluateContext) => readonly Tensor[];

/** An element: a bigint for 64-bit integers, else a number. */
export type Scalar = number | bigint;
/** A typed array of any type, or an array of numbers. */
export type Scalars = Record<number, Scalar> & { readonly length: number };
/** A typed array of any type but the 64-bit integers. */
export type Numbers = Exclude<Arrays[HostType], BigInt64Array | BigUint64Array> | number[];

/** The value of an input that the node must have. */
export function inputTensor({ node, inputs }: EvaluateContext, index: number): Tensor {
  const value = inputs[index];
  if (value === undefined) throw new KofnError(`${describeNode(node)}: input ${index} is missing`);
  return value;
}

/** The elements of a tensor. */
export function scalarsOf(value: Tensor): Scalars {
  return (value as Tensor<"float64" | "int64">).array();
}

/** The elements of a tensor as numbers; 64-bit integers are converted. */
export function numbersOf(value: Tensor): Numbers {
  return isWide(value.dtype) ? value.numbers() : (value as Tensor<"float64">).array();
}

/** Whether elements of the type are bigints. */
export function isWide(dtype: DataType): dtype is "int64" | "uint64" {
  return dtype === "int64" || dtype === "uint64";
}

/** Zeros of an element type. */
export function zeros(dtype: DataType, size: number): Scalars {
  if (!isHostType(dtype)) throw new KofnError(`kofn can't compute with ${dtype} tensors`);
  return new ARRAYS[dtype](size);
}

/** Zeros in which to accumulate elements of a type: double precision, or 64-bit integers. */
export function accumulator(dtype: DataType, size: number): Scalars {
  return isWide(dtype) ? zeros(dtype, size) : new Float64Array(size);
}

/** A tensor of the output's type, rounding the values where they are more precise; takes the array as its own. */
export function outputTensor({ dtype, dims }: OutputType, values: Scalars): Tensor {
  if (!isHostType(dtype)) throw new KofnError(`kofn can't compute with ${dtype} tensors`);
  if (values instanceof ARRAYS[dtype]) return tensor(dtype, dims, values);
  return tensorFrom(dtype, dims, values);
}

/** Distance between neighbours along each axis of a row-major tensor. */
export function stridesOf(dims: readonly number[]): number[] {
  const strides = new Array<number>(dims.length);
  let stride = 1;
  for (let axis = dims.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= dims[axis];
  }
  return strides;
}

/** 0, stride, 2 stride, ...: `count` offsets. */
export function steps(count: number, stride: number, first = 0): Int32Array {
  return Int32Array.from({ length: count }, (_, i) => first + i * stride);
}

/**
 * For each element of a tensor, in row-major order, the sum of one offset per axis; -1 where an axis says -1.
 *
 * @param offsets for each axis, an offset per coordinate.
 */
export function indexMap(offsets: readonly Int32Array[]): Int32Array {
  let map = new Int32Array(1);
  for (const axis of offsets) {
    const next = new Int32Array(map.length * axis.length);
    let at = 0;
    for (const base of map)
      for (const offset of axis) next[at++] = base < 0 || offset < 0 ? -1 : base + offset;
    map = next;
  }
  return map;
}

/** For each element of `dims`, the element of a tensor of shape `from` that broadcasts to it. */
export function broadcastMap(from: readonly number[], dims: readonly number[]): Int32Array {
  const strides = stridesOf(from);
  const lead = dims.length - from.length;
  return indexMap(
    dims.map((size, axis) => steps(size, axis < lead || from[axis - lead] === 1 ? 0 : strides[axis - lead])),
  );
}

export function sameDims(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((dim, axis) => dim === b[axis]);
}

/** The elements of a tensor, repeated as broadcasting to `dims` demands. */
export function broadcastTo(value: Tensor, dims: readonly number[]): Scalars {
  const from = scalarsOf(value);
  if (sameDims(value.dims, dims)) return from;
  return picked(from, value.dtype, broadcastMap(value.dims, dims));
}

/** The elements at `index`; `fill` where it says -1. */
export function picked(from: Scalars, dtype: DataType, index: Int32Array, fill: Scalar = 0): Scalars {
  const to = zeros(dtype, index.length);
  for (let i = 0; i < index.length; i++) to[i] = index[i] < 0 ? fill : from[index[i]];
  return to;
}

/** A tensor seen from one axis: elements lie at (o * length + i) * inner + j. */
export interface AxisView {
  readonly outer: number;
  readonly length: number;
  readonly inner: number;
}

export function axisView(dims: readonly number[], axis: number): AxisView {
  const product = (part: readonly number[]) => part.reduce((size, dim) => size * dim, 1);
  return { outer: product(dims.slice(0, axis)), length: dims[axis], inner: product(dims.slice(axis + 1)) };
}

/** A number system. Operands and results are of one kind: all numbers, or all bigints. */
export interface Arithmetic {
  readonly zero: Scalar;
  readonly one: Scalar;
  readonly add: (a: Scalar, b: Scalar) => Scalar;
  readonly subtract: (a: Scalar, b: Scalar) => Scalar;
  readonly multiply: (a: Scalar, b: Scalar) => Scalar;
  readonly divide: (a: Scalar, b: Scalar) => Scalar;
  readonly maximum: (a: Scalar, b: Scalar) => Scalar;
  readonly minimum: (a: Scalar, b: Scalar) => Scalar;
}

const REAL: Arithmetic = {
  zero: 0,
  one: 1,
  add: (a, b) => (a as number) + (b as number),
  subtract: (a, b) => (a as number) - (b as number),
  multiply: (a, b) => (a as number) * (b as number),
  divide: (a, b) => (a as number) / (b as number),
  maximum: (a, b) => Math.max(a as number, b as number),
  minimum: (a, b) => Math.min(a as number, b as number),
};

const INTEGER: Arithmetic = { ...REAL, divide: (a, b) => Math.trunc((a as number) / (b as number)) };

const WIDE: Arithmetic = {
  zero: 0n,
  one: 1n,
  add: (a, b) => (a as bigint) + (b as bigint),
  subtract: (a, b) => (a as bigint) - (b as bigint),
  multiply: (a, b) => (a as bigint) * (b as bigint),
  divide: (a, b) => (a as bigint) / (b as bigint),
  maximum: (a, b) => (a > b ? a : b),
  minimum: (a, b) => (a < b ? a : b),
};

/** The number system in which elements of a type are computed. */
export function arithmeticOf(dtype: DataType): Arithmetic {
  if (isWide(dtype)) return WIDE;
  return dtype === "float32" || dtype === "float64" ? REAL : INTEGER;
}
