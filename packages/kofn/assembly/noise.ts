/**
 * Gumbel noise: a pool of standard Gumbel values, which is made once, and is read from another place in each step.
 *
 * The pool is a pure function of its key: elements come in chunks, and a chunk is four interleaved streams of xoshiro128++
 * (Blackman and Vigna, arXiv 1805.01407), lane b being the elements of index 4 i + b. The four words of a lane's state are
 * one block of Philox4x32 with 7 rounds (Salmon et al., SC 2011: the fewest that pass BigCrush); chunk c's lane b has the
 * block of counter (4 c + b, 0, 0, 0).
 */

import { Sampler } from "./structures";

/** Elements of a chunk. */
const CHUNK: i32 = 512;

/** High halves of the four 64-bit products of unsigned 32-bit lanes. */
@inline
function high(low: v128, top: v128): v128 {
  return v128.shuffle<u32>(low, top, 1, 3, 5, 7);
}

@inline
function rotl(x: v128, by: i32): v128 {
  return v128.or(i32x4.shl(x, by), i32x4.shr_u(x, 32 - by));
}

/**
 * -log(-log u) of random bits, u = (top 23 bits + 1/2) / 2^23, with an absolute error of 2e-5.
 *
 * u = 2^-j m with m in [1, 2), so -log2 u = j - 1 + w P(w) with w = 2 - m, which keeps its relative precision as u
 * tends to 1; of the outer logarithm the exponent and the mantissa are taken together, as a line, and Q is what is left.
 */
@inline
function gumbel(bits: v128): v128 {
  const x = f32x4.add(f32x4.convert_i32x4_s(i32x4.shr_u(bits, 9)), f32x4.splat(0.5));
  const mantissa = i32x4.splat(0x007fffff);
  const one = i32x4.splat(0x3f800000);
  const w = f32x4.sub(f32x4.splat(2), v128.or(v128.and(x, mantissa), one));
  // 127 + 22: the exponent of x when u is just below 1.
  const j = f32x4.convert_i32x4_s(i32x4.sub(i32x4.splat(149), i32x4.shr_u(x, 23)));
  let p = f32x4.splat(0.0195422151);
  p = f32x4.add(f32x4.mul(p, w), f32x4.splat(-0.0151827295));
  p = f32x4.add(f32x4.mul(p, w), f32x4.splat(0.0373829422));
  p = f32x4.add(f32x4.mul(p, w), f32x4.splat(0.0562050545));
  p = f32x4.add(f32x4.mul(p, w), f32x4.splat(0.180704997));
  p = f32x4.add(f32x4.mul(p, w), f32x4.splat(0.721341936));
  // y = -log2 u; -log(y log 2) = -log 2 * (exponent + mantissa - 1) + Q(mantissa) - log log 2
  const y = f32x4.add(j, f32x4.mul(p, w));
  const line = f32x4.mul(
    f32x4.convert_i32x4_s(i32x4.sub(y, one)),
    f32x4.splat(-0.6931471805599453 / 8388608.0),
  );
  const m = v128.or(v128.and(y, mantissa), one);
  let q = f32x4.splat(-0.0311040081);
  q = f32x4.add(f32x4.mul(q, m), f32x4.splat(0.288739883));
  q = f32x4.add(f32x4.mul(q, m), f32x4.splat(-1.13062598));
  q = f32x4.add(f32x4.mul(q, m), f32x4.splat(2.46122184));
  q = f32x4.add(f32x4.mul(q, m), f32x4.splat(-2.83615762));
  q = f32x4.add(f32x4.mul(q, m), f32x4.splat(1.2479172 + 0.36651292058166435));
  return f32x4.add(line, q);
}

/**
 * Writes `count` elements of standard Gumbel noise, a multiple of 4, and the first 4 of them once more behind them, so that
 * whole vectors can be read where a reader begins again.
 */
export function fillPool(pool: usize, count: i32, key0: i32, key1: i32): void {
  for (let chunk = 0; chunk * CHUNK < count; chunk++) {
    const from = chunk * CHUNK;
    fillChunk(pool + ((<usize>from) << 2), min(CHUNK, count - from), chunk, key0, key1);
  }
  v128.store(pool + ((<usize>count) << 2), v128.load(pool));
}

/** Writes the `count` elements of a chunk, a multiple of 4. */
function fillChunk(at: usize, count: i32, chunk: i32, key0: i32, key1: i32): void {
  const m0 = i32x4.splat(0xd2511f53);
  const m1 = i32x4.splat(0xcd9e8d57);
  let s0 = i32x4.add(i32x4.splat(4 * chunk), i32x4(0, 1, 2, 3));
  let s1 = i32x4.splat(0);
  let s2 = i32x4.splat(0);
  let s3 = i32x4.splat(0);
  for (let round = 0; round < 7; round++) {
    const high0 = high(i64x2.extmul_low_i32x4_u(s0, m0), i64x2.extmul_high_i32x4_u(s0, m0));
    const high1 = high(i64x2.extmul_low_i32x4_u(s2, m1), i64x2.extmul_high_i32x4_u(s2, m1));
    const low0 = i32x4.mul(s0, m0);
    const low1 = i32x4.mul(s2, m1);
    s0 = v128.xor(v128.xor(high1, s1), i32x4.splat(key0));
    s1 = low1;
    s2 = v128.xor(v128.xor(high0, s3), i32x4.splat(key1));
    s3 = low0;
    key0 += 0x9e3779b9;
    key1 += 0xbb67ae85;
  }
  const end = at + ((<usize>count) << 2);
  while (at < end) {
    const bits = i32x4.add(rotl(i32x4.add(s0, s3), 7), s0);
    const t = i32x4.shl(s1, 9);
    s2 = v128.xor(s2, s0);
    s3 = v128.xor(s3, s1);
    s1 = v128.xor(s1, s2);
    s0 = v128.xor(s0, s3);
    s2 = v128.xor(s2, t);
    s3 = rotl(s3, 11);
    v128.store(at, gumbel(bits));
    at += 16;
  }
}

/**
 * Writes z = phi + scale * noise for the elements from `from` to before `end`, multiples of 4. Element i of the layer, in
 * block b of `size` elements, has element (offsets[b] + i) mod size of the pool, which has `size` elements, a power of two.
 */
export function perturb(sampler: Sampler, from: i32, end: i32, scale: f32): void {
  const z = sampler.perturbed;
  const phi = sampler.logits.values;
  const pool = sampler.pool;
  const size = sampler.poolSize;
  const offsets = sampler.offsets;
  const scales = f32x4.splat(scale);
  const wrap = 4 * size - 4;
  while (from < end) {
    const block = from / size;
    const blockEnd = min(end, (block + 1) * size);
    let place = (4 * (load<i32>(offsets + ((<usize>block) << 2)) + from)) & wrap;
    let at = (<usize>from) << 2;
    const last = (<usize>blockEnd) << 2;
    for (; at < last; at += 16) {
      const noise = v128.load(pool + <usize>place);
      v128.store(z + at, f32x4.add(v128.load(phi + at), f32x4.mul(noise, scales)));
      place = (place + 16) & wrap;
    }
    from = blockEnd;
  }
}
