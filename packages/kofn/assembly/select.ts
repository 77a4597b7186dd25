/**
 * The k largest of each of four rows, in order, ties by lower index.
 *
 * A row's k-th largest value changes little from step to step, so units below a guess are left out first, by vectors. What is
 * left is sorted as integers of 31 bits, four rows as the lanes of vectors: the value, rounded to as many steps as there are
 * bits for, and the index. Where two values share a step, the values themselves are put in order. Guesses, of the k-th and of
 * the largest value, decide how much work is left and never the result.
 */

import { loadLanes } from "./math";
import { sortBytes, sortLanes } from "./sort";

/** Rows that are ranked side by side. */
export const ROWS: i32 = 4;
/** Bytes of the guesses of a row: its k-th largest value, how far below it to look, and its largest value. */
export const GUESS: usize = 12;
/** Most bits of a value's step. */
const STEP_BITS: i32 = 23;
/** Up to so many keys are sorted by insertion alone. */
const SHORT: i32 = 24;
/** So often a row is looked at for units that are farther below the guess, before all are taken. */
const RETRIES: i32 = 6;
/** Of rows up to so long no unit is left out. */
export const FEW: i32 = 32;

/** For each set of lanes, the numbers of the others, in front. */
const OTHERS: usize = memory.data(256, 16);
/** For each set of lanes, four times the number of the others. */
const LENGTHS: usize = memory.data(64, 16);

/**
 * What lies in front in scratch memory, of each row, as lanes: the values between which steps lie, where it begins (in bytes
 * behind the first row), and how many of its units are left.
 */
const LOWS: usize = 0;
const HIGHS: usize = 16;
const BEGINS: usize = 32;
const COUNTS: usize = 48;
const TABLES: usize = 64;

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

/** Bytes of scratch memory that rows of n need. */
export function selectScratch(n: i32): usize {
  return TABLES + 4 * bytesOf(n) + sortBytes(n) + 8 * (<usize>n);
}

/** Bytes of as many numbers as a row of n has, and two vectors. */
function bytesOf(n: i32): usize {
  return ((4 * (<usize>n) + 15) & ~15) + 32;
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

/**
 * Finds a row's units among which the k largest are, and values between which these lie, or nearly.
 *
 * @param own the row's lane of the tables
 */
function leave(z: usize, n: i32, k: i32, guess: usize, indices: usize, own: usize): void {
  const last = load<f32>(guess);
  const margin = load<f32>(guess, 4);
  const top = load<f32>(guess, 8);
  let low = last - margin;
  let high = top + (top - last);
  let count = compact(z, n, low, indices);
  if (count < k) store<f32>(guess, 1.5 * margin, 4);
  else if (count > k + (k >> 3) + 4) store<f32>(guess, 0.97 * margin, 4);
  for (let tries = 0, reach = margin; count < k; tries++) {
    reach *= 2;
    low = tries < RETRIES ? last - reach : -Infinity;
    count = compact(z, n, low, indices);
  }
  if (low == -Infinity) {
    low = Infinity;
    high = -Infinity;
    for (let i = 0; i < n; i++) {
      const value = load<f32>(z + ((<usize>i) << 2));
      low = min(low, value);
      high = max(high, value);
    }
    // A first margin, where there is none yet.
    if (margin == 0) store<f32>(guess, (high - low) / 16, 4);
  }
  store<f32>(own, low, LOWS);
  store<f32>(own, high, HIGHS);
  store<i32>(own, count, COUNTS);
}

/** The address of a unit of a row that begins at z, whose index lies at `index`. */
@inline
function unitAt(z: usize, index: usize): usize {
  return z + ((<usize>load<i32>(index)) << 2);
}

/** Keys of values: in the lowest `bits` bits the index, above them the step, which is less the greater the value is. */
@inline
function keysOf(values: v128, indices: v128, bits: i32, highs: v128, scales: v128, last: v128, mask: v128): v128 {
  const steps = f32x4.pmax(f32x4.mul(f32x4.sub(highs, values), scales), f32x4.splat(0));
  // Adding 2^23 rounds and leaves the number in the lowest bits.
  const rounded = f32x4.add(f32x4.pmin(steps, last), f32x4.splat(8388608));
  return v128.or(i32x4.shl(v128.and(rounded, mask), bits), indices);
}

/**
 * Writes the keys of `count` units of each row: of those that `indices` names, or of all (no address).
 *
 * @param tables of the rows
 * @param each bytes from the indices of a row to those of the next
 */
function makeKeys(tables: usize, z: usize, count: i32, indices: usize, each: usize, bits: i32, keys: usize): void {
  const stepBits = min(STEP_BITS, 31 - bits);
  const mask = i32x4.splat((1 << stepBits) - 1);
  // The steps end a little below the largest number, which rounding shall not exceed.
  const last = f32x4.splat(<f32>((1 << stepBits) - (1 << (stepBits - 8))));
  const zB = z + <usize>load<i32>(tables, BEGINS + 4);
  const zC = z + <usize>load<i32>(tables, BEGINS + 8);
  const zD = z + <usize>load<i32>(tables, BEGINS + 12);
  const end = keys + ((<usize>count) << 4);
  if (indices == 0) {
    let lows = f32x4.splat(Infinity);
    let highs = f32x4.splat(-Infinity);
    for (let at = keys; at < end; at += 16) {
      const unit = (at - keys) >> 2;
      const values = loadLanes(z + unit, zB + unit, zC + unit, zD + unit);
      lows = f32x4.pmin(lows, values);
      highs = f32x4.pmax(highs, values);
      v128.store(at, values);
    }
    const scales = scalesOf(lows, highs, last);
    let index = i32x4.splat(0);
    for (let at = keys; at < end; at += 16) {
      v128.store(at, keysOf(v128.load(at), index, bits, highs, scales, last, mask));
      index = i32x4.add(index, i32x4.splat(1));
    }
    return;
  }
  const highs = v128.load(tables, HIGHS);
  const scales = scalesOf(v128.load(tables, LOWS), highs, last);
  for (let lane: usize = 0; lane < <usize>ROWS; lane++) {
    const own = indices + lane * each;
    for (let j = load<i32>(tables + (lane << 2), COUNTS); j < count; j++) store<i32>(own + ((<usize>j) << 2), 0);
  }
  let a = indices;
  for (let at = keys; at < end; at += 16) {
    const b = a + each;
    const c = b + each;
    const d = c + each;
    const values = loadLanes(unitAt(z, a), unitAt(zB, b), unitAt(zC, c), unitAt(zD, d));
    v128.store(at, keysOf(values, loadLanes(a, b, c, d), bits, highs, scales, last, mask));
    a += 4;
  }
  // Keys of units that a row does not have follow all others.
  for (let lane: usize = 0; lane < 16; lane += 4) {
    for (let j = load<i32>(tables + lane, COUNTS); j < count; j++) {
      store<i32>(keys + ((<usize>j) << 4) + lane, i32.MAX_VALUE);
    }
  }
}

/** Steps per unit of value; 0, so that all values get the same step, where there is no range to divide. */
@inline
function scalesOf(lows: v128, highs: v128, last: v128): v128 {
  const range = f32x4.sub(highs, lows);
  const divides = v128.and(f32x4.gt(range, f32x4.splat(1e-30)), f32x4.lt(range, f32x4.splat(1e30)));
  return v128.and(f32x4.div(last, range), divides);
}

/** An integer that orders as (value, then the lower index first) does. -0 counts as 0, as comparison of floats has it. */
@inline
function keyOf(value: f32, index: i32): u64 {
  const bits = reinterpret<i32>(value + 0);
  const ordered = <u32>(bits ^ ((bits >> 31) | <i32>0x80000000));
  return (<u64>ordered << 32) | <u64>~(<u32>index);
}

/** Writes the places of a row's k largest by their values, where `keys`, of one lane, give their order but for equal steps. */
function settle(z: usize, begin: i32, keys: usize, count: i32, k: i32, bits: i32, order: usize, wide: usize): void {
  const mask = (1 << bits) - 1;
  let run = 0;
  let longest = 0;
  let before = -1;
  for (let i = 0; i < count; i++) {
    const key = load<i32>(keys + ((<usize>i) << 4));
    const index = key & mask;
    store<u64>(wide + ((<usize>i) << 3), keyOf(load<f32>(z + ((<usize>index) << 2)), index));
    run = key >> bits == before ? run + 1 : 1;
    before = key >> bits;
    longest = max(longest, run);
  }
  if (longest > SHORT) quicksort(wide, 0, count - 1);
  insertionSort(wide, count);
  for (let j = 0; j < k; j++) {
    store<i32>(order + ((<usize>j) << 4), begin + ((~(<i32>load<u64>(wide + ((<usize>j) << 3)))) << 2));
  }
}

/**
 * Ranks up to ROWS rows that follow each other. Writes to `order` the places of their k largest, descending: [k, 4], in bytes
 * behind the first row's first unit. Lanes without a row of their own get the last one's.
 *
 * @param guesses of the rows, GUESS bytes each; they begin as (-Infinity, 0, 0)
 */
export function selectRows(z: usize, rows: i32, n: i32, k: i32, order: usize, guesses: usize, scratch: usize): void {
  const each = bytesOf(n);
  const tables = scratch;
  const indices = n <= FEW ? <usize>0 : tables + TABLES;
  const keys = tables + TABLES + 4 * each;
  const wide = keys + sortBytes(n);
  const bits = 32 - clz(n - 1);
  let count = n;
  for (let lane = 0; lane < ROWS; lane++) {
    store<i32>(tables + ((<usize>lane) << 2), (min(lane, rows - 1) * n) << 2, BEGINS);
  }
  if (indices != 0) {
    count = 0;
    for (let lane = 0; lane < rows; lane++) {
      const own = tables + ((<usize>lane) << 2);
      const guess = guesses + GUESS * (<usize>lane);
      leave(z + <usize>load<i32>(own, BEGINS), n, k, guess, indices + (<usize>lane) * each, own);
      count = max(count, load<i32>(own, COUNTS));
    }
    for (let lane = <usize>rows; lane < <usize>ROWS; lane++) {
      const own = tables + 4 * lane;
      for (let table: usize = 0; table < TABLES; table += 16) store<i32>(own + table, load<i32>(own + table - 4));
      memory.copy(indices + lane * each, indices + (lane - 1) * each, each);
    }
  } else v128.store(tables, i32x4.splat(n), COUNTS);
  makeKeys(tables, z, count, indices, each, bits, keys);
  sortLanes(keys, count);
  const mask = i32x4.splat((1 << bits) - 1);
  const begins = v128.load(tables, BEGINS);
  const limit = i32x4.splat(1 << bits);
  let meet = i32x4.splat(0);
  let key = v128.load(keys);
  for (let j: usize = 0; j < (<usize>k) << 4; j += 16) {
    v128.store(order + j, i32x4.add(i32x4.shl(v128.and(key, mask), 2), begins));
    const next = v128.load(keys + j, 16);
    meet = v128.or(meet, i32x4.lt_s(v128.xor(key, next), limit));
    key = next;
  }
  const meeting = i32x4.bitmask(meet);
  for (let lane = 0; meeting >> lane != 0; lane++) {
    if (((meeting >> lane) & 1) == 0) continue;
    const at = (<usize>lane) << 2;
    const begin = load<i32>(tables + at, BEGINS);
    settle(z + <usize>begin, begin, keys + at, load<i32>(tables + at, COUNTS), k, bits, order + at, wide);
  }
  if (indices == 0) return;
  for (let lane = 0; lane < rows; lane++) {
    const own = order + ((<usize>lane) << 2);
    const first = load<f32>(z + <usize>load<i32>(own));
    const kth = load<f32>(z + <usize>load<i32>(own + ((<usize>(k - 1)) << 4)));
    learn(guesses + GUESS * (<usize>lane), first, kth);
  }
}

/** Brings the guesses of a row up to date: the mean of its k-th largest values, of which the last ones count most. */
function learn(guess: usize, first: f32, kth: f32): void {
  const last = load<f32>(guess);
  store<f32>(guess, last == -Infinity ? kth : last + 0.25 * (kth - last));
  store<f32>(guess, first, 8);
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

/**
 * Sorts in descending order, but leaves runs of up to SHORT keys as they are. Needed where an outlier squeezes the others into
 * one step.
 */
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
