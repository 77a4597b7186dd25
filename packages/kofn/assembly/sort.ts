/**
 * Sorts integers by a network on vectors: the comparisons are the same whatever the numbers are, and no branch depends on them.
 *
 * The lanes of a vector belong to different sequences, which are sorted side by side. Blocks of eight numbers are sorted (by the
 * 19 comparisons that are fewest for eight), and runs are merged by bitonic networks (Batcher, "Sorting networks and their
 * applications", 1968). The first comparison of a merge is of the one run with the other's mirror image, so that every
 * comparison leaves the less in front. Up to three comparisons of a number follow each other in registers.
 */

/** Bytes of a vector. */
const VECTOR: usize = 16;
/** Bytes of eight vectors. */
const BLOCK: usize = 128;

/** Bytes that `sortLanes` needs for `count` vectors, which is what it fills and one vector more. */
export function sortBytes(count: i32): usize {
  return wholeBytes(count) + VECTOR;
}

/** Bytes of the least power of two of vectors, and at least of a block, that hold `count`. */
function wholeBytes(count: i32): usize {
  let whole = BLOCK;
  while (whole < VECTOR * (<usize>count)) whole <<= 1;
  return whole;
}

/**
 * Sorts each lane of `count` vectors from `at` on, ascending, by sign. Behind them it writes the greatest number, up to what
 * `sortBytes` says.
 */
export function sortLanes(at: usize, count: i32): void {
  const whole = wholeBytes(count);
  for (let i = at + VECTOR * (<usize>count); i <= at + whole; i += VECTOR) v128.store(i, i32x4.splat(i32.MAX_VALUE));
  // What lies behind the block of the last number is in order, and stays so.
  const end = at + ((VECTOR * (<usize>count) + BLOCK - 1) & ~(BLOCK - 1));
  for (let block = at; block < end; block += BLOCK) sortBlock(block);
  for (let run = BLOCK; run < whole; run <<= 1) {
    for (let first = at; first + run < end; first += 2 * run) {
      const last = min(first + 2 * run, end);
      let distance: usize;
      if (run == BLOCK) {
        compareMirrored(first, run);
        distance = run >> 1;
      } else if ((ctz(run) & 1) == 1) {
        compareMirroredEight(first, run);
        distance = run >> 3;
      } else {
        compareMirroredFour(first, run);
        distance = run >> 2;
      }
      for (; distance >= BLOCK; distance >>= 2) {
        for (let block = first; block < last; block += 2 * distance) compareFour(block, distance);
      }
      for (let block = first; block < last; block += BLOCK) mergeBlock(block);
    }
  }
}

/** Sorts a block. */
function sortBlock(at: usize): void {
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
  v128.store(at, c0);
  v128.store(at, i32x4.min_s(e1, d2), 16);
  v128.store(at, i32x4.max_s(e1, d2), 32);
  v128.store(at, i32x4.min_s(e3, e4), 48);
  v128.store(at, i32x4.max_s(e3, e4), 64);
  v128.store(at, i32x4.min_s(d5, e6), 80);
  v128.store(at, i32x4.max_s(d5, e6), 96);
  v128.store(at, c7, 112);
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
  v128.store(at, i32x4.min_s(b0, b1));
  v128.store(at, i32x4.max_s(b0, b1), 16);
  v128.store(at, i32x4.min_s(b2, b3), 32);
  v128.store(at, i32x4.max_s(b2, b3), 48);
  v128.store(at, i32x4.min_s(b4, b5), 64);
  v128.store(at, i32x4.max_s(b4, b5), 80);
  v128.store(at, i32x4.min_s(b6, b7), 96);
  v128.store(at, i32x4.max_s(b6, b7), 112);
}

/** Compares a run with the mirror image of the next one. */
function compareMirrored(first: usize, run: usize): void {
  let high = first + 2 * run - VECTOR;
  for (let low = first; low < high; low += VECTOR) {
    const a = v128.load(low);
    const b = v128.load(high);
    v128.store(low, i32x4.min_s(a, b));
    v128.store(high, i32x4.max_s(a, b));
    high -= VECTOR;
  }
}

/** `compareMirrored`, and then in each run the numbers that lie half a run apart. */
function compareMirroredFour(first: usize, run: usize): void {
  const distance = run >> 1;
  let y = first + 2 * run - VECTOR;
  for (let a = first; a < first + distance; a += VECTOR) {
    const b = a + distance;
    const x = y - distance;
    const va = v128.load(a);
    const vy = v128.load(y);
    const vb = v128.load(b);
    const vx = v128.load(x);
    const lowA = i32x4.min_s(va, vy);
    const highY = i32x4.max_s(va, vy);
    const lowB = i32x4.min_s(vb, vx);
    const highX = i32x4.max_s(vb, vx);
    v128.store(a, i32x4.min_s(lowA, lowB));
    v128.store(b, i32x4.max_s(lowA, lowB));
    v128.store(x, i32x4.min_s(highX, highY));
    v128.store(y, i32x4.max_s(highX, highY));
    y -= VECTOR;
  }
}

/** `compareMirroredFour`, and then the numbers that lie a quarter of a run apart. */
function compareMirroredEight(first: usize, run: usize): void {
  const distance = run >> 2;
  let y = first + 2 * run - VECTOR;
  for (let a = first; a < first + distance; a += VECTOR) {
    const b = a + distance;
    const c = b + distance;
    const d = c + distance;
    const x = y - distance;
    const w = x - distance;
    const v = w - distance;
    const va = v128.load(a);
    const vy = v128.load(y);
    const vb = v128.load(b);
    const vx = v128.load(x);
    const vc = v128.load(c);
    const vw = v128.load(w);
    const vd = v128.load(d);
    const vv = v128.load(v);
    const lowA = i32x4.min_s(va, vy);
    const highY = i32x4.max_s(va, vy);
    const lowB = i32x4.min_s(vb, vx);
    const highX = i32x4.max_s(vb, vx);
    const lowC = i32x4.min_s(vc, vw);
    const highW = i32x4.max_s(vc, vw);
    const lowD = i32x4.min_s(vd, vv);
    const highV = i32x4.max_s(vd, vv);
    const farA = i32x4.min_s(lowA, lowC);
    const farC = i32x4.max_s(lowA, lowC);
    const farB = i32x4.min_s(lowB, lowD);
    const farD = i32x4.max_s(lowB, lowD);
    v128.store(a, i32x4.min_s(farA, farB));
    v128.store(b, i32x4.max_s(farA, farB));
    v128.store(c, i32x4.min_s(farC, farD));
    v128.store(d, i32x4.max_s(farC, farD));
    const farV = i32x4.min_s(highV, highX);
    const farX = i32x4.max_s(highV, highX);
    const farW = i32x4.min_s(highW, highY);
    const farY = i32x4.max_s(highW, highY);
    v128.store(v, i32x4.min_s(farV, farW));
    v128.store(w, i32x4.max_s(farV, farW));
    v128.store(x, i32x4.min_s(farX, farY));
    v128.store(y, i32x4.max_s(farX, farY));
    y -= VECTOR;
  }
}

/** Compares numbers that lie `distance` apart, from `first` on, and then those that lie half of it apart. */
function compareFour(first: usize, distance: usize): void {
  const half = distance >> 1;
  for (let a = first; a < first + half; a += VECTOR) {
    const b = a + half;
    const c = a + distance;
    const d = c + half;
    const va = v128.load(a);
    const vb = v128.load(b);
    const vc = v128.load(c);
    const vd = v128.load(d);
    const farA = i32x4.min_s(va, vc);
    const farC = i32x4.max_s(va, vc);
    const farB = i32x4.min_s(vb, vd);
    const farD = i32x4.max_s(vb, vd);
    v128.store(a, i32x4.min_s(farA, farB));
    v128.store(b, i32x4.max_s(farA, farB));
    v128.store(c, i32x4.min_s(farC, farD));
    v128.store(d, i32x4.max_s(farC, farD));
  }
}
