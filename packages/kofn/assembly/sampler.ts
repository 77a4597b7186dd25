/**
 * The k-of-n sampler on the host: noise, the k largest perturbed logits of each row, the mask, the gradient of the relaxed
 * mask, and the update of the logits. onnxruntime would take an operator, and so a pass over memory, for each of their
 * steps, and five times as long to find the k largest.
 */

import { perturb } from "./noise";
import { learn } from "./optimizer";
import { addEntropyGradient, relaxedRows, relaxedScratch } from "./relaxed";
import { FEW, GUESS, ROWS, selectRows, selectScratch } from "./select";
import { Sampler } from "./structures";

/** Short rows are perturbed so many units at a time, which stay in the cache. */
const AHEAD: i32 = 512;

/** Bytes of scratch memory that a thread needs for rows of n with k draws. */
export function scratchBytes(n: i32, k: i32): usize {
  return max(selectScratch(n), relaxedScratch(n, k)) + 16;
}

/** The scratch memory of a thread. */
@inline
function scratchOf(sampler: Sampler, thread: i32): usize {
  return sampler.scratch + sampler.scratchBytes * (<usize>thread);
}

/**
 * Where the draws of the first row would lie, for those of the block to be found that begins at a row. While one thread draws a block
 * anew, with another k, others still read what was drawn before.
 */
@inline
function orderFor(sampler: Sampler, first: i32, k: i32): usize {
  return sampler.order + ((<usize>(first * (sampler.most - k))) << 2);
}

/** The gradients of the block that begins at a row. */
@inline
function gradientOf(sampler: Sampler, first: i32): usize {
  return sampler.gradient + ((<usize>(first * sampler.n)) << 2) + sampler.gap * (<usize>(first / sampler.block));
}

/** The first of the weights of the units, or 0 (no address). */
@inline
function weightsOf(sampler: Sampler): usize {
  const weights = sampler.weights;
  return weights == null ? 0 : weights.values;
}

/**
 * Draws the rows of a block from `first` to before `end`: z = phi + scale * noise, as `perturb` of noise.ts reads it; the places
 * of each row's k largest, descending, ties by lower index (see `selectRows`); and the mask.
 */
export function sample(sampler: Sampler, thread: i32, first: i32, end: i32, k: i32, scale: f32): void {
  const n = sampler.n;
  const z = sampler.perturbed;
  const mask = sampler.mask;
  const weights = weightsOf(sampler);
  const order = orderFor(sampler, first, k);
  const guesses = sampler.guesses;
  const scratch = scratchOf(sampler, thread);
  const total = (end * n + 3) & ~3;
  let perturbed = (first * n) & ~3;
  for (let row = first; row < end; row += ROWS) {
    const rows = min(ROWS, end - row);
    const needed = (row + rows) * n;
    if (perturbed < needed) {
      const until = min(total, max((needed + 3) & ~3, perturbed + AHEAD));
      perturb(sampler, perturbed, until, scale);
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

/**
 * Replaces the gradients of the masks of a block, as it was sampled last, by dL/dphi. Not where the sampler holds weights.
 *
 * @param first row, to before `end`
 */
export function backward(sampler: Sampler, thread: i32, first: i32, end: i32, k: i32, tau: f64): void {
  differentiate(sampler, thread, first, end, k, tau, gradientOf(sampler, first));
}

/**
 * Makes the gradients of a block, as it was sampled last, and the optimizer's step of its logits; and of its weights, if the sampler
 * holds them. If not, dL/dphi lies in place of the gradients of masks then.
 *
 * @param first row, to before `end`
 */
export function update(sampler: Sampler, thread: i32, first: i32, end: i32, k: i32, tau: f64): void {
  const n = sampler.n;
  const weights = sampler.weights;
  const gradient = gradientOf(sampler, first);
  const result = weights == null ? gradient : sampler.product + sampler.productBytes * (<usize>thread);
  const offset = (<usize>(first * n)) << 2;
  const count = ((end - first) * n + 3) & ~3;
  differentiate(sampler, thread, first, end, k, tau, result);
  learn(sampler.logits, result, offset, count);
  if (weights == null) return;
  keepDrawn(result, gradient, sampler.order + ((<usize>(first * sampler.most)) << 2), end - first, n, k);
  learn(weights, result, offset, count);
}

/**
 * Writes dL/dphi of a block. Up to three numbers behind it are written back as they were.
 *
 * @param result of row `first`; holds dL/dM before, where there are no weights
 */
function differentiate(
  sampler: Sampler,
  thread: i32,
  first: i32,
  end: i32,
  k: i32,
  tau: f64,
  result: usize,
): void {
  const n = sampler.n;
  const phi = sampler.logits.values;
  const z = sampler.perturbed;
  const weights = weightsOf(sampler);
  const gradient = gradientOf(sampler, first);
  const order = orderFor(sampler, first, k);
  const scratch = scratchOf(sampler, thread);
  const inverseTau = <f32>(1 / tau);
  for (let row = first; row < end; row += ROWS) {
    const at = (<usize>(row * n)) << 2;
    const behind = (<usize>((row - first) * n)) << 2;
    const ownWeights = weights == 0 ? <usize>0 : weights + at;
    const rowOrder = order + ((<usize>(row * k)) << 2);
    const rows = min(ROWS, end - row);
    relaxedRows(z + at, result + behind, ownWeights, gradient + behind, rowOrder, rows, n, k, inverseTau, scratch);
  }
  if (sampler.entropy == 0) return;
  for (let row = first; row < end; row++) {
    const at = (<usize>(row * n)) << 2;
    addEntropyGradient(result + ((<usize>((row - first) * n)) << 2), phi + at, n, sampler.entropy, scratch);
  }
}

/** Copies the drawn units of `values` in `rows` rows, and writes 0 for the others. */
function keepDrawn(kept: usize, values: usize, order: usize, rows: i32, n: i32, k: i32): void {
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
