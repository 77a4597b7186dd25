/** A layer's weight as the matrix of what its outputs add up, and where it is not 0. */

import type { Constant, KeptWeights } from "../graph/types.js";

/** A matrix [outputs, fan-in]. */
export interface Matrix {
  readonly outputs: number;
  readonly fanIn: number;
  readonly at: (row: number, column: number) => number;
  /** Where it is not 0; undefined without a mask. */
  readonly kept: KeptWeights | undefined;
}

/** @param transposed whether the weight is [fan-in, outputs] */
export function matrixOf(
  weight: Constant | undefined,
  outputs: number,
  fanIn: number,
  transposed = false,
): Matrix {
  const data = weight?.data ?? [];
  const kept = weight?.kept?.transposed === transposed ? weight.kept : undefined;
  const [down, right] = transposed ? [1, outputs] : [fanIn, 1];
  return { outputs, fanIn, at: (row, column) => data[row * down + column * right], kept };
}

/** The columns of a row that a mask keeps, or of several. */
function keptBy({ ends, columns }: KeptWeights, first: number, count: number): Uint32Array {
  return columns.subarray(first === 0 ? 0 : ends[first - 1], ends[first + count - 1]);
}

/** Which columns some of these rows have, how many there are of them, and how many weights. */
export function seenBy(
  { fanIn, at, kept }: Matrix,
  first: number,
  count: number,
): { isSeen: Uint8Array; columns: number; weights: number } {
  const isSeen = new Uint8Array(fanIn);
  let [columns, weights] = [0, 0];
  const see = (column: number): void => {
    weights++;
    columns += 1 - isSeen[column];
    isSeen[column] = 1;
  };
  if (kept !== undefined) keptBy(kept, first, count).forEach(see);
  else
    for (let row = first; row < first + count; row++)
      for (let column = 0; column < fanIn; column++) if (at(row, column) !== 0) see(column);
  return { isSeen, columns, weights };
}

/** The columns that some of these rows have, ascending. */
export function columnsOf(matrix: Matrix, first: number, count: number): Uint32Array {
  if (count === 1 && matrix.kept !== undefined) return keptBy(matrix.kept, first, count);
  const { isSeen, columns } = seenBy(matrix, first, count);
  const found = new Uint32Array(columns);
  for (let column = 0, i = 0; i < columns; column++) if (isSeen[column] === 1) found[i++] = column;
  return found;
}
