/**
 * The forward half of the k-of-n sampler on the host: Gumbel noise, and the k largest perturbed logits of each row in
 * order. onnxruntime's TopK takes five times as long.
 *
 * Random bits: Philox4x32 with 7 rounds (Salmon et al., SC 2011: the fewest that pass BigCrush). Block j of a step's
 * noise has the counter (j, step low, step high, 0) and gives the elements 4j .. 4j + 3.
 */

/** What stands for minus infinity in `undrawn`; finite, so that a softmax over nothing is no NaN. */
const LOWEST: f32 = -1e30;
/** A row is sorted into so many buckets between its smallest and its largest value. */
const BUCKETS: i32 = 1024;
/** Longest run of keys that is sorted by insertion. */
const SHORT: i32 = 32;

/** First byte of the memory that the caller may use. */
export function base(): usize {
  return (__heap_base + 15) & ~15;
}

/** High halves of the four 64-bit products of unsigned 32-bit lanes. */
@inline
function mulHigh(a: v128, b: v128): v128 {
  return v128.shuffle<u32>(
    i64x2.extmul_low_i32x4_u(a, b),
    i64x2.extmul_high_i32x4_u(a, b),
    1,
    3,
    5,
    7,
  );
}

/** Natural logarithm of positive normal floats: the range reduction and polynomial of Cephes' logf. */
@inline
function log(x: v128): v128 {
  const one = f32x4.splat(1);
  // x = 2^e * m with m in [0.5, 1), then m in [sqrt(1/2), sqrt(2))
  let e = f32x4.convert_i32x4_s(i32x4.sub(i32x4.shr_u(x, 23), i32x4.splat(126)));
  let m = v128.or(v128.and(x, i32x4.splat(0x007fffff)), i32x4.splat(0x3f000000));
  const low = f32x4.lt(m, f32x4.splat(0.7071067811865476));
  e = f32x4.sub(e, v128.and(low, one));
  m = f32x4.sub(f32x4.add(m, v128.and(low, m)), one);
  const square = f32x4.mul(m, m);
  let p = f32x4.splat(7.0376836292e-2);
  p = f32x4.add(f32x4.mul(p, m), f32x4.splat(-1.1514610310e-1));
  p = f32x4.add(f32x4.mul(p, m), f32x4.splat(1.1676998740e-1));
  p = f32x4.add(f32x4.mul(p, m), f32x4.splat(-1.2420140846e-1));
  p = f32x4.add(f32x4.mul(p, m), f32x4.splat(1.4249322787e-1));
  p = f32x4.add(f32x4.mul(p, m), f32x4.splat(-1.6668057665e-1));
  p = f32x4.add(f32x4.mul(p, m), f32x4.splat(2.0000714765e-1));
  p = f32x4.add(f32x4.mul(p, m), f32x4.splat(-2.4999993993e-1));
  p = f32x4.add(f32x4.mul(p, m), f32x4.splat(3.3333331174e-1));
  p = f32x4.mul(f32x4.mul(p, m), square);
  p = f32x4.add(p, f32x4.mul(e, f32x4.splat(-2.12194440e-4)));
  p = f32x4.sub(p, f32x4.mul(square, f32x4.splat(0.5)));
  return f32x4.add(f32x4.add(m, p), f32x4.mul(e, f32x4.splat(0.693359375)));
}

/** scale * -log(-log u) of bits, u = (top 23 bits + 1/2) / 2^23. */
@inline
function gumbel(bits: v128, scale: v128): v128 {
  const u = f32x4.mul(
    f32x4.add(f32x4.convert_i32x4_s(i32x4.shr_u(bits, 9)), f32x4.splat(0.5)),
    f32x4.splat(1.0 / 8388608.0),
  );
  return f32x4.neg(f32x4.mul(log(f32x4.neg(log(u))), scale));
}

/** Writes z = phi + scale * Gumbel noise; `count` is a multiple of 16. */
export function perturb(
  z: usize,
  phi: usize,
  count: i32,
  key0: i32,
  key1: i32,
  stepLow: i32,
  stepHigh: i32,
  scale: f32,
): void {
  const scales = f32x4.splat(scale);
  const m0 = i32x4.splat(0xd2511f53);
  const m1 = i32x4.splat(0xcd9e8d57);
  for (let block = 0; block < count >> 2; block += 4) {
    let c0 = i32x4.add(i32x4.splat(block), i32x4(0, 1, 2, 3));
    let c1 = i32x4.splat(stepLow);
    let c2 = i32x4.splat(stepHigh);
    let c3 = i32x4.splat(0);
    let k0 = key0;
    let k1 = key1;
    for (let round = 0; round < 7; round++) {
      const high0 = mulHigh(c0, m0);
      const low0 = i32x4.mul(c0, m0);
      const high1 = mulHigh(c2, m1);
      const low1 = i32x4.mul(c2, m1);
      c0 = v128.xor(v128.xor(high1, c1), i32x4.splat(k0));
      c1 = low1;
      c2 = v128.xor(v128.xor(high0, c3), i32x4.splat(k1));
      c3 = low0;
      k0 += 0x9e3779b9;
      k1 += 0xbb67ae85;
    }
    const g0 = gumbel(c0, scales);
    const g1 = gumbel(c1, scales);
    const g2 = gumbel(c2, scales);
    const g3 = gumbel(c3, scales);
    // Lane b of g_i is element 4 (block + b) + i: transpose.
    const a0 = v128.shuffle<u32>(g0, g1, 0, 4, 1, 5);
    const a1 = v128.shuffle<u32>(g2, g3, 0, 4, 1, 5);
    const b0 = v128.shuffle<u32>(g0, g1, 2, 6, 3, 7);
    const b1 = v128.shuffle<u32>(g2, g3, 2, 6, 3, 7);
    v128.store(z, f32x4.add(v128.load(phi), v128.shuffle<u64>(a0, a1, 0, 2)));
    v128.store(z, f32x4.add(v128.load(phi, 16), v128.shuffle<u64>(a0, a1, 1, 3)), 16);
    v128.store(z, f32x4.add(v128.load(phi, 32), v128.shuffle<u64>(b0, b1, 0, 2)), 32);
    v128.store(z, f32x4.add(v128.load(phi, 48), v128.shuffle<u64>(b0, b1, 1, 3)), 48);
    z += 64;
    phi += 64;
  }
}

/**
 * An integer that orders as (value, then the lower index first) does. -0 counts as 0, as comparison of floats has it.
 */
@inline
function keyOf(value: f32, index: i32): u64 {
  const bits = reinterpret<i32>(value + 0);
  const ordered = <u32>(bits ^ ((bits >> 31) | <i32>0x80000000));
  return (<u64>ordered << 32) | <u64>~(<u32>index);
}

/** The bucket of a value; larger values have lower buckets. */
@inline
function bucketOf(value: f32, max: f32, perUnit: f32): i32 {
  return min<i32>(<i32>((max - value) * perUnit), BUCKETS - 1);
}

/**
 * Writes the keys of a row that may be among its k largest, and returns how many: all of a short row; of a long one those in
 * the first buckets, bucket by bucket.
 */
function gather(z: usize, n: i32, k: i32, keys: usize, starts: usize): i32 {
  let i = 0;
  if (n <= SHORT) {
    for (; i < n; i++) store<u64>(keys + ((<usize>i) << 3), keyOf(load<f32>(z + ((<usize>i) << 2)), i));
    return n;
  }
  let lows = f32x4.splat(Infinity);
  let highs = f32x4.splat(-Infinity);
  for (; i + 4 <= n; i += 4) {
    const four = v128.load(z + ((<usize>i) << 2));
    lows = f32x4.min(lows, four);
    highs = f32x4.max(highs, four);
  }
  let low = min(
    min(f32x4.extract_lane(lows, 0), f32x4.extract_lane(lows, 1)),
    min(f32x4.extract_lane(lows, 2), f32x4.extract_lane(lows, 3)),
  );
  let high = max(
    max(f32x4.extract_lane(highs, 0), f32x4.extract_lane(highs, 1)),
    max(f32x4.extract_lane(highs, 2), f32x4.extract_lane(highs, 3)),
  );
  for (; i < n; i++) {
    const value = load<f32>(z + ((<usize>i) << 2));
    low = min(low, value);
    high = max(high, value);
  }
  const perUnit: f32 = high > low ? <f32>(BUCKETS - 1) / (high - low) : 0;
  memory.fill(starts, 0, 4 * (BUCKETS + 1));
  for (i = 0; i < n; i++) {
    const at = starts + ((<usize>bucketOf(load<f32>(z + ((<usize>i) << 2)), high, perUnit)) << 2);
    store<i32>(at, load<i32>(at, 4) + 1, 4);
  }
  // From counts, each one place behind its bucket, to where a bucket's keys begin. The draws end in bucket `last`.
  let last = 0;
  let before = 0;
  while (true) {
    const at = starts + ((<usize>last) << 2);
    const count = load<i32>(at, 4);
    store<i32>(at, before);
    before += count;
    if (before >= k) break;
    last++;
  }
  for (i = 0; i < n; i++) {
    const value = load<f32>(z + ((<usize>i) << 2));
    const bucket = bucketOf(value, high, perUnit);
    if (bucket > last) continue;
    const at = starts + ((<usize>bucket) << 2);
    const position = load<i32>(at);
    store<i32>(at, position + 1);
    store<u64>(keys + ((<usize>position) << 3), keyOf(value, i));
  }
  return before;
}

/**
 * Draws from rows of z: `draws` [rows, k] are the indices of the k largest, descending, ties by lower index, and
 * `values` [rows, k] are they; then z itself becomes z / tau, with LOWEST where a unit was drawn.
 *
 * A long row is a bucket sort that stops at the k-th: buckets by value, the first ones sorted.
 *
 * @param scratch room for 4 * (BUCKETS + 1) + 8 * n bytes, aligned to 8
 */
export function draw(
  z: usize,
  values: usize,
  draws: usize,
  rows: i32,
  n: i32,
  k: i32,
  inverseTau: f32,
  scratch: usize,
): void {
  const keys = scratch;
  const starts = scratch + 8 * (<usize>n);
  for (let row = 0; row < rows; row++) {
    sort(keys, gather(z, n, k, keys, starts));
    let i = 0;
    for (; i + 4 <= n; i += 4) {
      const at = z + ((<usize>i) << 2);
      v128.store(at, f32x4.mul(v128.load(at), f32x4.splat(inverseTau)));
    }
    for (; i < n; i++) {
      const at = z + ((<usize>i) << 2);
      store<f32>(at, load<f32>(at) * inverseTau);
    }
    for (let j = 0; j < k; j++) {
      const key = load<u64>(keys + ((<usize>j) << 3));
      const index = ~(<u32>key);
      const ordered = <u32>(key >> 32);
      const bits = ordered ^ (((~ordered) >> 31) * 0x7fffffff | 0x80000000);
      store<i32>(draws, index);
      store<f32>(values, reinterpret<f32>(bits));
      store<f32>(z + ((<usize>index) << 2), LOWEST);
      draws += 4;
      values += 4;
    }
    z += (<usize>n) << 2;
  }
}

/** Sorts keys in descending order: quicksort down to short runs, and one insertion sort over all of them. */
function sort(keys: usize, count: i32): void {
  quicksort(keys, 0, count - 1);
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

/** Leaves runs of up to SHORT keys unsorted. Keys that come out of the buckets are nearly in order, so pivots are central. */
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
