/**
 * The k largest of a row, in order, ties by lower index.
 *
 * A row's k-th largest value changes little from step to step, so units below a guess are left out first, by vectors. The
 * guess decides how much work is left and never the result. What is left is sorted into buckets, of which the first ones,
 * up to the k-th unit, are put in order.
 */

/** Most buckets of a row. */
const BUCKETS: i32 = 1024;
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
  return 16 * (<usize>n) + 64 + 4 * (<usize>BUCKETS + 2);
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

/** The bucket of a value; larger values have lower buckets. Adding 2^23 rounds and leaves the number in the lowest bits. */
@inline
function bucketOf(value: f32, highest: f32, perUnit: f32, buckets: i32): i32 {
  return reinterpret<i32>((highest - value) * perUnit + 8388608) & (buckets - 1);
}

/** Writes the keys of all that may be among the k largest of `count` units, nearly in order, and returns how many. */
function distribute(values: usize, indices: usize, count: i32, k: i32, keys: usize, starts: usize): i32 {
  let lows = f32x4.splat(Infinity);
  let highs = f32x4.splat(-Infinity);
  let i = 0;
  for (; i + 4 <= count; i += 4) {
    const four = v128.load(values + ((<usize>i) << 2));
    lows = f32x4.pmin(lows, four);
    highs = f32x4.pmax(highs, four);
  }
  let low = min(
    min(f32x4.extract_lane(lows, 0), f32x4.extract_lane(lows, 1)),
    min(f32x4.extract_lane(lows, 2), f32x4.extract_lane(lows, 3)),
  );
  let highest = max(
    max(f32x4.extract_lane(highs, 0), f32x4.extract_lane(highs, 1)),
    max(f32x4.extract_lane(highs, 2), f32x4.extract_lane(highs, 3)),
  );
  for (; i < count; i++) {
    const value = load<f32>(values + ((<usize>i) << 2));
    low = min(low, value);
    highest = max(highest, value);
  }
  // About two buckets a unit: a power of two.
  const buckets = min<i32>(BUCKETS, 1 << (33 - clz(count)));
  const perUnit: f32 = highest > low ? <f32>(buckets - 1) / (highest - low) : 0;
  memory.fill(starts, 0, 4 * (<usize>buckets + 1));
  for (i = 0; i < count; i++) {
    const bucket = bucketOf(load<f32>(values + ((<usize>i) << 2)), highest, perUnit, buckets);
    const at = starts + ((<usize>bucket) << 2);
    store<i32>(at, load<i32>(at, 4) + 1, 4);
  }
  // From counts, each one place behind its bucket, to where a bucket's keys begin. The k-th unit lies in bucket `last`.
  let last = 0;
  let before = 0;
  let fullest = 0;
  while (true) {
    const at = starts + ((<usize>last) << 2);
    const inBucket = load<i32>(at, 4);
    store<i32>(at, before);
    before += inBucket;
    fullest = max(fullest, inBucket);
    if (before >= k) break;
    last++;
  }
  for (i = 0; i < count; i++) {
    const value = load<f32>(values + ((<usize>i) << 2));
    const bucket = bucketOf(value, highest, perUnit, buckets);
    if (bucket > last) continue;
    const at = starts + ((<usize>bucket) << 2);
    const position = load<i32>(at);
    store<i32>(at, position + 1);
    store<u64>(keys + ((<usize>position) << 3), keyOf(value, load<i32>(indices + ((<usize>i) << 2))));
  }
  if (fullest > SHORT) quicksort(keys, 0, before - 1);
  return before;
}

/**
 * Writes the indices of the row's k largest, descending, to `order`.
 *
 * @param guess of the row: the k-th largest value when it was last drawn, and how far below it to look now
 */
export function select(z: usize, n: i32, k: i32, order: usize, guess: usize, scratch: usize): void {
  const keys = scratch;
  if (n <= TINY) {
    rank(z, n, k, order, keys);
    return;
  }
  const values = keys + 8 * (<usize>n);
  const indices = values + 4 * (<usize>n) + 16;
  const starts = indices + 4 * (<usize>n) + 16;
  let found: i32;
  if (n <= SHORT) {
    for (let i = 0; i < n; i++) store<u64>(keys + ((<usize>i) << 3), keyOf(load<f32>(z + ((<usize>i) << 2)), i));
    found = n;
  } else {
    const last = load<f32>(guess);
    let margin = load<f32>(guess, 4);
    let count = compact(z, n, last - margin, indices);
    if (count < k) {
      margin *= 4;
      count = compact(z, n, last - margin, indices);
      if (count < k) count = compact(z, n, -Infinity, indices);
    } else if (count > k + (k >> 2) + 4) margin *= 0.875;
    store<f32>(guess, margin, 4);
    for (let i = 0; i < count; i++) {
      store<f32>(values + ((<usize>i) << 2), valueAt(z, indices, i));
    }
    if (count <= SHORT) {
      for (let i = 0; i < count; i++) {
        const at = (<usize>i) << 2;
        store<u64>(keys + (at << 1), keyOf(load<f32>(values + at), load<i32>(indices + at)));
      }
      found = count;
    } else found = distribute(values, indices, count, k, keys, starts);
  }
  insertionSort(keys, found);
  for (let j = 0; j < k; j++) {
    store<i32>(order + ((<usize>j) << 2), ~(<u32>load<u64>(keys + ((<usize>j) << 3))));
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

/** Sorts in descending order, but leaves runs of up to SHORT keys as they are. Needed where an outlier squeezes the others into one bucket. */
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
