/**
 * The k-of-n sampler on the host: noise, the k largest perturbed logits of each row, the mask, the gradient of the relaxed
 * mask, and the update of the logits. onnxruntime would take an operator, and so a pass over memory, for each of their
 * steps, and five times as long to find the k largest.
 */

import { perturb } from "./noise";
import { addEntropyGradient, relaxedRows, relaxedScratch } from "./relaxed";
import { FEW, GUESS, initialise, ROWS, selectRows, selectScratch } from "./select";

export { fillPool } from "./noise";
export { adam, sgd } from "./optimizer";
export { fitLargest, fitMean, mask, maskBackward, quantize, quantizeBackward } from "./quantize";

/** Short rows are perturbed so many units at a time, which stay in the cache. */
const AHEAD: i32 = 512;

initialise();

/** First byte of the memory that the caller may use. */
export function base(): usize {
  return (__heap_base + 63) & ~63;
}

/** Bytes of scratch memory that the functions below need for rows of n with k draws. */
export function scratchBytes(n: i32, k: i32): usize {
  return max(selectScratch(n), relaxedScratch(n, k)) + 16;
}

/**
 * Draws the rows from `first` to before `end`: z = phi + scale * noise, as `perturb` of noise.ts reads it; `order`, the places
 * of each row's k largest, descending, ties by lower index (see `selectRows`); `mask`, 1 there and 0 elsewhere.
 *
 * @param weights of the units, which `mask` then holds in place of 1; or 0 (no address)
 * @param guesses see `selectRows`
 * @param first a multiple of ROWS
 */
export function sample(
  phi: usize,
  z: usize,
  weights: usize,
  mask: usize,
  order: usize,
  guesses: usize,
  scratch: usize,
  first: i32,
  end: i32,
  n: i32,
  k: i32,
  pool: usize,
  poolSize: i32,
  offsets: usize,
  scale: f32,
): void {
  const total = (end * n + 3) & ~3;
  let perturbed = (first * n) & ~3;
  for (let row = first; row < end; row += ROWS) {
    const rows = min(ROWS, end - row);
    const needed = (row + rows) * n;
    if (perturbed < needed) {
      const until = min(total, max((needed + 3) & ~3, perturbed + AHEAD));
      perturb(z, phi, perturbed, until, pool, poolSize, offsets, scale);
      perturbed = until;
    }
    const at = (<usize>(row * n)) << 2;
    const rowOrder = order + ((<usize>(row * k)) << 2);
    selectRows(z + at, rows, n, k, rowOrder, guesses + GUESS * (<usize>row), scratch);
    const ownWeights = weights == 0 ? <usize>0 : weights + at;
    if (n <= FEW) maskGroup(mask + at, ownWeights, rowOrder, rows, n, k);
    else {
      for (let lane = 0; lane < rows; lane++) {
        maskRow(mask + at, z + at, ownWeights, rowOrder + ((<usize>lane) << 2), lane * n, n, k);
      }
    }
  }
}

/** Writes the mask of short rows that follow each other, from draw to draw. What it writes behind them is written again. */
function maskGroup(mask: usize, weights: usize, order: usize, rows: i32, n: i32, k: i32): void {
  const end = (<usize>(rows * n)) << 2;
  for (let at: usize = 0; at < end; at += 16) v128.store(mask + at, i32x4.splat(0));
  const last = order + ((<usize>k) << 4);
  for (; order < last; order += 4) maskUnit(mask, weights, <usize>load<i32>(order), true);
}

/**
 * Writes the mask of a row: by comparing z with that of the last draw, which is faster than going from draw to draw.
 *
 * @param order places of the row's draws, 16 bytes apart; `mask`, `z` and `weights` as in `selectRows`
 * @param begin first unit of the row behind the first row's
 */
function maskRow(mask: usize, z: usize, weights: usize, order: usize, begin: i32, n: i32, k: i32): void {
  const row = (<usize>begin) << 2;
  const end = row + ((<usize>n) << 2);
  const last = <usize>load<i32>(order + ((<usize>(k - 1)) << 4));
  const limit = load<f32>(z + last);
  // Of units that equal the last draw, those before it are drawn and those behind it are not.
  const turn = row + ((last - row) & ~15);
  const behind = min(turn + 16, end);
  const bare = weights == 0;
  let drawn = bare
    ? maskPart(mask, z, 0, false, row, turn, limit, true)
    : maskPart(mask, z, weights, true, row, turn, limit, true);
  for (let at = turn; at < behind; at += 4) {
    const value = load<f32>(z + at);
    drawn += maskUnit(mask, weights, at, at <= last ? value >= limit : value > limit);
  }
  const whole = behind + ((end - behind) & ~15);
  drawn += bare
    ? maskPart(mask, z, 0, false, behind, whole, limit, false)
    : maskPart(mask, z, weights, true, behind, whole, limit, false);
  for (let at = whole; at < end; at += 4) drawn += maskUnit(mask, weights, at, load<f32>(z + at) > limit);
  if (drawn == k) return;
  // What is not a number compares with none.
  memory.fill(mask + row, 0, end - row);
  for (let j = 0; j < k; j++) maskUnit(mask, weights, <usize>load<i32>(order + ((<usize>j) << 4)), true);
}

/**
 * Writes the mask from `at` to before `end`, in whole vectors, and returns how many units are drawn.
 *
 * @param equal whether units that equal the limit are
 */
@inline
function maskPart(
  mask: usize,
  z: usize,
  weights: usize,
  weighted: bool,
  at: usize,
  end: usize,
  limit: f32,
  equal: bool,
): i32 {
  const limits = f32x4.splat(limit);
  const ones = f32x4.splat(1);
  let drawn = i32x4.splat(0);
  for (; at < end; at += 16) {
    const values = v128.load(z + at);
    const over = equal ? f32x4.ge(values, limits) : f32x4.gt(values, limits);
    v128.store(mask + at, v128.and(over, weighted ? v128.load(weights + at) : ones));
    drawn = i32x4.sub(drawn, over);
  }
  return (
    i32x4.extract_lane(drawn, 0) +
    i32x4.extract_lane(drawn, 1) +
    (i32x4.extract_lane(drawn, 2) + i32x4.extract_lane(drawn, 3))
  );
}

@inline
function maskUnit(mask: usize, weights: usize, at: usize, drawn: bool): i32 {
  store<f32>(mask + at, drawn ? (weights == 0 ? 1 : load<f32>(weights + at)) : 0);
  return i32(drawn);
}

/** Copies the drawn units of `values` in `rows` rows, and writes 0 for the others. */
export function keepDrawn(kept: usize, values: usize, order: usize, rows: i32, n: i32, k: i32): void {
  memory.fill(kept, 0, (<usize>(rows * n)) << 2);
  for (let row = 0; row < rows; row += ROWS) {
    const at = (<usize>(row * n)) << 2;
    const last = order + ((<usize>k) << 4);
    for (; order < last; order += 4) {
      const unit = at + <usize>load<i32>(order);
      store<f32>(kept + unit, load<f32>(values + unit));
    }
  }
}

/**
 * Writes dL/dphi of the rows from `first` to before `end`, as they were sampled last. Up to three numbers behind `result` are
 * written back as they were.
 *
 * @param first a multiple of ROWS
 * @param weights of the units, where dL/dM is their product with `gradient`; or 0 (no address)
 * @param gradient of the masked weights
 * @param result of row `first`, all else of row 0; holds dL/dM before, where there are no weights
 * @param entropy weight of the sum of H(softmax(phi)) over the rows
 */
export function backward(
  phi: usize,
  z: usize,
  order: usize,
  weights: usize,
  gradient: usize,
  result: usize,
  scratch: usize,
  first: i32,
  end: i32,
  n: i32,
  k: i32,
  tau: f64,
  entropy: f64,
): void {
  for (let row = first; row < end; row += ROWS) {
    const at = (<usize>(row * n)) << 2;
    const rowOrder = order + ((<usize>(row * k)) << 2);
    const own = result + ((<usize>((row - first) * n)) << 2);
    const ownWeights = weights == 0 ? <usize>0 : weights + at;
    const rows = min(ROWS, end - row);
    relaxedRows(z + at, own, ownWeights, gradient + at, rowOrder, rows, n, k, <f32>(1 / tau), scratch);
  }
  if (entropy == 0) return;
  for (let row = first; row < end; row++) {
    const at = (<usize>(row * n)) << 2;
    addEntropyGradient(result + ((<usize>((row - first) * n)) << 2), phi + at, n, entropy, scratch);
  }
}
