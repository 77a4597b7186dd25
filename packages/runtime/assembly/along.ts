/** What is computed along an axis of a value, and products of matrices. */

import { exp, log, vector } from "./math";

@inline
function first(x: v128): f32 {
  return f32x4.extract_lane(x, 0);
}

function softmax(input: usize, end: usize, s: usize, output: usize, t: usize, isLog: bool): void {
  let most: f32 = -Infinity;
  for (let at = input; at != end; at += s) most = max(most, load<f32>(at));
  let sum: f32 = 0;
  let to = output;
  for (let at = input; at != end; at += s, to += t) {
    const x = load<f32>(at) - most;
    const e = first(exp(vector(x)));
    store<f32>(to, isLog ? x : e);
    sum += e;
  }
  const last: f32 = isLog ? first(log(vector(sum))) : 1 / sum;
  for (; output != to; output += t) {
    const x = load<f32>(output);
    store<f32>(output, isLog ? x - last : x * last);
  }
}

function normalise(input: usize, end: usize, s: usize, output: usize, t: usize, n: i32, scale: usize, shift: usize, epsilon: f32): void {
  let sum: f64 = 0;
  for (let at = input; at != end; at += s) sum += <f64>load<f32>(at);
  const mean = <f32>(sum / n);
  sum = 0;
  for (let at = input; at != end; at += s) {
    const x = load<f32>(at) - mean;
    sum += <f64>(x * x);
  }
  const factor: f32 = (<f32>1) / sqrt<f32>(<f32>(sum / n) + epsilon);
  for (; input != end; input += s, output += t, scale += 4, shift += 4) {
    store<f32>(output, (load<f32>(input) - mean) * factor * load<f32>(scale) + load<f32>(shift));
  }
}

function reduce(kind: i32, input: usize, end: usize, s: usize, output: usize, n: i32): void {
  let sum: f64 = 0;
  let best = load<f32>(input);
  for (; input != end; input += s) {
    const x = load<f32>(input);
    sum += <f64>x;
    best = kind == 4 ? max(best, x) : min(best, x);
  }
  store<f32>(output, kind == 2 ? <f32>sum : kind == 3 ? <f32>(sum / n) : best);
}

/**
 * A function of each line of n values along one axis of [n0, n1, n2, n]; s and t are the steps of source and target.
 *
 * @param kind 0 softmax; 1 its logarithm; 2 the sum; 3 the mean; 4 the largest value; 5 the smallest; 6 normalised to mean 0 and
 *   variance 1, times `scale` plus `shift`, which are tables of n numbers
 */
export function along(
  kind: i32,
  input: usize,
  output: usize,
  n0: i32,
  n1: i32,
  n2: i32,
  n: i32,
  s0: usize,
  s1: usize,
  s2: usize,
  s: usize,
  t0: usize,
  t1: usize,
  t2: usize,
  t: usize,
  scale: usize,
  shift: usize,
  epsilon: f32,
): void {
  for (let a = 0; a < n0; a++) {
    for (let b = 0; b < n1; b++) {
      let from = input + <usize>a * s0 + <usize>b * s1;
      let to = output + <usize>a * t0 + <usize>b * t1;
      for (let c = 0; c < n2; c++, from += s2, to += t2) {
        const end = from + <usize>n * s;
        if (kind < 2) softmax(from, end, s, to, t, kind == 1);
        else if (kind == 6) normalise(from, end, s, to, t, n, scale, shift, epsilon);
        else reduce(kind, from, end, s, to, n);
      }
    }
  }
}

/** output = a b for matrices of [rows, inner] and [inner, columns], whose rows are so many bytes apart. */
export function matmul(
  a: usize,
  rowA: usize,
  b: usize,
  rowB: usize,
  output: usize,
  row: usize,
  rows: i32,
  inner: i32,
  columns: i32,
): void {
  const last = <usize>inner << 2;
  for (let r = 0; r < rows; r++, a += rowA, output += row) {
    let j = 0;
    for (; j + 16 <= columns; j += 16) {
      let s0 = f32x4.splat(0);
      let s1 = s0;
      let s2 = s0;
      let s3 = s0;
      let at = b + (<usize>j << 2);
      for (let k: usize = 0; k < last; k += 4, at += rowB) {
        const w = v128.load32_splat(a + k);
        s0 = f32x4.add(s0, f32x4.mul(w, v128.load(at)));
        s1 = f32x4.add(s1, f32x4.mul(w, v128.load(at, 16)));
        s2 = f32x4.add(s2, f32x4.mul(w, v128.load(at, 32)));
        s3 = f32x4.add(s3, f32x4.mul(w, v128.load(at, 48)));
      }
      const to = output + (<usize>j << 2);
      v128.store(to, s0);
      v128.store(to, s1, 16);
      v128.store(to, s2, 32);
      v128.store(to, s3, 48);
    }
    for (; j + 4 <= columns; j += 4) {
      let sum = f32x4.splat(0);
      let at = b + (<usize>j << 2);
      for (let k: usize = 0; k < last; k += 4, at += rowB) {
        sum = f32x4.add(sum, f32x4.mul(v128.load32_splat(a + k), v128.load(at)));
      }
      v128.store(output + (<usize>j << 2), sum);
    }
    for (; j < columns; j++) {
      let sum: f32 = 0;
      let at = b + (<usize>j << 2);
      for (let k: usize = 0; k < last; k += 4, at += rowB) sum += load<f32>(a + k) * load<f32>(at);
      store<f32>(output + (<usize>j << 2), sum);
    }
  }
}
