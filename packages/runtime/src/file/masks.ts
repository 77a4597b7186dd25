/** Reads which units of a weight are kept. */

import { bytesOf, unpackBits, widthOf } from "@kofn/format/file/bits.js";
import { maskKind, MOST_UNITS } from "@kofn/format/file/fields.js";
import { forEachUnit, unitMatrix } from "@kofn/format/file/units.js";
import type { KeptWeights, StoredMask } from "../graph/types.js";
import { RangeDecoder } from "./range-decoder.js";
import type { Reader } from "./reader.js";

/** A mask: what is said of it, and the weights that it keeps, in the order in which they are stored. */
export interface ReadMask {
  readonly stored: StoredMask;
  readonly kept: KeptWeights;
}

/** @returns undefined where all elements are kept */
export function readMask(graph: Reader, masks: Reader, dims: readonly number[]): ReadMask | undefined {
  const number = graph.uint();
  if (number === 0) return undefined;
  const { codec, countsDiffer, transposed } = maskKind(number) ?? graph.fail(`a mask of kind ${number}`);
  const [span, share, n] = [graph.uint(), graph.uint(), graph.uint()];
  const matrix = unitMatrix({ transposed, span, share, n }, dims);
  if (matrix === undefined || (codec === "range" && n > MOST_UNITS))
    return graph.fail(`a mask of ${n} units of ${span}, shared by ${share}, for [${dims.join(", ")}]`);
  const counts = new Uint32Array(matrix.groups).fill(countsDiffer ? 0 : graph.below(n + 1, "k"));
  const rangeBytes = codec === "range" ? graph.uint() : 0;
  const field = (width: number, into: Uint8Array | Uint32Array): void => {
    if (!unpackBits(masks.bytes(bytesOf(into.length * width)), width, into))
      masks.fail("bits that are not 0");
  };
  if (countsDiffer) field(widthOf(n + 1), counts);
  if (counts.some((count) => count > n)) masks.fail(`a group that keeps more than ${n} units`);
  const kept = counts.reduce((sum, count) => sum + count, 0);
  const units = new Uint8Array(matrix.units);
  if (codec === "bitmap") {
    field(1, units);
    counts.forEach((count, group) => {
      let found = 0;
      for (let i = group * n; i < (group + 1) * n; i++) found += units[i];
      if (found !== count) masks.fail(`a group that keeps ${found} units, not ${count}`);
    });
  } else if (codec === "indices") {
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
  const columns = new Uint32Array(kept * span * share);
  const ends = new Uint32Array(matrix.rows);
  let at = 0;
  forEachUnit({ dims, transposed, span, share }, (row, column, unit) => {
    if (units[unit] === 1) for (let i = 0; i < span; i++) columns[at++] = column + i;
    ends[row] = at;
  });
  const [least, most] = counts.reduce(
    ([low, high], count) => [Math.min(low, count), Math.max(high, count)],
    [n, 0],
  );
  return { stored: { span, share, n, k: [least, most] }, kept: { transposed, ends, columns } };
}
