/**
 * Exponentials of vectors of non-positive numbers. Coefficients: minimax fits of 2^f on [-1/2, 1/2]. `pmax` and `pmin` are one
 * instruction where `max` and `min` are several, and keep their first operand if it is NaN.
 */

/**
 * Constants of `exp32`: log2 e, the least exponent, 1.5 * 2^23 + 127, and the polynomial's coefficients, highest first. They are
 * loaded, as V8 makes vectors that it knows anew at each use, by three instructions.
 */
const EXP32: usize = memory.data<f32>(
  [
    1.4426950408889634, -127, 12583039, 0.0013410005239491232, 0.009676036358222532, 0.05550297298098227,
    0.2402210737432102, 0.6931472254085076, 1.00000007548957,
  ],
  16,
);

/** e^x for x <= 0, with a relative error of 2e-7 (and that of x log2 e in float32); 0 below 2^-126.5. NaN stays NaN. */
@inline
export function exp32(x: v128): v128 {
  const held = f32x4.pmax(f32x4.mul(x, v128.load32_splat(EXP32)), v128.load32_splat(EXP32, 4));
  // Adding 1.5 * 2^23 rounds to a whole number and leaves it in the lowest bits: with 127 more, the exponent of the power of two.
  const magic = v128.load32_splat(EXP32, 8);
  const shifted = f32x4.add(held, magic);
  const f = f32x4.sub(held, f32x4.sub(shifted, magic));
  const square = f32x4.mul(f, f);
  const high = f32x4.add(f32x4.mul(v128.load32_splat(EXP32, 12), f), v128.load32_splat(EXP32, 16));
  const middle = f32x4.add(f32x4.mul(v128.load32_splat(EXP32, 20), f), v128.load32_splat(EXP32, 24));
  const low = f32x4.add(f32x4.mul(v128.load32_splat(EXP32, 28), f), v128.load32_splat(EXP32, 32));
  const p = f32x4.add(f32x4.mul(f32x4.add(f32x4.mul(high, square), middle), square), low);
  return f32x4.mul(p, i32x4.shl(shifted, 23));
}

/** e^x for x <= 0, with a relative error of 1e-12; 0 below 2^-1000. */
@inline
export function exp64(x: v128): v128 {
  const t = f64x2.mul(x, f64x2.splat(1.4426950408889634));
  const magic = f64x2.splat(6755399441055744);
  const held = f64x2.pmax(t, f64x2.splat(-1000));
  const shifted = f64x2.add(held, magic);
  const f = f64x2.sub(held, f64x2.sub(shifted, magic));
  let p = f64x2.splat(1.3264094524971957e-6);
  p = f64x2.add(f64x2.mul(p, f), f64x2.splat(1.53100816201559e-5));
  p = f64x2.add(f64x2.mul(p, f), f64x2.splat(0.00015403411517849947));
  p = f64x2.add(f64x2.mul(p, f), f64x2.splat(0.0013333450558621197));
  p = f64x2.add(f64x2.mul(p, f), f64x2.splat(0.009618129228653996));
  p = f64x2.add(f64x2.mul(p, f), f64x2.splat(0.055504109412172827));
  p = f64x2.add(f64x2.mul(p, f), f64x2.splat(0.2402265069546676));
  p = f64x2.add(f64x2.mul(p, f), f64x2.splat(0.6931471805459298));
  p = f64x2.add(f64x2.mul(p, f), f64x2.splat(1.000000000000027));
  const scaled = i64x2.add(p, i64x2.shl(shifted, 52));
  return v128.andnot(scaled, f64x2.lt(t, f64x2.splat(-1000)));
}
