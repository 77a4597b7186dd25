/**
 * Sorts integers by networks on vectors: the comparisons are the same whatever the numbers are, and no branch depends on them.
 *
 * A block of eight vectors is sorted by its columns (the 19 comparisons that are fewest for eight numbers) and transposed, and
 * runs are merged by bitonic networks (Batcher, "Sorting networks and their applications", 1968). The first comparison of a
 * merge is of the one run with the other's mirror image, so that every comparison leaves the less in front: what would lie
 * behind the end takes part as the greatest number, without being there.
 */

/** Numbers are sorted in whole blocks. */
export const BLOCK: i32 = 32;

/** Bytes of a vector. */
const VECTOR: usize = 16;
const BLOCK_BYTES: usize = 128;

/** Sorts `blocks` blocks of 32-bit integers from `at` on, ascending, by sign. */
export function sortBlocks(at: usize, blocks: i32): void {
  const end = at + (<usize>blocks) * BLOCK_BYTES;
  for (let block = at; block < end; block += BLOCK_BYTES) {
    sortHalves(block);
    mergeBlock(block);
  }
  for (let run = BLOCK_BYTES; run < end - at; run <<= 1) {
    for (let first = at; first + run < end; first += 2 * run) compareMirrored(first, first + 2 * run, end);
    for (let distance = run >> 1; distance >= BLOCK_BYTES; distance >>= 1) {
      for (let first = at; first + distance < end; first += 2 * distance) compareAt(first, distance, end);
    }
    for (let block = at; block < end; block += BLOCK_BYTES) mergeBlock(block);
  }
}

@inline
function lowWords(a: v128, b: v128): v128 {
  return v128.shuffle<u32>(a, b, 0, 4, 1, 5);
}

@inline
function highWords(a: v128, b: v128): v128 {
  return v128.shuffle<u32>(a, b, 2, 6, 3, 7);
}

@inline
function lowHalves(a: v128, b: v128): v128 {
  return v128.shuffle<u64>(a, b, 0, 2);
}

@inline
function highHalves(a: v128, b: v128): v128 {
  return v128.shuffle<u64>(a, b, 1, 3);
}

/** The high halves of both, each mirrored, a's behind b's. */
@inline
function mirroredHighHalves(a: v128, b: v128): v128 {
  return v128.shuffle<u32>(b, a, 3, 2, 7, 6);
}

@inline
function mirrored(a: v128): v128 {
  return v128.shuffle<u32>(a, a, 3, 2, 1, 0);
}

/** Sorts the numbers of two vectors that are bitonic each, and stores them. */
@inline
function storeSorted(at: usize, a: v128, b: v128): void {
  const x = lowWords(a, b);
  const y = highWords(a, b);
  const less = i32x4.min_s(x, y);
  const greater = i32x4.max_s(x, y);
  const u = lowHalves(less, greater);
  const w = highHalves(less, greater);
  const even = i32x4.min_s(u, w);
  const odd = i32x4.max_s(u, w);
  const front = lowWords(even, odd);
  const back = highWords(even, odd);
  v128.store(at, lowHalves(front, back));
  v128.store(at, highHalves(front, back), 16);
}

/** As `storeSorted`, but descending, and b in front of a. */
@inline
function storeMirrored(at: usize, a: v128, b: v128): void {
  const x = lowWords(a, b);
  const y = highWords(a, b);
  const less = i32x4.min_s(x, y);
  const greater = i32x4.max_s(x, y);
  const u = lowHalves(less, greater);
  const w = highHalves(less, greater);
  const even = i32x4.min_s(u, w);
  const odd = i32x4.max_s(u, w);
  const front = lowWords(odd, even);
  const back = highWords(odd, even);
  v128.store(at, highHalves(back, front));
  v128.store(at, lowHalves(back, front), 16);
}

/** Sorts the first half of a block in ascending and the second in descending order. */
function sortHalves(at: usize): void {
  const v0 = v128.load(at);
  const v1 = v128.load(at, 16);
  const v2 = v128.load(at, 32);
  const v3 = v128.load(at, 48);
  const v4 = v128.load(at, 64);
  const v5 = v128.load(at, 80);
  const v6 = v128.load(at, 96);
  const v7 = v128.load(at, 112);
  const a0 = i32x4.min_s(v0, v2);
  const a2 = i32x4.max_s(v0, v2);
  const a1 = i32x4.min_s(v1, v3);
  const a3 = i32x4.max_s(v1, v3);
  const a4 = i32x4.min_s(v4, v6);
  const a6 = i32x4.max_s(v4, v6);
  const a5 = i32x4.min_s(v5, v7);
  const a7 = i32x4.max_s(v5, v7);
  const b0 = i32x4.min_s(a0, a4);
  const b4 = i32x4.max_s(a0, a4);
  const b1 = i32x4.min_s(a1, a5);
  const b5 = i32x4.max_s(a1, a5);
  const b2 = i32x4.min_s(a2, a6);
  const b6 = i32x4.max_s(a2, a6);
  const b3 = i32x4.min_s(a3, a7);
  const b7 = i32x4.max_s(a3, a7);
  const c0 = i32x4.min_s(b0, b1);
  const c1 = i32x4.max_s(b0, b1);
  const c2 = i32x4.min_s(b2, b3);
  const c3 = i32x4.max_s(b2, b3);
  const c4 = i32x4.min_s(b4, b5);
  const c5 = i32x4.max_s(b4, b5);
  const c6 = i32x4.min_s(b6, b7);
  const c7 = i32x4.max_s(b6, b7);
  const d2 = i32x4.min_s(c2, c4);
  const d4 = i32x4.max_s(c2, c4);
  const d3 = i32x4.min_s(c3, c5);
  const d5 = i32x4.max_s(c3, c5);
  const e1 = i32x4.min_s(c1, d4);
  const e4 = i32x4.max_s(c1, d4);
  const e3 = i32x4.min_s(d3, c6);
  const e6 = i32x4.max_s(d3, c6);
  const f1 = i32x4.min_s(e1, d2);
  const f2 = i32x4.max_s(e1, d2);
  const f3 = i32x4.min_s(e3, e4);
  const f4 = i32x4.max_s(e3, e4);
  const f5 = i32x4.min_s(d5, e6);
  const f6 = i32x4.max_s(d5, e6);
  const upper0 = lowWords(c0, f1);
  const upper1 = lowWords(f2, f3);
  const upper2 = highWords(c0, f1);
  const upper3 = highWords(f2, f3);
  const lower0 = lowWords(f4, f5);
  const lower1 = lowWords(f6, c7);
  const lower2 = highWords(f4, f5);
  const lower3 = highWords(f6, c7);
  mergeColumns(at, true, lowHalves(upper0, upper1), lowHalves(lower0, lower1), mirroredHighHalves(lower0, lower1), mirroredHighHalves(upper0, upper1));
  mergeColumns(at + 64, false, lowHalves(upper2, upper3), lowHalves(lower2, lower3), mirroredHighHalves(lower2, lower3), mirroredHighHalves(upper2, upper3));
}

/** Merges eight ascending numbers with eight descending ones, and stores them. */
@inline
function mergeColumns(at: usize, ascending: bool, x0: v128, x1: v128, y0: v128, y1: v128): void {
  const p0 = i32x4.min_s(x0, y0);
  const p1 = i32x4.min_s(x1, y1);
  const q0 = i32x4.max_s(x0, y0);
  const q1 = i32x4.max_s(x1, y1);
  const a = i32x4.min_s(p0, p1);
  const b = i32x4.max_s(p0, p1);
  const c = i32x4.min_s(q0, q1);
  const d = i32x4.max_s(q0, q1);
  if (ascending) {
    storeSorted(at, a, b);
    storeSorted(at + 32, c, d);
  } else {
    storeMirrored(at, c, d);
    storeMirrored(at + 32, a, b);
  }
}

/** Sorts a block that is bitonic. */
function mergeBlock(at: usize): void {
  const v0 = v128.load(at);
  const v1 = v128.load(at, 16);
  const v2 = v128.load(at, 32);
  const v3 = v128.load(at, 48);
  const v4 = v128.load(at, 64);
  const v5 = v128.load(at, 80);
  const v6 = v128.load(at, 96);
  const v7 = v128.load(at, 112);
  const a0 = i32x4.min_s(v0, v4);
  const a4 = i32x4.max_s(v0, v4);
  const a1 = i32x4.min_s(v1, v5);
  const a5 = i32x4.max_s(v1, v5);
  const a2 = i32x4.min_s(v2, v6);
  const a6 = i32x4.max_s(v2, v6);
  const a3 = i32x4.min_s(v3, v7);
  const a7 = i32x4.max_s(v3, v7);
  const b0 = i32x4.min_s(a0, a2);
  const b2 = i32x4.max_s(a0, a2);
  const b1 = i32x4.min_s(a1, a3);
  const b3 = i32x4.max_s(a1, a3);
  const b4 = i32x4.min_s(a4, a6);
  const b6 = i32x4.max_s(a4, a6);
  const b5 = i32x4.min_s(a5, a7);
  const b7 = i32x4.max_s(a5, a7);
  const c0 = i32x4.min_s(b0, b1);
  const c1 = i32x4.max_s(b0, b1);
  const c2 = i32x4.min_s(b2, b3);
  const c3 = i32x4.max_s(b2, b3);
  const c4 = i32x4.min_s(b4, b5);
  const c5 = i32x4.max_s(b4, b5);
  const c6 = i32x4.min_s(b6, b7);
  const c7 = i32x4.max_s(b6, b7);
  storeSorted(at, c0, c1);
  storeSorted(at + 32, c2, c3);
  storeSorted(at + 64, c4, c5);
  storeSorted(at + 96, c6, c7);
}

/** Compares the vectors from `first` on with those before `last`, in mirror image, of which only those before `end` are there. */
@inline
function compareMirrored(first: usize, last: usize, end: usize): void {
  let low = first;
  let high = last - VECTOR;
  if (last > end) {
    low += last - end;
    high = end - VECTOR;
  }
  for (; low < high; low += VECTOR) {
    const a = v128.load(low);
    const b = mirrored(v128.load(high));
    v128.store(low, i32x4.min_s(a, b));
    v128.store(high, mirrored(i32x4.max_s(a, b)));
    high -= VECTOR;
  }
}

/** Compares the vectors of two runs that lie `distance` apart, as far as they are there. */
@inline
function compareAt(first: usize, distance: usize, end: usize): void {
  const last = min(first + 2 * distance, end);
  for (let high = first + distance; high < last; high += VECTOR) {
    const a = v128.load(high - distance);
    const b = v128.load(high);
    v128.store(high - distance, i32x4.min_s(a, b));
    v128.store(high, i32x4.max_s(a, b));
  }
}
