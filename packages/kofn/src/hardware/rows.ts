/** Packs the weights that are kept, row by row: all of them, k of each group of n, or as many as a row has. */

import { KofnError } from "../errors.js";

/** How the units of a row are grouped: `span` weights next to each other are a unit, n units a group; `share` rows have one mask. */
export interface Layout {
  readonly n: number;
  readonly span: number;
  readonly share: number;
}

/** The weights of a layer that are kept, row by row. A row is an output channel. */
export interface Rows {
  readonly rows: number;
  /** Weights of a row, before pruning. */
  readonly fanIn: number;
  /** Those that are kept, in ascending order of their positions. */
  readonly values: Float32Array | Int8Array;
  readonly places: Places;
}

/** Where the weights that are kept lie in their row. */
export type Places =
  /** All are kept. */
  | { readonly kind: "all" }
  /** Exactly k units of each group. Indices are within the group, ascending; `share` rows have them once. */
  | ({
      readonly kind: "balanced";
      readonly k: number;
      readonly indices: Uint32Array;
      /** Shorter rows were filled up with weights that are 0. */
      readonly filledUp?: true;
    } & Layout)
  /** Row r has the weights from starts[r] to before starts[r + 1]. Indices are within the row. */
  | { readonly kind: "ragged"; readonly starts: Uint32Array; readonly indices: Uint32Array };

/** A weight as rows, with what is kept of it. */
export interface Matrix {
  readonly rows: number;
  readonly fanIn: number;
  /** [rows, fanIn] */
  readonly values: Float32Array | Int8Array;
  /** [rows, fanIn]: 1 where a weight is kept; all others are 0. */
  readonly mask: Uint8Array;
}

/** All weights, pruned or not. */
export function allOf({ rows, fanIn, values }: Matrix): Rows {
  return { rows, fanIn, values, places: { kind: "all" } };
}

/**
 * The weights that a mask keeps, if it keeps equally many units of each group.
 *
 * @returns undefined if it does not, or keeps units in part, or if rows that are to share a mask do not.
 */
export function balancedOf(matrix: Matrix, { n, span, share }: Layout): Rows | undefined {
  const { rows, fanIn, mask } = matrix;
  if (fanIn % (n * span) !== 0 || rows % share !== 0) return undefined;
  const groups = fanIn / (n * span);
  const k = countUnits(mask, 0, n, span);
  const indices: number[] = [];
  for (let row = 0; row < rows; row++) {
    const start = row * fanIn;
    const first = (row - (row % share)) * fanIn;
    for (let i = 0; i < fanIn; i++) {
      if (mask[start + i] !== mask[first + i]) return undefined;
      if (mask[start + i] !== mask[start + i - (i % span)]) return undefined;
    }
    for (let group = 0; group < groups; group++) {
      const at = start + group * n * span;
      if (countUnits(mask, at, n, span) !== k) return undefined;
      if (row % share !== 0) continue;
      for (let unit = 0; unit < n; unit++) if (mask[at + unit * span] === 1) indices.push(unit);
    }
  }
  const places = { kind: "balanced", k, n, span, share, indices: Uint32Array.from(indices) } as const;
  return { rows, fanIn, values: keptValues(matrix), places };
}

function countUnits(mask: Uint8Array, at: number, n: number, span: number): number {
  let count = 0;
  for (let unit = 0; unit < n; unit++) count += mask[at + unit * span];
  return count;
}

/** The weights that a mask keeps, however many of each row. */
export function raggedOf(matrix: Matrix): Rows {
  const { rows, fanIn, mask } = matrix;
  const starts = new Uint32Array(rows + 1);
  const indices: number[] = [];
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < fanIn; i++) if (mask[row * fanIn + i] === 1) indices.push(i);
    starts[row + 1] = indices.length;
  }
  const places = { kind: "ragged", starts, indices: Uint32Array.from(indices) } as const;
  return { rows, fanIn, values: keptValues(matrix), places };
}

function keptValues({ values, mask }: Matrix): Float32Array | Int8Array {
  let count = 0;
  for (const bit of mask) count += bit;
  const kept = values instanceof Float32Array ? new Float32Array(count) : new Int8Array(count);
  for (let i = 0, at = 0; i < values.length; i++) if (mask[i] === 1) kept[at++] = values[i];
  return kept;
}

/**
 * The same weights with as many of each row as of the longest one: shorter rows are filled up with unused places (weights that are
 * 0).
 */
export function filledUp(matrix: Matrix): Rows {
  const { rows, fanIn } = matrix;
  const mask = matrix.mask.slice();
  const counts = Array.from({ length: rows }, (_, row) => countUnits(mask, row * fanIn, fanIn, 1));
  const longest = counts.reduce((most, count) => Math.max(most, count), 0);
  counts.forEach((count, row) => {
    for (let i = row * fanIn, missing = longest - count; missing > 0; i++) {
      if (mask[i] === 1) continue;
      mask[i] = 1;
      missing--;
    }
  });
  const filled = balancedOf({ ...matrix, mask }, { n: fanIn, span: 1, share: 1 });
  if (filled?.places.kind !== "balanced") throw new KofnError("rows of equal length are not balanced");
  return { ...filled, places: { ...filled.places, filledUp: true } };
}

/** Bits of the narrowest of uint8, uint16 and uint32 that holds indices below n. */
export function indexBits(n: number): 8 | 16 | 32 {
  return n <= 2 ** 8 ? 8 : n <= 2 ** 16 ? 16 : 32;
}

/** Bytes of a layer's tables in C: values, indices and where rows start. */
export function bytesOf({ values, fanIn, places }: Rows): {
  readonly values: number;
  readonly indices: number;
} {
  if (places.kind === "all") return { values: values.byteLength, indices: 0 };
  const index = indexBits(places.kind === "balanced" ? places.n : fanIn) / 8;
  const starts = places.kind === "ragged" ? places.starts.byteLength : 0;
  return { values: values.byteLength, indices: places.indices.length * index + starts };
}

/**
 * The rows in the form whose tables are the smallest.
 *
 * @param layouts groups in which the mask may be balanced.
 */
export function smallestOf(matrix: Matrix, layouts: readonly Layout[]): Rows {
  const forms = [allOf(matrix)];
  if (matrix.mask.includes(0)) {
    for (const layout of layouts) {
      const balanced = balancedOf(matrix, layout);
      if (balanced !== undefined) forms.push(balanced);
    }
    forms.push(raggedOf(matrix));
  }
  const size = (rows: Rows): number => bytesOf(rows).values + bytesOf(rows).indices;
  return forms.reduce((best, form) => (size(form) < size(best) ? form : best));
}

/**
 * The positions in its row, and in `values`, of each weight that a row keeps, in order.
 *
 * @example
 * forEachKept(rows, 0, (position, at) => { sum += rows.values[at] * x[position]; });
 */
export function forEachKept(
  { fanIn, places }: Rows,
  row: number,
  visit: (position: number, at: number) => void,
): void {
  if (places.kind === "all") {
    for (let i = 0; i < fanIn; i++) visit(i, row * fanIn + i);
    return;
  }
  if (places.kind === "ragged") {
    for (let at = places.starts[row]; at < places.starts[row + 1]; at++) visit(places.indices[at], at);
    return;
  }
  const { n, k, span, share, indices } = places;
  const groups = fanIn / (n * span);
  let index = Math.floor(row / share) * groups * k;
  let at = row * groups * k * span;
  for (let group = 0; group < groups; group++) {
    for (let j = 0; j < k; j++, index++) {
      for (let i = 0; i < span; i++) visit((group * n + indices[index]) * span + i, at++);
    }
  }
}

/** Weights that a row keeps at most. */
export function longestRow({ rows, fanIn, values, places }: Rows): number {
  if (places.kind === "all") return fanIn;
  if (places.kind === "balanced") return values.length / rows;
  let longest = 0;
  for (let row = 0; row < rows; row++) {
    longest = Math.max(longest, places.starts[row + 1] - places.starts[row]);
  }
  return longest;
}
