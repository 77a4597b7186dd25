/**
 * Gumbel noise as a pure function of (key, step, index), four lanes at a time.
 *
 * Random bits: Philox4x32 with 7 rounds (Salmon et al., SC 2011: the fewest that pass BigCrush). Block j of a step's
 * noise has the counter (j, step low, step high, 0) and gives the elements 4j .. 4j + 3.
 */

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

/** Writes `count` elements, a multiple of 16, at `out`: scale * Gumbel noise. */
export function fill(
  out: usize,
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
    v128.store(out, v128.shuffle<u64>(a0, a1, 0, 2));
    v128.store(out, v128.shuffle<u64>(a0, a1, 1, 3), 16);
    v128.store(out, v128.shuffle<u64>(b0, b1, 0, 2), 32);
    v128.store(out, v128.shuffle<u64>(b0, b1, 1, 3), 48);
    out += 64;
  }
}
