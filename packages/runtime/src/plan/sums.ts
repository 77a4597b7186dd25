/** Weighted sums: convolutions and fully connected layers as lists of the inputs that each output adds up. */

import type { Call } from "../execute.js";
import { columnsOf, type Matrix, seenBy } from "./matrix.js";
import type { Memory } from "./memory.js";
import type { Choice } from "./operation.js";
import { type Value, VECTOR } from "./value.js";

/** Outputs that share a list in the kernels taps4 and rows4. */
const TOGETHER = 4;

/**
 * The time of a tap of four channels over that of four taps of one, measured (docs/runtime.md), by vectors of a plane: with few
 * vectors, one channel alone does not keep the processor busy; three are two blocks there.
 */
const TAP_COSTS: readonly (readonly [number, number])[] = [
  [1, 0.46],
  [2, 0.51],
  [3, 1.2],
  [4, 0.84],
  [5, 0.93],
  [Infinity, 0.87],
];
/** The same for rows, where one row's inputs are to be picked one by one. */
const ROW_COST = 0.4;

/** From so many cells computed for each that counts on, rows are computed one by one. */
const LEAST_WASTE = 1.1;
/** Rows of a block of the kernel that does so. */
const ROWS = 4;

/** A layer's sums. */
export interface Sums {
  readonly matrix: Matrix;
  /** What the weights of each output are to be multiplied by. */
  readonly factors: ArrayLike<number>;
  readonly bias: Float32Array;
  /** Rows of the weight, one after the other, that read the same inputs; other rows read as many cells further on. */
  readonly perGroup: number;
  readonly least: number;
  readonly most: number;
}

/** Where the inputs of sums lie. */
export interface Places {
  /** Address that distances count from. */
  readonly input: number;
  /** Bytes from there to the input of each column of the weight; undefined where it lies in the padding. */
  readonly distances: readonly (number | undefined)[];
  /** Bytes from the inputs of a group to those of the next. */
  readonly group: number;
}

/** Which kernel is the faster one. */
export function choose({ matrix, perGroup }: Sums, output: Value): Choice {
  const { outputs, fanIn } = matrix;
  const whole = outputs - (outputs % TOGETHER);
  // Four outputs of several groups have no input in common.
  const canShare = whole > 0 && (perGroup === outputs || perGroup % TOGETHER === 0);
  let [kept, shared] = [0, 0];
  for (let row = 0; row < outputs;) {
    const count = canShare && row < whole ? TOGETHER : 1;
    const { columns, weights } = seenBy(matrix, row, count);
    kept += weights;
    shared += count * columns;
    row += count;
  }
  const cost = output.isFlat ? ROW_COST : (TAP_COSTS.find(([most]) => output.vectors <= most)?.[1] ?? 1);
  const isShared = canShare && shared * cost <= kept;
  const percent = (value: number): string => `${((100 * value) / (outputs * fanIn)).toFixed(1)} %`;
  const kernel = output.isFlat ? "rows" : "taps";
  return {
    kernel: isShared ? `${kernel} of 4` : kernel,
    why: canShare
      ? `${percent(kept)} of the weights; ${percent(shared)} if 4 outputs share a list, each at ${cost} of the time`
      : `${percent(kept)} of the weights; no 4 outputs have inputs in common`,
    kept,
    isShared,
  };
}

/**
 * Vectors of a row that blocks of four rows have; 0 where whole planes are the better choice, as they are unless much of them lies
 * between rows.
 */
function rowBlock({ height, width, vectors }: Value): number {
  const isWasteful = VECTOR * vectors >= LEAST_WASTE * height * width;
  if (!isWasteful || height % ROWS !== 0) return 0;
  return width % (2 * VECTOR) === 0 ? 2 : Number(width % VECTOR === 0);
}

/** Writes the tables of a layer. */
export function emitSums(
  memory: Memory,
  sums: Sums,
  { input, distances, group }: Places,
  output: Value,
  { isShared }: Choice,
  residual: Value | undefined,
  mask: () => number,
): Call[] {
  const { matrix, factors, perGroup, bias, least, most } = sums;
  const { outputs, at: valueAt } = matrix;
  const isInside = distances.every((place) => place !== undefined);
  const reads = (first: number, count: number): Uint32Array => {
    const columns = columnsOf(matrix, first, count);
    return isInside ? columns : columns.filter((column) => distances[column] !== undefined);
  };
  const distance = (row: number, column: number): number =>
    (distances[column] ?? 0) + Math.floor(row / perGroup) * group;
  const biases = memory.floatTable(bias, Math.ceil(outputs / TOGETHER) * TOGETHER);
  const added = residual === undefined ? 0 : residual.address - output.address;
  const weight = (row: number, column: number): number => factors[row] * valueAt(row, column);

  if (output.isFlat) {
    const fours = Math.ceil(outputs / TOGETHER);
    const lists = isShared
      ? Array.from({ length: fours }, (_, i) =>
          reads(i * TOGETHER, Math.min(TOGETHER, outputs - i * TOGETHER)),
        )
      : Array.from({ length: outputs }, (_, row) => reads(row, 1));
    const longest = Array.from({ length: fours }, (_, i) =>
      Math.max(
        ...lists
          .slice(isShared ? i : i * TOGETHER, isShared ? i + 1 : (i + 1) * TOGETHER)
          .map((l) => l.length),
      ),
    );
    const size = isShared ? 1 + TOGETHER : 2 * TOGETHER;
    const entries = memory.take(4 * size * longest.reduce((sum, count) => sum + count, 0));
    const ends = memory.take(4 * fours);
    const { words, floats } = memory;
    let at = entries / 4;
    for (let i = 0; i < fours; i++) {
      for (let e = 0; e < longest[i]; e++) {
        for (let lane = 0; lane < TOGETHER; lane++) {
          const row = i * TOGETHER + lane;
          const column = isShared ? lists[i][e] : lists.at(row < outputs ? row : 0)?.[e];
          const isThere = column !== undefined && row < outputs;
          const where = isThere ? input + distance(row, column) : input;
          const value = isThere ? weight(row, column) : 0;
          if (!isShared) words[at + lane] = where;
          else if (lane === 0) words[at] = where;
          floats[at + size - TOGETHER + lane] = value;
        }
        at += size;
      }
      words[ends / 4 + i] = 4 * at;
    }
    const args = [entries, ends, fours, output.address, biases, added, least, most] as const;
    return [{ kernel: isShared ? "rows4" : "rows1", args }];
  }

  const whole = isShared ? outputs - (outputs % TOGETHER) : 0;
  const plane = 4 * output.plane;
  const part = (first: number, end: number, together: number): Call[] => {
    if (first === end) return [];
    const lists = Array.from({ length: (end - first) / together }, (_, i) =>
      reads(first + i * together, together),
    );
    const taps = memory.take(4 * (1 + together) * lists.reduce((sum, list) => sum + list.length, 0));
    const ends = memory.take(4 * lists.length);
    const { words, floats } = memory;
    let at = taps / 4;
    lists.forEach((columns, i) => {
      const row = first + i * together;
      for (const column of columns) {
        words[at++] = distance(row, column);
        for (let j = row; j < row + together; j++) floats[at++] = weight(j, column);
      }
      words[ends / 4 + i] = 4 * at;
    });
    const address = output.address + first * plane;
    const offsets = biases + 4 * first;
    const before = [taps, ends, end - first, input, address, plane, offsets, added] as const;
    const width = together === 1 ? rowBlock(output) : 0;
    if (width > 0) {
      const { height, width: columns, row } = output;
      return [{ kernel: "tapsRows", args: [width, ...before, height, columns, 4 * row, least, most] }];
    }
    const args = [...before, mask(), output.vectors, least, most] as const;
    return [{ kernel: together === 1 ? "taps1" : "taps4", args }];
  };
  return [...part(0, whole, TOGETHER), ...part(whole, outputs, 1)];
}
