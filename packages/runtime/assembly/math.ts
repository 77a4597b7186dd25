/** Functions on vectors of four floats, to about 1e-7 of their values. */

@inline
export function vector(value: f32): v128 {
  return f32x4.splat(value);
}

/**
 * e^x = 2^n e^r with n the whole number nearest to x / ln 2, and e^r as a Taylor polynomial. ln 2 is taken off in two parts, of which the
 * first times n is exact.
 */
export function exp(x: v128): v128 {
  x = f32x4.pmax(f32x4.pmin(x, vector(88)), vector(-87));
  const n = f32x4.nearest(f32x4.mul(x, vector(1.4426950408889634)));
  const r = f32x4.sub(f32x4.sub(x, f32x4.mul(n, vector(0.693359375))), f32x4.mul(n, vector(-2.12194440e-4)));
  let p = vector(1.0 / 5040);
  p = f32x4.add(f32x4.mul(p, r), vector(1.0 / 720));
  p = f32x4.add(f32x4.mul(p, r), vector(1.0 / 120));
  p = f32x4.add(f32x4.mul(p, r), vector(1.0 / 24));
  p = f32x4.add(f32x4.mul(p, r), vector(1.0 / 6));
  p = f32x4.add(f32x4.mul(p, r), vector(0.5));
  p = f32x4.add(f32x4.mul(p, r), vector(1));
  p = f32x4.add(f32x4.mul(p, r), vector(1));
  const power = i32x4.shl(i32x4.add(i32x4.trunc_sat_f32x4_s(n), i32x4.splat(127)), 23);
  return f32x4.mul(p, power);
}

/** Halley's method for e^y = x, from the exponent of x; each step triples the digits. */
export function log(x: v128): v128 {
  let y = f32x4.mul(f32x4.convert_i32x4_s(i32x4.sub(i32x4.shr_u(x, 23), i32x4.splat(127))), vector(0.6931472));
  for (let i = 0; i < 3; i++) {
    const e = exp(y);
    y = f32x4.add(y, f32x4.div(f32x4.mul(vector(2), f32x4.sub(x, e)), f32x4.add(x, e)));
  }
  // Infinite of 0, no number of negative ones.
  return v128.bitselect(y, f32x4.div(vector(-1), f32x4.sqrt(x)), f32x4.gt(x, vector(0)));
}

/** 1 / (1 + e^-x) */
export function sigmoid(x: v128): v128 {
  return f32x4.div(vector(1), f32x4.add(vector(1), exp(f32x4.neg(x))));
}

/** The logarithm of 1 + e^x. */
export function softplus(x: v128): v128 {
  return f32x4.add(f32x4.pmax(x, vector(0)), log(f32x4.add(vector(1), exp(f32x4.neg(f32x4.abs(x))))));
}

/** 2 / (1 + e^-2x) - 1, to 1e-7 absolute. */
export function tanh(x: v128): v128 {
  return f32x4.sub(f32x4.mul(vector(2), sigmoid(f32x4.mul(vector(2), x))), vector(1));
}

/** Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26, to 2e-7 absolute. */
export function erf(x: v128): v128 {
  const a = f32x4.abs(x);
  const t = f32x4.div(vector(1), f32x4.add(vector(1), f32x4.mul(vector(0.3275911), a)));
  let p = vector(1.061405429);
  p = f32x4.add(f32x4.mul(p, t), vector(-1.453152027));
  p = f32x4.add(f32x4.mul(p, t), vector(1.421413741));
  p = f32x4.add(f32x4.mul(p, t), vector(-0.284496736));
  p = f32x4.add(f32x4.mul(p, t), vector(0.254829592));
  const y = f32x4.sub(vector(1), f32x4.mul(f32x4.mul(p, t), exp(f32x4.neg(f32x4.mul(x, x)))));
  return v128.or(y, v128.and(x, vector(-0.0)));
}
