/**
 * Exponentials of vectors. Coefficients: minimax fits of 2^f on [-1/2, 1/2]. `pmax` and `pmin` are one
 * instruction where `max` and `min` are several, and keep their first operand if it is NaN.
 */

/**
 * Constants of both: log2 e, the least exponent, 1.5 * 2^23 + 127, and the polynomial's coefficients, highest first. They are
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
  return scaledExp32(x, v128.load32_splat(EXP32));
}

/** 2^(x scale) for products <= 0, as `exp32`. */
@inline
export function scaledExp32(x: v128, scale: v128): v128 {
  return power32(f32x4.pmax(f32x4.mul(x, scale), v128.load32_splat(EXP32, 4)));
}

/** 2^x for x from -127 to 127, with a relative error of 2e-7; 0 below 2^-126.5. */
@inline
export function power32(x: v128): v128 {
  // Adding 1.5 * 2^23 rounds to a whole number and leaves it in the lowest bits: with 127 more, the exponent of the power of two.
  const magic = v128.load32_splat(EXP32, 8);
  const shifted = f32x4.add(x, magic);
  const f = f32x4.sub(x, f32x4.sub(shifted, magic));
  const square = f32x4.mul(f, f);
  const high = f32x4.add(f32x4.mul(v128.load32_splat(EXP32, 12), f), v128.load32_splat(EXP32, 16));
  const middle = f32x4.add(f32x4.mul(v128.load32_splat(EXP32, 20), f), v128.load32_splat(EXP32, 24));
  const low = f32x4.add(f32x4.mul(v128.load32_splat(EXP32, 28), f), v128.load32_splat(EXP32, 32));
  const p = f32x4.add(f32x4.mul(f32x4.add(f32x4.mul(high, square), middle), square), low);
  return f32x4.mul(p, i32x4.shl(shifted, 23));
}

/** The numbers at four addresses. */
@inline
export function loadLanes(a: usize, b: usize, c: usize, d: usize): v128 {
  const two = v128.load32_lane(b, v128.load32_zero(a), 1);
  return v128.load32_lane(d, v128.load32_lane(c, two, 2), 3);
}
