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

import { exp32, loadLanes, power32, scaledExp32 } from "./math";
import { ROWS } from "./select";

/** Bytes of what is kept of a draw of four rows: R, V R, e / tau, (U Z - N) R R, and U. */
const DRAW: usize = 80;
/** Bytes of the places of a draw of four rows. */
const PLACES: usize = 16;
/** Bytes of two sums, and of what `ascend` and `descend` need besides, in the order of the constants that follow. */
const SUMS: usize = 112;
/** What roundings lost of both sums. */
const LOST: usize = 32;
/** z to which e is relative. */
const ORIGIN: usize = 64;
/** log2(e) / tau. */
const LOG2: usize = 80;
/** 1 / tau. */
const SCALE: usize = 96;
/** Binary exponent of the largest e. Its rounding in float32 is the largest error of e. */
const LIMIT: f32 = 32;
/** So many draws are summed before their sum is added to those of others. */
const SUMMED: usize = 16;
/** So many vectors are summed in single precision before they go into a double. */
const BLOCK: i32 = 64;

/** Bytes of scratch memory that rows of n with k draws need. */
export function relaxedScratch(n: i32, k: i32): usize {
  return bytesOfE(n) + SUMS + (DRAW + PLACES) * (<usize>k);
}

/** Bytes of e of four rows of n, which follow each other, and of what vectors write behind them. */
function bytesOfE(n: i32): usize {
  return ((16 * (<usize>n) + 15) & ~15) + 16;
}

/** All lanes that lie within the row, of the vector that begins at unit i. */
@inline
function within(i: i32, n: i32): v128 {
  return i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(n - i));
}

/** The numbers at the four places of a draw, in bytes behind `base`. */
@inline
function gather(base: usize, places: usize): v128 {
  return loadLanes(placeOf(base, places, 0), placeOf(base, places, 1), placeOf(base, places, 2), placeOf(base, places, 3));
}

@inline
function placeOf(base: usize, places: usize, lane: usize): usize {
  return base + <usize>load<i32>(places + 4 * lane);
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
 * Writes e of the units from `at` to before `end` (bytes of a row), and adds to `undrawnE` and `undrawnEU` those whose z is below
 * `last` by `bound`.
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
    const all = scaledExp32(x, scale);
    v128.store(e + at, all);
    const value = v128.and(all, f32x4.lt(x, bound));
    sumE = f32x4.add(sumE, value);
    sumEU = f32x4.add(sumEU, f32x4.mul(value, upstream));
  }
  undrawnE += sumOfLanes(sumE);
  undrawnEU += sumOfLanes(sumEU);
}

/**
 * Writes e relative to the last draw's, where it is not above 2^127, and sets `undrawnE` and `undrawnEU`.
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

/** Adds to a sum what a part of it is, with what roundings lost (Kahan). */
@inline
function addPart(sum: usize, part: v128): void {
  const before = v128.load(sum);
  const add = f32x4.sub(part, v128.load(sum, LOST));
  const after = f32x4.add(before, add);
  v128.store(sum, f32x4.sub(f32x4.sub(after, before), add), LOST);
  v128.store(sum, after);
}

/** Takes two sums to another scale. */
@inline
function rescaleSums(sums: usize, factor: v128): void {
  v128.store(sums, f32x4.mul(v128.load(sums), factor));
  v128.store(sums, f32x4.mul(v128.load(sums, 16), factor), 16);
  v128.store(sums, f32x4.mul(v128.load(sums, LOST), factor), LOST);
  v128.store(sums, f32x4.mul(v128.load(sums, LOST + 16), factor), LOST + 16);
}

/**
 * Goes from the last to the first of up to SUMMED draws, whose places lie from `first` to before `end`, adds them to the sums
 * of e and e U, and writes before `at` what of them `descend` needs.
 *
 * @param wide whether e is made of z, and sums are taken to another scale where it would exceed 2^LIMIT; else it is read
 * @param factors end of the draws' changes of scale, where `wide`
 */
@inline
function ascend(z: usize, e: usize, u: usize, first: usize, end: usize, at: usize, sums: usize, wide: bool, factors: usize): void {
  const log2 = v128.load(sums, LOG2);
  const scale = v128.load(sums, SCALE);
  let origin = v128.load(sums, ORIGIN);
  let sumE = v128.load(sums);
  let sumEU = v128.load(sums, 16);
  let partE = f32x4.splat(0);
  let partEU = f32x4.splat(0);
  let belowE = sumE;
  let belowEU = sumEU;
  for (let places = end; places > first; ) {
    places -= PLACES;
    at -= DRAW;
    let value: v128;
    if (!wide) value = gather(e, places);
    else {
      const own = gather(z, places);
      const x = f32x4.mul(f32x4.sub(own, origin), log2);
      const beyond = f32x4.gt(x, f32x4.splat(LIMIT));
      const factor = v128.bitselect(rescale(x), f32x4.splat(1), beyond);
      factors -= PLACES;
      v128.store(factors, factor);
      rescaleSums(sums, factor);
      sumE = v128.load(sums);
      sumEU = v128.load(sums, 16);
      partE = f32x4.mul(partE, factor);
      partEU = f32x4.mul(partEU, factor);
      belowE = f32x4.mul(belowE, factor);
      belowEU = f32x4.mul(belowEU, factor);
      origin = v128.bitselect(own, origin, beyond);
      value = power32(v128.andnot(x, beyond));
    }
    const upstream = gather(u, places);
    const below = f32x4.sub(f32x4.mul(upstream, belowE), belowEU);
    partE = f32x4.add(partE, value);
    partEU = f32x4.add(partEU, f32x4.mul(upstream, value));
    belowE = f32x4.add(sumE, partE);
    belowEU = f32x4.add(sumEU, partEU);
    const inverse = f32x4.div(f32x4.splat(1), belowE);
    const square = f32x4.mul(inverse, inverse);
    v128.store(at, inverse);
    v128.store(at, f32x4.mul(belowEU, square), 16);
    v128.store(at, f32x4.mul(value, scale), 32);
    v128.store(at, f32x4.mul(below, square), 48);
    v128.store(at, upstream, 64);
  }
  v128.store(sums, origin, ORIGIN);
  addPart(sums, partE);
  addPart(sums + 16, partEU);
}

function ascendNarrow(e: usize, u: usize, first: usize, end: usize, at: usize, sums: usize): void {
  ascend(0, e, u, first, end, at, sums, false, 0);
}

function ascendWide(z: usize, u: usize, first: usize, end: usize, at: usize, sums: usize, factors: usize): void {
  ascend(z, 0, u, first, end, at, sums, true, factors);
}

/**
 * Goes from the first to the last of up to SUMMED draws, adds R and V R to the sums, and writes dphi in place of R.
 *
 * @param factors the draws' changes of scale, where `wide`
 */
@inline
function descend(at: usize, end: usize, sums: usize, wide: bool, factors: usize): void {
  let sumC = v128.load(sums);
  let sumD = v128.load(sums, 16);
  let partC = f32x4.splat(0);
  let partD = f32x4.splat(0);
  for (; at < end; at += DRAW) {
    const c = f32x4.add(sumC, partC);
    const d = f32x4.add(sumD, partD);
    const outer = f32x4.sub(f32x4.mul(v128.load(at, 64), c), d);
    partC = f32x4.add(partC, v128.load(at));
    partD = f32x4.add(partD, v128.load(at, 16));
    v128.store(at, f32x4.mul(f32x4.add(outer, v128.load(at, 48)), v128.load(at, 32)));
    if (wide) {
      const factor = v128.load(factors);
      factors += PLACES;
      rescaleSums(sums, factor);
      sumC = v128.load(sums);
      sumD = v128.load(sums, 16);
      partC = f32x4.mul(partC, factor);
      partD = f32x4.mul(partD, factor);
    }
  }
  addPart(sums, partC);
  addPart(sums + 16, partD);
}

function descendNarrow(at: usize, end: usize, sums: usize): void {
  descend(at, end, sums, false, 0);
}

function descendWide(at: usize, end: usize, sums: usize, factors: usize): void {
  descend(at, end, sums, true, factors);
}

/** Replaces U by dphi of the undrawn; what it writes for the drawn has no meaning. */
function writeUndrawn(u: usize, e: usize, n: i32, c: f32, d: f32): void {
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
}

/**
 * Replaces dL/dM by dL/dphi in up to ROWS rows that follow each other.
 *
 * @param z the perturbed logits of the first row; `u` (dL/dM), `weights` and `gradient` likewise
 * @param weights of the units, if dL/dM is yet to be made of them and of the gradient of the masked weights; or 0
 * @param order places of the draws, as `selectRows` writes them
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
  const e = scratch;
  const sums = e + bytesOfE(n);
  const draws = sums + SUMS;
  const factors = draws + DRAW * (<usize>k);
  const row = (<usize>n) << 2;
  for (let lane = 0; lane < rows; lane++) {
    const i = <usize>lane;
    const at = i * row;
    const last = (load<i32>(order + PLACES * (<usize>(k - 1)) + 4 * i) - <i32>at) >> 2;
    const own = weights == 0 ? <usize>0 : weights + at;
    sumUndrawn(e + at, z + at, u + at, own, gradient + at, last, n, inverseTau);
    store<f32>(sums + (i << 2), <f32>undrawnE);
    store<f32>(sums + (i << 2), <f32>undrawnEU, 16);
  }
  // Lanes without a row of their own have the last one's.
  for (let lane = rows; lane < ROWS; lane++) {
    const own = sums + ((<usize>lane) << 2);
    store<f32>(own, <f32>undrawnE);
    store<f32>(own, <f32>undrawnEU, 16);
  }
  const end = order + PLACES * (<usize>k);
  const origin = gather(z, end - PLACES);
  const scale = f32x4.splat(inverseTau);
  const log2 = f32x4.mul(scale, f32x4.splat(1.4426950408889634));
  const highest = f32x4.mul(f32x4.sub(gather(z, order), origin), log2);
  const wide = v128.any_true(f32x4.gt(highest, f32x4.splat(LIMIT)));
  const zero = f32x4.splat(0);
  v128.store(sums, zero, LOST);
  v128.store(sums, zero, LOST + 16);
  v128.store(sums, origin, ORIGIN);
  v128.store(sums, log2, LOG2);
  v128.store(sums, scale, SCALE);
  const toDraws = draws - order * (DRAW / PLACES);
  for (let last = end; last > order; ) {
    const first = last - min(PLACES * SUMMED, last - order);
    const at = toDraws + last * (DRAW / PLACES);
    if (wide) ascendWide(z, u, first, last, at, sums, factors + (last - order));
    else ascendNarrow(e, u, first, last, at, sums);
    last = first;
  }
  for (let sum: usize = 0; sum < LOST + 32; sum += 16) v128.store(sums + sum, zero);
  for (let first = order; first < end; ) {
    const last = first + min(PLACES * SUMMED, end - first);
    const at = toDraws + first * (DRAW / PLACES);
    const until = toDraws + last * (DRAW / PLACES);
    if (wide) descendWide(at, until, sums, factors + (first - order));
    else descendNarrow(at, until, sums);
    first = last;
  }
  v128.store(sums, f32x4.mul(v128.load(sums), scale));
  v128.store(sums, f32x4.mul(v128.load(sums, 16), scale), 16);
  for (let lane = 0; lane < rows; lane++) {
    const i = <usize>lane;
    const c = load<f32>(sums + (i << 2));
    const d = load<f32>(sums + (i << 2), 16);
    writeUndrawn(u + i * row, e + i * row, n, c, d);
  }
  let at = draws;
  for (let places = order; places < end; places += PLACES) {
    store<f32>(placeOf(u, places, 0), load<f32>(at));
    store<f32>(placeOf(u, places, 1), load<f32>(at, 4));
    store<f32>(placeOf(u, places, 2), load<f32>(at, 8));
    store<f32>(placeOf(u, places, 3), load<f32>(at, 12));
    at += DRAW;
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
    v128.store(gradient + at, v128.bitselect(f32x4.add(old, change), old, within(i, n)));
  }
}
