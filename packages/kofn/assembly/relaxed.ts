/**
 * The gradient of the relaxed mask, row by row, in place of the gradient of the mask.
 *
 * Notation as at the head of src/lower/sampler.ts, with e relative to the last draw's, so that e_{s_k} = 1. From the last draw
 * to the first, with Z_{k+1} and N_{k+1} the sums of e and of e U over the undrawn:
 *
 *     Z_j = Z_{j+1} + e_{s_j},  N_j = N_{j+1} + e_{s_j} U_{s_j},  R_j = 1 / Z_j,  V_j = N_j R_j
 *
 * and from the first to the last:
 *
 *     tau dphi_{s_j} = e_{s_j} (U_{s_j} c_{j-1} - D_{j-1}) + e_{s_j} (U_{s_j} Z_{j+1} - N_{j+1}) R_j R_j
 *     c_j = c_{j-1} + R_j,  D_j = D_{j-1} + V_j R_j
 *
 * and last tau dphi_i = e_i (U_i c_k - D_k) for the undrawn. (U_{s_j} - V_j) R_j is not computed as a difference of nearly equal
 * numbers. The draws of four rows are summed side by side, SUMMED draws at a time, and the sums of these with what their
 * roundings lost (Kahan's summation). Where e would exceed 2^LIMIT, in rows of wide spread at low temperature, the sums go on
 * relative to the draw at hand.
 */

import { exp32, power32, scaledExp32 } from "./math";

/** Rows whose draws are summed side by side. */
export const ROWS: i32 = 4;
/** Bytes of what is kept of a draw of four rows: R, V R, e / tau, the second summand of dphi, U, and the factor of a change of scale. */
const DRAW: usize = 96;
/** Binary exponent of the largest e. Its rounding in float32 is the largest error of e. */
const LIMIT: f32 = 32;
/** So many draws are summed before their sum is added to those of others. */
const SUMMED: i32 = 16;
/** So many vectors are summed in single precision before they go into a double. */
const BLOCK: i32 = 64;

/** Bytes of scratch memory that rows of n with k draws need. */
export function relaxedScratch(n: i32, k: i32): usize {
  return ROWS * rowBytes(n) + 64 + DRAW * (<usize>k);
}

function rowBytes(n: i32): usize {
  return ((<usize>n + 3) & ~3) << 2;
}

@inline
function indexOf(order: usize, j: i32): usize {
  return (<usize>load<i32>(order + ((<usize>j) << 2))) << 2;
}

/** All lanes that lie within the row, of the vector that begins at unit i. */
@inline
function within(i: i32, n: i32): v128 {
  return i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(n - i));
}

/** The numbers at four places, each in bytes behind `base`. */
@inline
function gather(base: usize, a: usize, b: usize, c: usize, d: usize): v128 {
  const two = v128.load32_lane(base + b, v128.load32_zero(base + a), 1);
  return v128.load32_lane(base + d, v128.load32_lane(base + c, two, 2), 3);
}

@inline
function sumOfLanes(x: v128): f64 {
  return (
    <f64>f32x4.extract_lane(x, 0) +
    <f64>f32x4.extract_lane(x, 1) +
    (<f64>f32x4.extract_lane(x, 2) + <f64>f32x4.extract_lane(x, 3))
  );
}

/** The sum of e over the undrawn, and that of e U, relative to the last draw. */
let undrawnE: f64 = 0;
let undrawnEU: f64 = 0;

/**
 * Writes e of the units from `at` to before `end` (bytes of a row), and 0 where z is not below `last` by `bound`, and adds to
 * `undrawnE` and `undrawnEU`.
 *
 * @param weighted whether U is the product of `weights` and `gradient`, and is written
 */
@inline
function sumPart(
  e: usize,
  z: usize,
  u: usize,
  weights: usize,
  gradient: usize,
  weighted: bool,
  at: usize,
  end: usize,
  last: v128,
  scale: v128,
  bound: v128,
): void {
  let sumE = f32x4.splat(0);
  let sumEU = f32x4.splat(0);
  for (; at < end; at += 16) {
    const x = f32x4.sub(v128.load(z + at), last);
    let upstream: v128;
    if (weighted) {
      upstream = f32x4.mul(v128.load(weights + at), v128.load(gradient + at));
      v128.store(u + at, upstream);
    } else upstream = v128.load(u + at);
    const value = v128.and(scaledExp32(x, scale), f32x4.lt(x, bound));
    v128.store(e + at, value);
    sumE = f32x4.add(sumE, value);
    sumEU = f32x4.add(sumEU, f32x4.mul(value, upstream));
  }
  undrawnE += sumOfLanes(sumE);
  undrawnEU += sumOfLanes(sumEU);
}

/**
 * Writes e of the undrawn relative to the last draw's, and 0 for the drawn, and sets `undrawnE` and `undrawnEU`.
 *
 * @param weights the units' weights, with which the row's U is made and written; or 0, if it is there
 * @param gradient of the masked weights
 * @param unit index of the last draw; of units that equal it, those before it are drawn and those behind it are not
 */
function sumUndrawn(
  e: usize,
  z: usize,
  u: usize,
  weights: usize,
  gradient: usize,
  unit: i32,
  n: i32,
  inverseTau: f32,
): void {
  const last = v128.load32_splat(z + ((<usize>unit) << 2));
  const scale = f32x4.splat(<f32>(<f64>inverseTau * 1.4426950408889634));
  const turn = unit & ~3;
  const whole = n & ~3;
  undrawnE = 0;
  undrawnEU = 0;
  let i = 0;
  while (i < n) {
    let end = i + 4 * BLOCK;
    let bound = f32x4.splat(0);
    if (i < turn) end = min(end, turn);
    else {
      // The least positive number: what is below it is not above 0.
      bound = v128.andnot(i32x4.splat(1), within(i, unit + 1));
      if (i == turn) end = i + 4;
    }
    if (i < whole) end = min(end, whole);
    else bound = v128.bitselect(bound, f32x4.splat(-Infinity), within(i, n));
    const at = (<usize>i) << 2;
    const to = (<usize>min(end, n)) << 2;
    if (weights == 0) sumPart(e, z, u, 0, 0, false, at, to, last, scale, bound);
    else sumPart(e, z, u, weights, gradient, true, at, to, last, scale, bound);
    i = end;
  }
}

/** Replaces U by dphi: of the undrawn from e, of the drawn from the draws. */
function writeRow(u: usize, e: usize, n: i32, k: i32, c: f32, d: f32, drawn: usize, order: usize): void {
  const cs = f32x4.splat(c);
  const ds = f32x4.splat(d);
  let i = 0;
  for (; i + 4 <= n; i += 4) {
    const at = (<usize>i) << 2;
    v128.store(u + at, f32x4.mul(v128.load(e + at), f32x4.sub(f32x4.mul(v128.load(u + at), cs), ds)));
  }
  if (i < n) {
    const at = (<usize>i) << 2;
    const old = v128.load(u + at);
    const made = f32x4.mul(v128.load(e + at), f32x4.sub(f32x4.mul(old, cs), ds));
    v128.store(u + at, v128.bitselect(made, old, within(i, n)));
  }
  for (let j = 0; j < k; j++) {
    store<f32>(u + indexOf(order, j), load<f32>(drawn));
    drawn += DRAW;
  }
}

/**
 * Replaces dL/dM by dL/dphi in up to ROWS rows that follow each other.
 *
 * @param z the perturbed logits of the first row; `u` (dL/dM), `weights` and `gradient` likewise
 * @param weights of the units, if dL/dM is yet to be made of them and of the gradient of the masked weights; or 0
 * @param order indices of the draws, k for each row
 */
export function relaxedRows(
  z: usize,
  u: usize,
  weights: usize,
  gradient: usize,
  order: usize,
  rows: i32,
  n: i32,
  k: i32,
  inverseTau: f32,
  scratch: usize,
): void {
  const bytesOfE = rowBytes(n);
  const e = scratch;
  const lanes = e + ROWS * bytesOfE;
  const draws = lanes + 64;
  const row = (<usize>n) << 2;
  const rowOrder = (<usize>k) << 2;
  for (let lane = 0; lane < rows; lane++) {
    const i = <usize>lane;
    const last = load<i32>(order + i * rowOrder + rowOrder - 4);
    const at = i * row;
    const own = weights == 0 ? <usize>0 : weights + at;
    sumUndrawn(e + i * bytesOfE, z + at, u + at, own, gradient + at, last, n, inverseTau);
    store<f32>(lanes + (i << 2), <f32>undrawnE);
    store<f32>(lanes + (i << 2), <f32>undrawnEU, 16);
  }
  // Lanes without a row of their own have the last one's.
  const rowB = <usize>min(1, rows - 1);
  const rowC = <usize>min(2, rows - 1);
  const rowD = <usize>min(3, rows - 1);
  const orderB = order + rowB * rowOrder;
  const orderC = order + rowC * rowOrder;
  const orderD = order + rowD * rowOrder;
  const first = gather(
    z,
    indexOf(order, 0),
    rowB * row + indexOf(orderB, 0),
    rowC * row + indexOf(orderC, 0),
    rowD * row + indexOf(orderD, 0),
  );
  let origin = gather(
    z,
    indexOf(order, k - 1),
    rowB * row + indexOf(orderB, k - 1),
    rowC * row + indexOf(orderC, k - 1),
    rowD * row + indexOf(orderD, k - 1),
  );
  const scale = f32x4.splat(inverseTau);
  const log2 = f32x4.mul(scale, f32x4.splat(1.4426950408889634));
  const limit = f32x4.splat(LIMIT);
  const wide = v128.any_true(f32x4.gt(f32x4.mul(f32x4.sub(first, origin), log2), limit));
  const zero = f32x4.splat(0);
  let sumE = v128.load(lanes);
  let sumEU = v128.load(lanes, 16);
  let lostE = zero;
  let lostEU = zero;
  let at = draws + DRAW * (<usize>k);
  for (let j = k - 1; j >= 0; ) {
    const last = max(0, j - SUMMED + 1);
    let partE = zero;
    let partEU = zero;
    let belowE = sumE;
    let belowEU = sumEU;
    for (; j >= last; j--) {
      at -= DRAW;
      const a = indexOf(order, j);
      const b = rowB * row + indexOf(orderB, j);
      const c = rowC * row + indexOf(orderC, j);
      const d = rowD * row + indexOf(orderD, j);
      const own = gather(z, a, b, c, d);
      let x = f32x4.mul(f32x4.sub(own, origin), log2);
      if (wide) {
        const beyond = f32x4.gt(x, limit);
        const factor = v128.bitselect(rescale(x), f32x4.splat(1), beyond);
        v128.store(at, factor, 80);
        sumE = f32x4.mul(sumE, factor);
        sumEU = f32x4.mul(sumEU, factor);
        lostE = f32x4.mul(lostE, factor);
        lostEU = f32x4.mul(lostEU, factor);
        partE = f32x4.mul(partE, factor);
        partEU = f32x4.mul(partEU, factor);
        belowE = f32x4.mul(belowE, factor);
        belowEU = f32x4.mul(belowEU, factor);
        origin = v128.bitselect(own, origin, beyond);
        x = v128.andnot(x, beyond);
      }
      const value = power32(x);
      const upstream = gather(u, a, b, c, d);
      const below = f32x4.sub(f32x4.mul(upstream, belowE), belowEU);
      partE = f32x4.add(partE, value);
      partEU = f32x4.add(partEU, f32x4.mul(upstream, value));
      belowE = f32x4.add(sumE, partE);
      belowEU = f32x4.add(sumEU, partEU);
      const inverse = f32x4.div(f32x4.splat(1), belowE);
      const scaled = f32x4.mul(value, scale);
      v128.store(at, inverse);
      v128.store(at, f32x4.mul(f32x4.mul(belowEU, inverse), inverse), 16);
      v128.store(at, scaled, 32);
      v128.store(at, f32x4.mul(f32x4.mul(f32x4.mul(below, inverse), inverse), scaled), 48);
      v128.store(at, upstream, 64);
    }
    const addE = f32x4.sub(partE, lostE);
    const nextE = f32x4.add(sumE, addE);
    lostE = f32x4.sub(f32x4.sub(nextE, sumE), addE);
    sumE = nextE;
    const addEU = f32x4.sub(partEU, lostEU);
    const nextEU = f32x4.add(sumEU, addEU);
    lostEU = f32x4.sub(f32x4.sub(nextEU, sumEU), addEU);
    sumEU = nextEU;
  }
  let sumC = zero;
  let sumD = zero;
  let lostC = zero;
  let lostD = zero;
  const end = draws + DRAW * (<usize>k);
  while (at < end) {
    const last = min(end, at + DRAW * SUMMED);
    let partC = zero;
    let partD = zero;
    for (; at < last; at += DRAW) {
      const c = f32x4.add(sumC, partC);
      const d = f32x4.add(sumD, partD);
      const outer = f32x4.sub(f32x4.mul(v128.load(at, 64), c), d);
      const gradient = f32x4.add(f32x4.mul(outer, v128.load(at, 32)), v128.load(at, 48));
      partC = f32x4.add(partC, v128.load(at));
      partD = f32x4.add(partD, v128.load(at, 16));
      v128.store(at, gradient);
      if (wide) {
        const factor = v128.load(at, 80);
        sumC = f32x4.mul(sumC, factor);
        sumD = f32x4.mul(sumD, factor);
        lostC = f32x4.mul(lostC, factor);
        lostD = f32x4.mul(lostD, factor);
        partC = f32x4.mul(partC, factor);
        partD = f32x4.mul(partD, factor);
      }
    }
    const addC = f32x4.sub(partC, lostC);
    const nextC = f32x4.add(sumC, addC);
    lostC = f32x4.sub(f32x4.sub(nextC, sumC), addC);
    sumC = nextC;
    const addD = f32x4.sub(partD, lostD);
    const nextD = f32x4.add(sumD, addD);
    lostD = f32x4.sub(f32x4.sub(nextD, sumD), addD);
    sumD = nextD;
  }
  v128.store(lanes, f32x4.mul(sumC, scale));
  v128.store(lanes, f32x4.mul(sumD, scale), 16);
  for (let lane = 0; lane < rows; lane++) {
    const i = <usize>lane;
    const c = load<f32>(lanes + (i << 2));
    const d = load<f32>(lanes + (i << 2), 16);
    writeRow(u + i * row, e + i * bytesOfE, n, k, c, d, draws + (i << 2), order + i * rowOrder);
  }
}

/** 2^-x, which takes sums to the scale of a draw of 2^x; 0 where it is below 2^-126. */
function rescale(x: v128): v128 {
  const held = f32x4.pmax(f32x4.neg(x), f32x4.splat(-126));
  return v128.andnot(power32(held), f32x4.gt(x, f32x4.splat(126)));
}

/** Adds the gradient of weight * H(softmax(phi)), -weight p (log p + H), to that of a row. */
export function addEntropyGradient(gradient: usize, phi: usize, n: i32, weight: f64, scratch: usize): void {
  let highest = load<f32>(phi);
  for (let i = 1; i < n; i++) highest = max(highest, load<f32>(phi + ((<usize>i) << 2)));
  let sum: f64 = 0;
  let weighted: f64 = 0;
  for (let i = 0; i < n; i += 4) {
    const at = (<usize>i) << 2;
    const x = f32x4.sub(v128.load(phi + at), f32x4.splat(highest));
    const e = v128.and(exp32(f32x4.pmin(x, f32x4.splat(0))), within(i, n));
    v128.store(scratch + at, e);
    sum += sumOfLanes(e);
    weighted += sumOfLanes(v128.and(f32x4.mul(e, x), within(i, n)));
  }
  // log p = x - log(sum), so H = log(sum) - weighted / sum and log p + H = x - weighted / sum.
  const factor = f32x4.splat(<f32>(-weight / sum));
  const mean = f32x4.splat(<f32>(weighted / sum));
  for (let i = 0; i < n; i += 4) {
    const at = (<usize>i) << 2;
    const x = f32x4.sub(v128.load(phi + at), f32x4.splat(highest));
    const change = f32x4.mul(f32x4.mul(v128.load(scratch + at), factor), f32x4.sub(x, mean));
    const old = v128.load(gradient + at);
    v128.store(gradient + at, f32x4.add(old, v128.and(change, within(i, n))));
  }
}
