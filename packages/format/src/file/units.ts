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
}

/** A mask of a weight, as it is packed. */
export interface UnitMask {
  readonly layout: UnitLayout;
  /** 1 for each unit that is kept, else 0; row by row. */
  readonly units: Uint8Array;
  /** Of each group, how many units are kept. */
  readonly counts: Uint32Array;
}

/** The matrix of a weight that a layout sees. */
export interface UnitMatrix {
  readonly rows: number;
  readonly fanIn: number;
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
  const [rows, inputs, kernel] = canonicalDims({ dims, transposed });
  const fanIn = inputs * kernel;
  const columns = fanIn / span;
  const units = (rows / share) * columns;
  const groups = units / n;
  const fits = [columns, rows / share, groups].every((count) => Number.isInteger(count) && count > 0);
  return fits ? { rows, fanIn, columns, units, groups } : undefined;
}

/** How a unit lies in a weight of certain dimensions. */
export interface UnitShape extends StoredDims {
  readonly span: number;
  readonly share: number;
  /** For each row its first unit, where rows do not have them in order. */
  readonly unitOfRow?: Int32Array | undefined;
}

/**
 * Calls `visit` for each unit in each row, row by row: with the index of its first weight in the weight as it is stored, the step
 * to its next, and the unit's number.
 *
 * @example
 * // Conv [1, 2, 3, 3] by kernels: visit(0, 1, 0), visit(9, 1, 1)
 * forEachUnit({ dims: [1, 2, 3, 3], transposed: false, span: 9, share: 1 }, visit);
 */
export function forEachUnit(
  { dims, transposed, span, share, unitOfRow }: UnitShape,
  visit: (index: number, stride: number, unit: number) => void,
): void {
  const [rows, inputs, kernel] = canonicalDims({ dims, transposed });
  const fanIn = inputs * kernel;
  const columns = fanIn / span;
  const stride = transposed ? rows : 1;
  for (let row = 0; row < rows; row++) {
    const first = unitOfRow?.[row] ?? Math.floor(row / share) * columns;
    let index = transposed ? row : row * fanIn;
    for (let column = 0; column < columns; column++, index += span * stride)
      visit(index, stride, first + column);
  }
}

/** The weights that a mask keeps, row by row: their indices in the weight as it is stored. */
export function keptIndices({ layout, units, counts }: UnitMask, dims: readonly number[]): Uint32Array {
  const { span, share } = layout;
  const kept = counts.reduce((sum, count) => sum + count, 0) * span * share;
  const indices = new Uint32Array(kept);
  let at = 0;
  forEachUnit({ ...layout, dims }, (index, stride, unit) => {
    if (units[unit] === 0) return;
    for (let i = 0; i < span; i++) indices[at++] = index + i * stride;
  });
  return indices;
}

type Numbers = Float32Array | Uint32Array | Uint16Array | Uint8Array | Int8Array;

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
export function weightMask({ layout, units }: UnitMask, dims: readonly number[]): Uint8Array {
  const weights = new Uint8Array(sizeOf(dims));
  forEachUnit({ ...layout, dims }, (index, stride, unit) => {
    if (units[unit] === 0) return;
    for (let i = 0; i < layout.span; i++) weights[index + i * stride] = 1;
  });
  return weights;
}

/**
 * A mask of weights as one of units.
 *
 * @param weights 0 or 1 for each weight as it is stored.
 * @returns undefined if the layout does not fit, or a unit is kept in part.
 */
export function unitMask(
  weights: Uint8Array,
  dims: readonly number[],
  layout: UnitLayout,
): UnitMask | undefined {
  const matrix = unitMatrix(layout, dims);
  if (matrix === undefined) return undefined;
  const units = new Uint8Array(matrix.units);
  forEachUnit({ ...layout, dims }, (index, _, unit) => {
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
