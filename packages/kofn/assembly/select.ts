/**
 * The k largest of a row, in order, ties by lower index.
 *
 * A row's k-th largest value changes little from step to step, so units below a guess are left out first, by vectors. The
 * guess decides how much work is left and never the result. What is left is sorted as integers of 31 bits: the value, rounded to
 * as many steps as there are bits for, and the place among what is left. Where two values share a step, the values themselves
 * are put in order.
 */

import { BLOCK, sortBlocks } from "./sort";

/** Most bits of a value's step. */
const STEP_BITS: i32 = 23;
/** Up to so many keys are sorted by insertion alone. */
const SHORT: i32 = 24;

/** Rows up to so long are ranked by comparing each two units, without a branch that depends on them. */
const TINY: i32 = 8;

/** For each set of lanes, the numbers of the others, in front. */
const OTHERS: usize = memory.data(256, 16);
/** For each set of lanes, four times the number of the others. */
const LENGTHS: usize = memory.data(64, 16);

/** Fills the tables; to be called once before anything else. */
export function initialise(): void {
  for (let set = 0; set < 16; set++) {
    let at = OTHERS + 16 * set;
    for (let lane = 0; lane < 4; lane++) {
      if (((set >> lane) & 1) == 1) continue;
      store<i32>(at, lane);
      at += 4;
    }
    store<i32>(LENGTHS + 4 * set, 16 - 4 * popcnt(set));
  }
}

/** Bytes of scratch memory that a row of n needs. */
export function selectScratch(n: i32): usize {
  return 5 * bytesOf(n);
}

/** Bytes of as many numbers as a row of n has, in whole blocks, and a vector. */
function bytesOf(n: i32): usize {
  return 4 * (((<usize>n) + BLOCK - 1) & ~(BLOCK - 1)) + 16;
}

/** Writes the indices of the values that are not below `least`, and returns how many there are. */
function compact(z: usize, n: i32, least: f32, indices: usize): i32 {
  const limit = f32x4.splat(least);
  let at = indices;
  let i = 0;
  for (; i + 4 <= n; i += 4) {
    const below = (<usize>i32x4.bitmask(f32x4.lt(v128.load(z + ((<usize>i) << 2)), limit))) << 2;
    v128.store(at, i32x4.add(v128.load(OTHERS + (below << 2)), i32x4.splat(i)));
    at += load<i32>(LENGTHS + below);
  }
  for (; i < n; i++) {
    store<i32>(at, i);
    at += load<f32>(z + ((<usize>i) << 2)) < least ? 0 : 4;
  }
  return <i32>((at - indices) >> 2);
}

/** An integer that orders as (value, then the lower index first) does. -0 counts as 0, as comparison of floats has it. */
@inline
function keyOf(value: f32, index: i32): u64 {
  const bits = reinterpret<i32>(value + 0);
  const ordered = <u32>(bits ^ ((bits >> 31) | <i32>0x80000000));
  return (<u64>ordered << 32) | <u64>~(<u32>index);
}

/** The lowest and the highest of the values that `collect` wrote. */
let lowest: f32 = 0;
let highest: f32 = 0;

/** Writes the values of `count` units, and sets `lowest` and `highest`. */
function collect(z: usize, indices: usize, count: i32, values: usize): void {
  const end = indices + ((<usize>count) << 2);
  // Whole vectors: what is missing is the last unit again.
  v128.store(end, v128.load32_splat(end - 4));
  let lows = f32x4.splat(Infinity);
  let highs = f32x4.splat(-Infinity);
  for (let at = indices; at < end; at += 16) {
    const front = v128.load32_lane(unitAt(z, at + 4), v128.load32_zero(unitAt(z, at)), 1);
    const four = v128.load32_lane(unitAt(z, at + 12), v128.load32_lane(unitAt(z, at + 8), front, 2), 3);
    v128.store(values, four);
    values += 16;
    lows = f32x4.pmin(lows, four);
    highs = f32x4.pmax(highs, four);
  }
  lowest = min(
    min(f32x4.extract_lane(lows, 0), f32x4.extract_lane(lows, 1)),
    min(f32x4.extract_lane(lows, 2), f32x4.extract_lane(lows, 3)),
  );
  highest = max(
    max(f32x4.extract_lane(highs, 0), f32x4.extract_lane(highs, 1)),
    max(f32x4.extract_lane(highs, 2), f32x4.extract_lane(highs, 3)),
  );
}

/**
 * Writes the keys of `count` values, in whole blocks: in the lowest `bits` bits the place, above them the step, which is less
 * the greater the value is.
 */
function makeKeys(values: usize, count: i32, bits: i32, keys: usize): void {
  const range = highest - lowest;
  const stepBits = min(STEP_BITS, 31 - bits);
  // The steps end a little below the largest number, which rounding shall not exceed.
  const steps = <f32>((1 << stepBits) - (1 << (stepBits - 8)));
  // All values get the same step where there is no range to divide.
  const perUnit: f32 = range > 1e-30 && range < 1e30 ? steps / range : 0;
  const highs = f32x4.splat(highest);
  const scale = f32x4.splat(perUnit);
  // Adding 2^23 rounds and leaves the number in the lowest bits.
  const magic = f32x4.splat(8388608);
  const mask = i32x4.splat((1 << stepBits) - 1);
  const end = keys + ((<usize>count) << 2);
  const padded = keys + bytesOf(count) - 16;
  let place = i32x4(0, 1, 2, 3);
  let at = keys;
  for (; at < end; at += 16) {
    const steps = f32x4.add(f32x4.mul(f32x4.sub(highs, v128.load(values)), scale), magic);
    v128.store(at, v128.or(i32x4.shl(v128.and(steps, mask), bits), place));
    place = i32x4.add(place, i32x4.splat(4));
    values += 16;
  }
  for (at = end; at < padded; at += 16) v128.store(at, i32x4.splat(i32.MAX_VALUE));
}

/** Whether any of the first `count` keys has the same step as the next one. */
function stepsMeet(keys: usize, count: i32, bits: i32): bool {
  const limit = i32x4.splat(1 << bits);
  let meet = i32x4.splat(0);
  const end = keys + ((<usize>count) << 2);
  let at = keys;
  for (; at + 16 <= end; at += 16) {
    meet = v128.or(meet, i32x4.lt_s(v128.xor(v128.load(at), v128.load(at, 4)), limit));
  }
  let any = v128.any_true(meet);
  for (; at < end; at += 4) any = any || (load<i32>(at) ^ load<i32>(at, 4)) >> bits == 0;
  return any;
}

/** Writes the indices of the k largest of `count` units, by their values, of which `keys` gives the order but for equal steps. */
function settle(keys: usize, values: usize, indices: usize, count: i32, k: i32, bits: i32, order: usize, wide: usize): void {
  const mask = (1 << bits) - 1;
  let run = 0;
  let longest = 0;
  let before = -1;
  for (let i = 0; i < count; i++) {
    const key = load<i32>(keys + ((<usize>i) << 2));
    const place = (<usize>(key & mask)) << 2;
    store<u64>(wide + ((<usize>i) << 3), keyOf(load<f32>(values + place), load<i32>(indices + place)));
    run = key >> bits == before ? run + 1 : 1;
    before = key >> bits;
    longest = max(longest, run);
  }
  if (longest > SHORT) quicksort(wide, 0, count - 1);
  insertionSort(wide, count);
  for (let j = 0; j < k; j++) {
    store<i32>(order + ((<usize>j) << 2), ~(<u32>load<u64>(wide + ((<usize>j) << 3))));
  }
}

/**
 * Writes the indices of the row's k largest, descending, to `order`.
 *
 * @param guess of the row: the k-th largest value when it was last drawn, and how far below it to look now
 */
export function select(z: usize, n: i32, k: i32, order: usize, guess: usize, scratch: usize): void {
  if (n <= TINY) {
    rank(z, n, k, order, scratch);
    return;
  }
  const values = scratch;
  const indices = values + bytesOf(n);
  const keys = indices + bytesOf(n);
  const wide = keys + bytesOf(n);
  let count: i32;
  if (n <= BLOCK) count = compact(z, n, -Infinity, indices);
  else {
    const last = load<f32>(guess);
    let margin = load<f32>(guess, 4);
    count = compact(z, n, last - margin, indices);
    if (count < k) {
      margin *= 4;
      count = compact(z, n, last - margin, indices);
      if (count < k) count = compact(z, n, -Infinity, indices);
    } else if (count > k + (k >> 2) + 4) margin *= 0.875;
    store<f32>(guess, margin, 4);
  }
  collect(z, indices, count, values);
  // The bits of a place.
  const bits = 32 - clz(count - 1);
  makeKeys(values, count, bits, keys);
  sortBlocks(keys, (count + BLOCK - 1) / BLOCK);
  const mask = (1 << bits) - 1;
  if (stepsMeet(keys, min(k, count - 1), bits)) settle(keys, values, indices, count, k, bits, order, wide);
  else {
    for (let j: usize = 0; j < (<usize>k) << 2; j += 4) {
      store<i32>(order + j, load<i32>(indices + ((<usize>(load<i32>(keys + j) & mask)) << 2)));
    }
  }
  const kth = valueAt(z, order, k - 1);
  store<f32>(guess, kth);
  // A first margin, where there is none yet.
  if (load<f32>(guess, 4) == 0) store<f32>(guess, (valueAt(z, order, 0) - kth) / 8, 4);
}

/** `select` for a few units: a unit's place is the number of larger keys. */
function rank(z: usize, n: i32, k: i32, order: usize, keys: usize): void {
  for (let i = 0; i < n; i++) store<u64>(keys + ((<usize>i) << 3), keyOf(load<f32>(z + ((<usize>i) << 2)), i));
  for (let i = 0; i < n; i++) {
    const key = load<u64>(keys + ((<usize>i) << 3));
    let place = 0;
    for (let j = 0; j < n; j++) place += i32(load<u64>(keys + ((<usize>j) << 3)) > key);
    if (place < k) store<i32>(order + ((<usize>place) << 2), i);
  }
}

/** The address of the unit whose index lies at an address. */
@inline
function unitAt(z: usize, index: usize): usize {
  return z + ((<usize>load<i32>(index)) << 2);
}

@inline
function valueAt(z: usize, order: usize, j: i32): f32 {
  return load<f32>(z + ((<usize>load<i32>(order + ((<usize>j) << 2))) << 2));
}

/** Sorts keys in descending order; they are nearly in order or few. */
function insertionSort(keys: usize, count: i32): void {
  for (let i = 1; i < count; i++) {
    const key = load<u64>(keys + ((<usize>i) << 3));
    let at = keys + ((<usize>i) << 3);
    while (at > keys && load<u64>(at - 8) < key) {
      store<u64>(at, load<u64>(at - 8));
      at -= 8;
    }
    store<u64>(at, key);
  }
}

/** Sorts in descending order, but leaves runs of up to SHORT keys as they are. Needed where an outlier squeezes the others into one step. */
function quicksort(keys: usize, from: i32, to: i32): void {
  while (to - from >= SHORT) {
    const pivot = load<u64>(keys + ((<usize>((from + to) >> 1)) << 3));
    let i = from;
    let j = to;
    while (i <= j) {
      while (load<u64>(keys + ((<usize>i) << 3)) > pivot) i++;
      while (load<u64>(keys + ((<usize>j) << 3)) < pivot) j--;
      if (i > j) break;
      const a = load<u64>(keys + ((<usize>i) << 3));
      store<u64>(keys + ((<usize>i) << 3), load<u64>(keys + ((<usize>j) << 3)));
      store<u64>(keys + ((<usize>j) << 3), a);
      i++;
      j--;
    }
    if (j - from < to - i) {
      quicksort(keys, from, j);
      from = i;
    } else {
      quicksort(keys, i, to);
      to = j;
    }
  }
}
