/**
 * The k-of-n sampler on the host: noise, the k largest perturbed logits of each row, the mask, the gradient of the relaxed
 * mask, and the update of the logits. onnxruntime would take an operator, and so a pass over memory, for each of their
 * steps, and five times as long to find the k largest.
 */

import { perturb } from "./noise";
import { addEntropyGradient, relaxedRows, relaxedScratch, ROWS } from "./relaxed";
import { initialise, select, selectScratch } from "./select";

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
 * Draws the rows from `first` to before `end`: z = phi + scale * noise, as `perturb` of noise.ts reads it; `order` [rows, k], the indices of each row's k
 * largest, descending, ties by lower index; `mask`, 1 there and 0 elsewhere.
 *
 * @param weights of the units, which `mask` then holds in place of 1; or 0 (no address)
 * @param guesses for each row two numbers that begin as (-Infinity, 0): see select.ts
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
  memory.fill(mask + (<usize>(first * n) << 2), 0, (<usize>((end - first) * n)) << 2);
  for (let row = first; row < end; row++) {
    const needed = (row + 1) * n;
    if (perturbed < needed) {
      const until = min(total, max((needed + 3) & ~3, perturbed + AHEAD));
      perturb(z, phi, perturbed, until, pool, poolSize, offsets, scale);
      perturbed = until;
    }
    const at = (<usize>(row * n)) << 2;
    const rowOrder = order + ((<usize>(row * k)) << 2);
    select(z + at, n, k, rowOrder, guesses + ((<usize>row) << 3), scratch);
    for (let j = 0; j < k; j++) {
      const unit = at + ((<usize>load<i32>(rowOrder + ((<usize>j) << 2))) << 2);
      store<f32>(mask + unit, weights == 0 ? 1 : load<f32>(weights + unit));
    }
  }
}

/** Copies the drawn units of `values` in `rows` rows, and writes 0 for the others. */
export function keepDrawn(kept: usize, values: usize, order: usize, rows: i32, n: i32, k: i32): void {
  memory.fill(kept, 0, (<usize>(rows * n)) << 2);
  for (let row = 0; row < rows; row++) {
    const at = (<usize>(row * n)) << 2;
    for (let j = 0; j < k; j++) {
      const unit = at + ((<usize>load<i32>(order)) << 2);
      store<f32>(kept + unit, load<f32>(values + unit));
      order += 4;
    }
  }
}

/**
 * Writes dL/dphi of the rows from `first` to before `end`, as they were sampled last.
 *
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
