/** Functions of one or two values, vector by vector. A mask keeps the cells between rows at 0; without one (0) all cells count. */

import { erf, exp, log, sigmoid, softplus, tanh, vector } from "./math";

@inline
function put(output: usize, value: v128, mask: usize, at: usize): void {
  v128.store(output + at, mask == 0 ? value : v128.and(value, v128.load(mask + at)));
}

@inline
function clamp(x: v128, low: v128, high: v128): v128 {
  return f32x4.pmin(f32x4.pmax(x, low), high);
}

/** The functions by their numbers in plan/elementwise.ts. */
function apply(kind: i32, x: v128, a: v128, b: v128): v128 {
  const one = vector(1);
  const zero = vector(0);
  switch (kind) {
    case 0: // Clip, Relu
      return clamp(x, a, b);
    case 1: // LeakyRelu
      return v128.bitselect(f32x4.mul(x, a), x, f32x4.lt(x, zero));
    case 2:
      return sigmoid(x);
    case 3: // HardSigmoid
      return clamp(f32x4.add(f32x4.mul(x, a), b), zero, one);
    case 4: // HardSwish
      return f32x4.mul(x, clamp(f32x4.add(f32x4.mul(x, vector(1.0 / 6)), vector(0.5)), zero, one));
    case 5:
      return tanh(x);
    case 6:
      return erf(x);
    case 7: // Gelu
      return f32x4.mul(f32x4.mul(x, vector(0.5)), f32x4.add(one, erf(f32x4.mul(x, vector(0.7071067811865476)))));
    case 8: {
      // Gelu with tanh: (1 + tanh(z)) / 2 = sigmoid(2 z)
      const slope = f32x4.add(vector(1.5957691216057308), f32x4.mul(vector(0.0713548162726), f32x4.mul(x, x)));
      return f32x4.mul(x, sigmoid(f32x4.mul(x, slope)));
    }
    case 9: // Elu, Selu
      return f32x4.mul(b, v128.bitselect(f32x4.mul(a, f32x4.sub(exp(x), one)), x, f32x4.lt(x, zero)));
    case 10:
      return exp(x);
    case 11:
      return f32x4.abs(x);
    case 12:
      return f32x4.neg(x);
    case 13:
      return f32x4.sqrt(x);
    case 14: // Reciprocal
      return f32x4.div(one, x);
    case 16:
      return log(x);
    case 17:
      return softplus(x);
    case 18: // Mish
      return f32x4.mul(x, tanh(softplus(x)));
    case 19: {
      // Shrink: a is the bias, b is lambd
      const above = v128.and(f32x4.sub(x, a), f32x4.gt(x, b));
      return v128.bitselect(f32x4.add(x, a), above, f32x4.lt(x, f32x4.neg(b)));
    }
    default: // Softsign
      return f32x4.div(x, f32x4.add(one, f32x4.abs(x)));
  }
}

/** output = function of input, plane by plane; a and b are its parameters. */
export function unary(
  kind: i32,
  input: usize,
  inputPlane: usize,
  output: usize,
  outputPlane: usize,
  planes: i32,
  mask: usize,
  vectors: i32,
  a: f32,
  b: f32,
): void {
  const va = vector(a);
  const vb = vector(b);
  for (let p = 0; p < planes; p++) {
    for (let i: usize = 0, end = <usize>vectors << 4; i < end; i += 16) {
      put(output, apply(kind, v128.load(input + i), va, vb), mask, i);
    }
    input += inputPlane;
    output += outputPlane;
  }
}

/**
 * output = clamp(a OP b, least, most), plane by plane.
 *
 * @param aStep bytes from an operand's vector to the next: 16, or 0 where the plane has one value of it
 */
export function binary(
  kind: i32,
  a: usize,
  aStep: usize,
  aPlane: usize,
  b: usize,
  bStep: usize,
  bPlane: usize,
  output: usize,
  outputPlane: usize,
  planes: i32,
  mask: usize,
  vectors: i32,
  least: f32,
  most: f32,
): void {
  const low = vector(least);
  const high = vector(most);
  for (let p = 0; p < planes; p++) {
    let x = v128.load32_splat(a);
    let y = v128.load32_splat(b);
    let atX = a;
    let atY = b;
    for (let i: usize = 0, end = <usize>vectors << 4; i < end; i += 16) {
      if (aStep != 0) x = v128.load(atX);
      if (bStep != 0) y = v128.load(atY);
      let z: v128;
      switch (kind) {
        case 0:
          z = f32x4.add(x, y);
          break;
        case 1:
          z = f32x4.sub(x, y);
          break;
        case 2:
          z = f32x4.mul(x, y);
          break;
        case 3:
          z = f32x4.div(x, y);
          break;
        case 4:
          z = f32x4.pmax(x, y);
          break;
        case 5:
          z = f32x4.pmin(x, y);
          break;
        default: // PRelu
          z = v128.bitselect(f32x4.mul(x, y), x, f32x4.lt(x, vector(0)));
      }
      put(output, clamp(z, low, high), mask, i);
      atX += aStep;
      atY += bStep;
    }
    a += aPlane;
    b += bPlane;
    output += outputPlane;
  }
}

/**
 * The nearest of the values scale * (code - zero) with codes from least to most; halves go to the even code. With `isBinary` the codes
 * are 0 and 1, and a half goes up.
 */
export function quantize(
  input: usize,
  output: usize,
  plane: usize,
  planes: i32,
  mask: usize,
  vectors: i32,
  scale: f32,
  zero: f32,
  least: f32,
  most: f32,
  isBinary: i32,
): void {
  const s = vector(scale);
  const z = vector(zero);
  const low = vector(least);
  const high = vector(most);
  const upper = vector(scale * (1 - zero));
  const lower = vector(-scale * zero);
  const threshold = vector(scale * (0.5 - zero));
  for (let p = 0; p < planes; p++) {
    for (let i: usize = 0, end = <usize>vectors << 4; i < end; i += 16) {
      const x = v128.load(input + i);
      const y = isBinary != 0
        ? v128.bitselect(upper, lower, f32x4.ge(x, threshold))
        : f32x4.mul(f32x4.sub(clamp(f32x4.add(f32x4.nearest(f32x4.div(x, s)), z), low, high), z), s);
      put(output, y, mask, i);
    }
    input += plane;
    output += plane;
  }
}
