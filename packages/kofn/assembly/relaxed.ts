/**
 * The gradient of the relaxed mask, row by row, in place of the gradient of the mask.
 *
 * Notation as at the head of src/lower/sampler.ts. Everything is taken relative to the draw at hand, so nothing overflows
 * at any temperature. With r_j = e_{s_{j+1}} / e_{s_j} <= 1, from the last draw to the first:
 *
 *     Z_j / e_{s_j} = 1 + rest_j,  rest_j = r_j Z_{j+1} / e_{s_{j+1}},  rest_k = (sum of e over the undrawn) / e_{s_k}
 *     w_j = 1 / (1 + rest_j),  q_j = rest_j w_j,  V_j = w_j U_{s_j} + q_j V_{j+1},  V_{k+1} = the undrawn's mean of U
 *
 * and from the first to the last, with C_j = e_{s_j} c_j and E_j = e_{s_j} D_j:
 *
 *     tau dphi_{s_j} = r_{j-1} (U_{s_j} C_{j-1} - E_{j-1}) + w_j q_j (U_{s_j} - V_{j+1})
 *     C_j = r_{j-1} C_{j-1} + w_j,  E_j = r_{j-1} E_{j-1} + w_j V_j
 *
 * and last tau dphi_i = (e_i / e_{s_k}) (U_i C_k - E_k) for the undrawn. U_{s_j} - V_j = q_j (U_{s_j} - V_{j+1}) is not
 * computed as a difference of nearly equal numbers. The draws of two rows are summed side by side, in double precision.
 */

import { exp32, exp64 } from "./math";

/** Bytes of what is kept of a draw of two rows: r, U, w, w q (U - V_{j+1}), and first z, then V_j, then dphi. */
const DRAW: usize = 80;
/** So many vectors are summed in single precision before they go into a double. */
const BLOCK: i32 = 64;

/** Bytes of scratch memory that rows of n with k draws need. */
export function relaxedScratch(n: i32, k: i32): usize {
  return 2 * rowBytes(n) + DRAW * (<usize>k);
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

/** Lane `lane` of the draws: exponents of r, U, and z, in whose place comes -Infinity: e of the drawn is 0. */
function takeDraws(draws: usize, lane: usize, z: usize, u: usize, order: usize, k: i32, inverseTau: f64): void {
  let at = draws + (lane << 3);
  let index = indexOf(order, 0);
  let value = load<f32>(z + index);
  for (let j = 0; j < k; j++) {
    store<f64>(at, <f64>load<f32>(u + index), 16);
    store<f64>(at, <f64>value, 64);
    store<f32>(z + index, -Infinity);
    if (j + 1 < k) {
      index = indexOf(order, j + 1);
      const next = load<f32>(z + index);
      store<f64>(at, (<f64>next - <f64>value) * inverseTau);
      value = next;
    }
    at += DRAW;
  }
}

/** Brings z of the draws back. */
function returnDraws(draws: usize, lane: usize, z: usize, order: usize, k: i32): void {
  let at = draws + (lane << 3);
  for (let j = 0; j < k; j++) {
    store<f32>(z + indexOf(order, j), <f32>load<f64>(at, 64));
    at += DRAW;
  }
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

/** Writes e of the undrawn relative to the last draw's, 0 where z is -Infinity, and sets `undrawnE` and `undrawnEU`. */
function sumUndrawn(e: usize, z: usize, u: usize, last: f32, n: i32, inverseTau: f32): void {
  const lasts = f32x4.splat(last);
  const scale = f32x4.splat(inverseTau);
  const zero = f32x4.splat(0);
  undrawnE = 0;
  undrawnEU = 0;
  let i = 0;
  while (i < n) {
    const end = min(n, i + 4 * BLOCK);
    let sumE = zero;
    let sumEU = zero;
    for (; i < end; i += 4) {
      const at = (<usize>i) << 2;
      const x = f32x4.mul(f32x4.pmin(f32x4.sub(v128.load(z + at), lasts), zero), scale);
      let value = exp32(x);
      let product = f32x4.mul(value, v128.load(u + at));
      if (i + 4 > n) {
        value = v128.and(value, within(i, n));
        product = v128.and(product, within(i, n));
      }
      v128.store(e + at, value);
      sumE = f32x4.add(sumE, value);
      sumEU = f32x4.add(sumEU, product);
    }
    undrawnE += sumOfLanes(sumE);
    undrawnEU += sumOfLanes(sumEU);
  }
}

/** Replaces U by dphi: of the undrawn from e, of the drawn from the draws. */
function writeRow(u: usize, e: usize, n: i32, k: i32, c: f64, d: f64, draws: usize, lane: usize, order: usize): void {
  const cs = f32x4.splat(<f32>c);
  const ds = f32x4.splat(<f32>d);
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
  let at = draws + (lane << 3);
  for (let j = 0; j < k; j++) {
    store<f32>(u + indexOf(order, j), <f32>load<f64>(at, 64));
    at += DRAW;
  }
}

/**
 * Replaces dL/dM by dL/dphi in two rows that follow each other, or in one if `rows` is 1.
 *
 * @param z the perturbed logits of the first row; `u` (dL/dM) likewise
 * @param order indices of the draws, k for each row
 */
export function relaxedPair(
  z: usize,
  u: usize,
  order: usize,
  rows: i32,
  n: i32,
  k: i32,
  inverseTau: f64,
  scratch: usize,
): void {
  const row = (<usize>n) << 2;
  const e = scratch;
  const draws = scratch + 2 * rowBytes(n);
  let sums = f64x2.splat(0);
  let means = f64x2.splat(0);
  for (let lane: usize = 0; lane < 2; lane++) {
    const own = lane < <usize>rows ? lane : 0;
    const rowOrder = order + own * ((<usize>k) << 2);
    const rowZ = z + own * row;
    const last = load<f32>(rowZ + indexOf(rowOrder, k - 1));
    takeDraws(draws, lane, rowZ, u + own * row, rowOrder, k, inverseTau);
    if (k < n) {
      sumUndrawn(e + own * rowBytes(n), rowZ, u + own * row, last, n, <f32>inverseTau);
      const mean = undrawnE > 0 ? undrawnEU / undrawnE : 0;
      if (lane == 0) {
        sums = f64x2.splat(undrawnE);
        means = f64x2.splat(mean);
      } else {
        sums = f64x2.replace_lane(sums, 1, undrawnE);
        means = f64x2.replace_lane(means, 1, mean);
      }
    }
    returnDraws(draws, lane, rowZ, rowOrder, k);
  }
  const one = f64x2.splat(1);
  let rest = sums;
  let v = means;
  let at = draws + DRAW * (<usize>k - 1);
  while (true) {
    const w = f64x2.div(one, f64x2.add(one, rest));
    const q = f64x2.mul(rest, w);
    const own = v128.load(at, 16);
    v128.store(at, w, 32);
    v128.store(at, f64x2.mul(f64x2.mul(w, q), f64x2.sub(own, v)), 48);
    v = f64x2.add(f64x2.mul(w, own), f64x2.mul(q, v));
    v128.store(at, v, 64);
    if (at == draws) break;
    at -= DRAW;
    const r = exp64(v128.load(at));
    v128.store(at, r);
    rest = f64x2.mul(r, f64x2.add(one, rest));
  }
  const scale = f64x2.splat(inverseTau);
  let c = f64x2.splat(0);
  let d = f64x2.splat(0);
  const end = draws + DRAW * (<usize>k);
  for (at = draws; at < end; at += DRAW) {
    const w = v128.load(at, 32);
    const gradient = f64x2.add(f64x2.sub(f64x2.mul(v128.load(at, 16), c), d), v128.load(at, 48));
    c = f64x2.add(c, w);
    d = f64x2.add(d, f64x2.mul(w, v128.load(at, 64)));
    v128.store(at, f64x2.mul(gradient, scale), 64);
    if (at + DRAW == end) break;
    const r = v128.load(at);
    c = f64x2.mul(c, r);
    d = f64x2.mul(d, r);
  }
  c = f64x2.mul(c, scale);
  d = f64x2.mul(d, scale);
  writeRow(u, e, n, k, f64x2.extract_lane(c, 0), f64x2.extract_lane(d, 0), draws, 0, order);
  if (rows < 2) return;
  const second = order + ((<usize>k) << 2);
  writeRow(u + row, e + rowBytes(n), n, k, f64x2.extract_lane(c, 1), f64x2.extract_lane(d, 1), draws, 1, second);
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
