/**
 * The k-of-n sampler and its gradient as standard ONNX operators, in O(n) per group (plus the sort of k values).
 *
 * Notation, per group: z = phi + noise; s_1 .. s_k are the draws (z descending); with e_i = exp(z_i / tau), Z_j is the
 * sum of e over what is not drawn before draw j (so Z_{k+1} = S is the sum over the units never drawn), and
 * c_j = sum_{l <= j} 1 / Z_l. The relaxed mask is A_i = e_i c_k for the undrawn and A_{s_j} = e_{s_j} c_j.
 * For an upstream gradient U, with V_j = (sum over the not yet drawn of e U) / Z_j and D_j = sum_{l <= j} V_l / Z_l:
 *
 *     dphi_i = e_i (U_i c_k - D_k) / tau (undrawn),    dphi_{s_j} = e_{s_j} (U_{s_j} c_j - D_j) / tau.
 *
 * The undrawn enter through q = softmax over the undrawn of z / tau, which is safe at any temperature:
 * e_i = q_i S. The draws are summed in double precision (draw-sums.ts).
 */

import type { Builder } from "../onnx/builder.js";
import { drawSums } from "./draw-sums.js";
import { getInt, int, type Node } from "../onnx/model.js";

/** Stands for minus infinity, but is finite: a softmax over nothing else is no NaN. */
const LOWEST = -1e30;

const FLOAT64 = { to: int(11) };

/** What the two halves of the sampler share. */
interface Draws {
  /** The k largest of each row of z = phi + noise, descending, ties by lower index, and where they are: [R, k]. */
  readonly values: string;
  readonly indices: string;
  /** z / tau, with LOWEST where a unit was drawn: [R, n]. */
  readonly undrawn: string;
}

function draw(b: Builder, phi: string, noise: string, tau: string, k: number): Draws {
  const z = b.add(phi, noise, `${phi}/z`);
  const [rows] = b.shape(phi);
  const [values, indices] = b.ops("TopK", [z, b.vector([k])], { axis: int(1) }, [
    `${phi}/values`,
    `${phi}/draws`,
  ]);
  const scaled = b.mul(z, b.op("Reciprocal", [tau]));
  const lowest = b.expand(b.scalar(LOWEST, z), [rows, k], `${phi}/lowest`);
  const undrawn = b.op("ScatterElements", [scaled, indices, lowest], { axis: int(1) }, `${phi}/undrawn`);
  return { values, indices, undrawn };
}

/** KofN: 1 at the k largest, else 0. */
export function lowerKofN(b: Builder, node: Node, out: string): string {
  const [phi, noise, tau] = node.inputs;
  const k = getInt(node, "k", 0);
  const [rows, n] = b.shape(phi);
  const dtype = b.dtype(phi) === "float64" ? "float64" : "float32";
  if (k === n) return b.fill(1, dtype, [rows, n], out);
  const { indices } = draw(b, phi, noise, tau, k);
  const zeros = b.fill(0, dtype, [rows, n], `${phi}/zeros`);
  const ones = b.fill(1, dtype, [rows, k], `${phi}/ones`);
  return b.op("ScatterElements", [zeros, indices, ones], { axis: int(1) }, out);
}

/** KofNGrad: see the head of this file. */
export function lowerKofNGrad(b: Builder, node: Node, out: string): string {
  const [upstream, phi, noise, tau] = node.inputs;
  const k = getInt(node, "k", 0);
  const [rows, n] = b.shape(phi);
  const { values, indices, undrawn } = draw(b, phi, noise, tau, k);
  const named = (suffix: string): string => `${phi}/${suffix}`;
  const double = (value: string): string => b.op("Cast", [value], FLOAT64);
  const like = (value: string): string =>
    b.dtype(phi) === "float64" ? value : b.op("Cast", [value], { to: int(1) });

  const tau64 = double(tau);
  const upstreamDrawn = double(b.op("GatherElements", [upstream, indices], { axis: int(1) }));
  const scaled = b.div(double(values), tau64, named("exponents"));

  if (k === n) {
    const { drawn } = drawSums(b, scaled, upstreamDrawn, undefined);
    const zeros = b.fill(0, b.dtype(phi) === "float64" ? "float64" : "float32", [rows, n]);
    const dDrawn = like(b.div(drawn, tau64));
    return b.op("ScatterElements", [zeros, indices, dDrawn], { axis: int(1) }, out);
  }

  // The undrawn: q, the mean of U under q, and the log of S relative to the last draw.
  const q = b.op("Softmax", [undrawn], { axis: int(1) }, named("q"));
  const weighted = b.mul(q, upstream, named("weighted"));
  const mean = double(b.sum(weighted, [1]));
  const best = double(b.op("ReduceMax", [undrawn, b.vector([1])], {}, named("best_undrawn")));
  const bestShare = double(b.op("ReduceMax", [q, b.vector([1])], {}, named("best_share")));
  const last = b.op("Slice", [scaled, b.vector([k - 1]), b.vector([k]), b.vector([1])]);
  const log = b.sub(b.sub(best, last), b.op("Log", [bestShare]));

  const sums = drawSums(b, scaled, upstreamDrawn, { log, mean });
  const dDrawn = like(b.div(sums.drawn, tau64));
  const slope = like(b.div(sums.slope, tau64));
  const offset = like(b.div(sums.offset, tau64));
  const dUndrawn = b.sub(b.mul(weighted, slope), b.mul(q, offset), named("d_undrawn"));
  return b.op("ScatterElements", [dUndrawn, indices, dDrawn], { axis: int(1) }, out);
}
