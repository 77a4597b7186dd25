/**
 * Evaluation of the k-of-n sampler by its definition, one draw after the other: O(k n) per row.
 *
 * This is the oracle of the O(n) formulas into which the compiler lowers the sampler. Draws without replacement, relaxed
 * per draw, are those of Dynamic Probabilistic Pruning (arXiv 2105.12686).
 */

import { getInt } from "../model.js";
import type { Tensor } from "../tensor.js";
import { type EvaluateContext, type EvaluateRule, inputTensor, numbersOf, outputTensor } from "./support.js";

/** The k largest of z in descending order, ties by lower index. */
function drawOrder(z: Float64Array, k: number): Uint32Array {
  const order = Uint32Array.from(z, (_, i) => i);
  return order.sort((a, b) => (z[a] === z[b] ? a - b : z[b] - z[a])).subarray(0, k);
}

/**
 * Calls `visit` with the distribution of each draw: the softmax of z / tau over the units that are not drawn yet, 0 for
 * those that are. The likeliest unit is the one that is drawn.
 */
function eachDraw(
  z: Float64Array,
  k: number,
  tau: number,
  visit: (p: Float64Array, likeliest: number) => void,
): void {
  const p = new Float64Array(z.length);
  const drawn = new Uint8Array(z.length);
  for (const unit of drawOrder(z, k)) {
    // The next unit to be drawn is the largest of those left.
    const max = z[unit];
    let sum = 0;
    for (let i = 0; i < z.length; i++) {
      p[i] = drawn[i] === 1 ? 0 : Math.exp((z[i] - max) / tau);
      sum += p[i];
    }
    for (let i = 0; i < z.length; i++) p[i] /= sum;
    visit(p, unit);
    drawn[unit] = 1;
  }
}

/** Perturbed logits of each row: z = phi + noise. */
function perturbed(phi: Tensor, noise: Tensor): Float64Array[] {
  const [rows, n] = phi.dims;
  const a = numbersOf(phi);
  const b = numbersOf(noise);
  return Array.from({ length: rows }, (_, row) =>
    Float64Array.from({ length: n }, (_, i) => a[row * n + i] + b[row * n + i]),
  );
}

function hardMask(context: EvaluateContext): Tensor {
  const phi = inputTensor(context, 0);
  const k = getInt(context.node, "k", 0);
  const [rows, n] = phi.dims;
  const mask = new Float64Array(rows * n);
  for (const [row, z] of perturbed(phi, inputTensor(context, 1)).entries()) {
    for (const unit of drawOrder(z, k)) mask[row * n + unit] = 1;
  }
  return outputTensor(context.outputs[0], mask);
}

/** dPhi_i = sum over draws j of p_j(i) * (U_i - sum_m p_j(m) U_m) / tau, with U the gradient of the mask. */
function relaxedGradient(context: EvaluateContext): Tensor {
  const upstream = numbersOf(inputTensor(context, 0));
  const phi = inputTensor(context, 1);
  const tau = numbersOf(inputTensor(context, 3))[0];
  const k = getInt(context.node, "k", 0);
  const [rows, n] = phi.dims;
  const gradient = new Float64Array(rows * n);
  for (const [row, z] of perturbed(phi, inputTensor(context, 2)).entries()) {
    const first = row * n;
    eachDraw(z, k, tau, (p, likeliest) => {
      // Relative to the likeliest unit's U: where its p is nearly 1, its U and the mean are nearly equal.
      const base = upstream[first + likeliest];
      let mean = 0;
      for (let i = 0; i < n; i++) mean += p[i] * (upstream[first + i] - base);
      for (let i = 0; i < n; i++) gradient[first + i] += (p[i] * (upstream[first + i] - base - mean)) / tau;
    });
  }
  return outputTensor(context.outputs[0], gradient);
}

/**
 * The relaxed mask A = sum over draws of their distributions; it sums to k.
 *
 * @param z perturbed logits of one group, length n.
 * @example
 * relaxedMask(Float64Array.of(1, 1), 2, 0.5); // [0.5, 1.5]: draws of (1/2, 1/2), then of (0, 1)
 */
export function relaxedMask(z: Float64Array, k: number, tau: number): Float64Array {
  const mask = new Float64Array(z.length);
  eachDraw(z, k, tau, (p) => {
    for (let i = 0; i < p.length; i++) mask[i] += p[i];
  });
  return mask;
}

export const sampler = {
  KofN: (context) => [hardMask(context)],
  KofNGrad: (context) => [relaxedGradient(context)],
} as const satisfies Record<string, EvaluateRule>;
