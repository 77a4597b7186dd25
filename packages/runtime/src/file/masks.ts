/** Reads which units of a weight are kept. */

import type { KeptWeights, StoredMask } from "../graph/types.js";
import { unpackBits, widthOf } from "./bits.js";
import { RangeDecoder } from "./range-decoder.js";
import type { Reader } from "./reader.js";

const BITMAP = 0;
const INDICES = 1;
const RANGE = 2;
/** The most units of a group in that codec. */
const MOST_UNITS = 2 ** 20;

/** A mask: what is said of it, and the weights that it keeps, in the order in which they are stored. */
export interface ReadMask {
  readonly stored: StoredMask;
  readonly kept: KeptWeights;
}

/** @returns undefined where all elements are kept */
export function readMask(graph: Reader, masks: Reader, dims: readonly number[]): ReadMask | undefined {
  const fields = graph.below(32, "a kind of mask");
  if (fields === 0) return undefined;
  const codec = (fields >> 1) & 3;
  const [isTransposed, differ] = [fields >= 16, (fields & 8) !== 0];
  const [span, share, n] = [graph.uint(), graph.uint(), graph.uint()];
  const [first = 0, second = 0, ...kernel] = dims;
  const [rows, inputs] = isTransposed ? [second, first] : [first, second];
  const fanIn = kernel.reduce((product, dim) => product * dim, inputs);
  const [columns, sharing] = [fanIn / span, rows / share];
  const groups = (columns * sharing) / n;
  const isFit = [columns, sharing, groups].every((count) => Number.isInteger(count) && count > 0);
  const isShape = dims.length >= 2 && (!isTransposed || dims.length === 2);
  if (!isFit || !isShape || fields % 2 !== 1 || codec > RANGE || (codec === RANGE && n > MOST_UNITS)) {
    return graph.fail(`a mask of ${n} units of ${span}, shared by ${share}, for [${dims.join(", ")}]`);
  }
  const counts = new Uint32Array(groups).fill(differ ? 0 : graph.below(n + 1, "k"));
  const rangeBytes = codec === RANGE ? graph.uint() : 0;
  const field = (width: number, into: Uint8Array | Uint32Array): void => {
    if (!unpackBits(masks.bytes(Math.ceil((into.length * width) / 8)), width, into))
      masks.fail("bits that are not 0");
  };
  if (differ) field(widthOf(n + 1), counts);
  if (counts.some((count) => count > n)) masks.fail(`a group that keeps more than ${n} units`);
  const kept = counts.reduce((sum, count) => sum + count, 0);
  const units = new Uint8Array(groups * n);
  if (codec === BITMAP) {
    field(1, units);
    counts.forEach((count, group) => {
      let found = 0;
      for (let i = group * n; i < (group + 1) * n; i++) found += units[i];
      if (found !== count) masks.fail(`a group that keeps ${found} units, not ${count}`);
    });
  } else if (codec === INDICES) {
    const indices = new Uint32Array(kept);
    field(widthOf(n), indices);
    let at = 0;
    counts.forEach((count, group) => {
      let last = -1;
      for (let i = 0; i < count; i++) {
        const index = indices[at++];
        if (index <= last || index >= n) masks.fail(`positions that do not ascend below ${n}`);
        units[group * n + index] = 1;
        last = index;
      }
    });
  } else {
    const decoder = new RangeDecoder(masks.bytes(rangeBytes));
    decoder.choose(counts, n, units);
    if (!decoder.isDone) masks.fail("bytes are left over");
  }
  const weights = new Uint32Array(kept * span * share);
  const ends = new Uint32Array(rows);
  let at = 0;
  for (let row = 0; row < rows; row++) {
    const start = Math.floor(row / share) * columns;
    for (let column = 0; column < columns; column++) {
      if (units[start + column] === 0) continue;
      for (let j = column * span; j < (column + 1) * span; j++) weights[at++] = j;
    }
    ends[row] = at;
  }
  const [least, most] = counts.reduce(
    ([low, high], count) => [Math.min(low, count), Math.max(high, count)],
    [n, 0],
  );
  return { stored: { span, share, n, k: [least, most] }, kept: { isTransposed, ends, columns: weights } };
}
