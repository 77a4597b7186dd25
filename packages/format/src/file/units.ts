/**
 * How the units of a mask lie in a weight. In the matrix [out, fan-in] of a weight, a unit is `span` consecutive weights of a row, and
 * `share` consecutive rows have one mask. Units are numbered row by row, and n consecutive ones are a group.
 */

import type { Granularity } from "../run/words.js";

/** The dimensions of a weight as it is stored: [out, in, ...kernel], or [in, out] if it is transposed. */
export interface StoredDims {
  readonly dims: readonly number[];
  readonly transposed: boolean;
}

/** A weight's dimensions as [Cout, Cin / group, K], K being the product of the kernel's dimensions (1 for a matrix). */
export function canonicalDims({
  dims,
  transposed,
}: StoredDims): [out: number, inputs: number, kernel: number] {
  const [first, second, ...kernel] = dims;
  return transposed ? [second, first, 1] : [first, second, sizeOf(kernel)];
}

function sizeOf(dims: readonly number[]): number {
  return dims.reduce((size, dim) => size * dim, 1);
}

/** A weight as the matrix [out, fan-in]. */
export interface WeightMatrix {
  readonly rows: number;
  readonly fanIn: number;
  /** Steps in the weight as it is stored: from a row to the next, and from a weight of a row to the next. */
  readonly down: number;
  readonly right: number;
}

export function weightMatrix(weight: StoredDims): WeightMatrix {
  const rows = weight.dims[weight.transposed ? 1 : 0];
  const fanIn = sizeOf(weight.dims) / rows;
  return weight.transposed ? { rows, fanIn, down: 1, right: rows } : { rows, fanIn, down: fanIn, right: 1 };
}

/** How many consecutive weights of a row a unit is. */
export function spanOf(granularity: Granularity, weight: StoredDims): number {
  const [, inputs, kernel] = canonicalDims(weight);
  const spans: Readonly<Record<Granularity, number>> = { weights: 1, kernels: kernel, maps: inputs * kernel };
  return spans[granularity];
}

export interface UnitLayout {
  /** Whether the weight is stored [in, out] instead of [out, in, ...kernel]. */
  readonly transposed: boolean;
  readonly span: number;
  readonly share: number;
  /** Units of a group. */
  readonly n: number;
  /** For each row its first unit, where rows do not have them in order: maps of layers that share one mask. */
  readonly unitOfRow?: Int32Array | undefined;
}

/** Which units of a weight are kept. */
export interface Mask {
  readonly layout: UnitLayout;
  /** 1 for each unit that is kept, else 0; row by row. */
  readonly units: Uint8Array;
}

/** A mask as it is packed: rows have their units in order. */
export interface PackedMask extends Mask {
  /** Of each group, how many units are kept. */
  readonly counts: Uint32Array;
}

/** The matrix of a weight that a layout sees. */
export interface UnitMatrix extends WeightMatrix {
  /** Units in a row. */
  readonly columns: number;
  /** Units of the whole mask. */
  readonly units: number;
  readonly groups: number;
}

/** The matrix of units, or undefined if the layout does not fit the dimensions. */
export function unitMatrix(layout: UnitLayout, dims: readonly number[]): UnitMatrix | undefined {
  const { transposed, span, share, n } = layout;
  if (dims.length < 2 || (transposed && dims.length !== 2)) return undefined;
  const matrix = weightMatrix({ dims, transposed });
  const columns = matrix.fanIn / span;
  const blocks = matrix.rows / share;
  const units = blocks * columns;
  const groups = units / n;
  const fits = [columns, blocks, groups].every((count) => Number.isInteger(count) && count > 0);
  return fits ? { ...matrix, columns, units, groups } : undefined;
}

/** How units lie in a weight of certain dimensions. */
export type UnitShape = StoredDims & Pick<UnitLayout, "span" | "share" | "unitOfRow">;

/**
 * Calls `visit` for each unit of each row, row by row: with the row, the column of the unit's first weight, and the unit's number.
 *
 * @example
 * // Conv [2, 2, 3, 3] by kernels: visit(0, 0, 0), visit(0, 9, 1), visit(1, 0, 2), visit(1, 9, 3)
 * forEachUnit({ dims: [2, 2, 3, 3], transposed: false, span: 9, share: 1 }, visit);
 */
export function forEachUnit(
  shape: UnitShape,
  visit: (row: number, column: number, unit: number) => void,
): void {
  const { span, share, unitOfRow } = shape;
  const { rows, fanIn } = weightMatrix(shape);
  for (let row = 0; row < rows; row++) {
    let unit = unitOfRow?.[row] ?? Math.floor(row / share) * (fanIn / span);
    for (let column = 0; column < fanIn; column += span) visit(row, column, unit++);
  }
}

/** Calls `visit` for each weight, row by row: with its index in the weight as it is stored, and its unit's number. */
export function forEachWeight(shape: UnitShape, visit: (index: number, unit: number) => void): void {
  const { down, right } = weightMatrix(shape);
  const { span } = shape;
  forEachUnit(shape, (row, column, unit) => {
    const first = row * down + column * right;
    for (let i = 0; i < span; i++) visit(first + i * right, unit);
  });
}

/** The weights that a mask keeps, row by row: their indices in the weight as it is stored. */
export function keptIndices({ layout, units, counts }: PackedMask, dims: readonly number[]): Uint32Array {
  const kept = counts.reduce((sum, count) => sum + count, 0) * layout.span * layout.share;
  const indices = new Uint32Array(kept);
  let at = 0;
  forEachWeight({ ...layout, dims }, (index, unit) => {
    if (units[unit] === 1) indices[at++] = index;
  });
  return indices;
}

type Numbers = Uint32Array | Uint16Array | Uint8Array | Int8Array;

/** The elements at some indices. */
export function gather<T extends Numbers>(values: T, indices: Uint32Array): T {
  const gathered = new (values.constructor as new (length: number) => T)(indices.length);
  for (let i = 0; i < indices.length; i++) gathered[i] = values[indices[i]];
  return gathered;
}

/** An array of so many elements that has the values at the indices, and 0 elsewhere. */
export function scatter<T extends Numbers>(values: T, indices: Uint32Array, size: number): T {
  const whole = new (values.constructor as new (length: number) => T)(size);
  for (let i = 0; i < indices.length; i++) whole[indices[i]] = values[i];
  return whole;
}

/** 0 or 1 for each weight as it is stored. */
export function weightMask({ layout, units }: Mask, dims: readonly number[]): Uint8Array {
  const weights = new Uint8Array(sizeOf(dims));
  forEachWeight({ ...layout, dims }, (index, unit) => {
    weights[index] = units[unit];
  });
  return weights;
}

/**
 * A mask of weights as one of units, to be packed.
 *
 * @param weights 0 or 1 for each weight as it is stored.
 * @returns undefined if the layout does not fit, or a unit is kept in part.
 */
export function packedMask(
  weights: Uint8Array,
  dims: readonly number[],
  layout: UnitLayout,
): PackedMask | undefined {
  const matrix = unitMatrix(layout, dims);
  if (matrix === undefined) return undefined;
  const units = new Uint8Array(matrix.units);
  forEachWeight({ ...layout, dims }, (index, unit) => {
    units[unit] = weights[index];
  });
  const mask = { layout, units, counts: countsOf(units, matrix.groups) };
  return isSame(weightMask(mask, dims), weights) ? mask : undefined;
}

/** How many units of each group are kept. */
export function countsOf(units: Uint8Array, groups: number): Uint32Array {
  const n = units.length / groups;
  const counts = new Uint32Array(groups);
  for (let group = 0, at = 0; group < groups; group++) {
    let count = 0;
    for (const end = at + n; at < end; at++) count += units[at];
    counts[group] = count;
  }
  return counts;
}

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((value, i) => value === other[i]);
}
