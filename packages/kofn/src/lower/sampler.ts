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
 * e_i = q_i S. The draws are computed in double precision as cumulative sums, and there the trouble is range: e spans
 * exp((z_1 - z_k) / tau). Two facts bound it. A gap of more than GAP between consecutive draws may be shortened to GAP:
 * what lies below it is then still less than exp(-GAP) of what lies above. And draws are summed in blocks of
 * BLOCK, each with a scale of its own, so a block spans at most exp(GAP * BLOCK), which double precision holds.
 * Between blocks only ratios pass, which lie between 0 and n.
 */

import type { Builder } from "../onnx/builder.js";
import { getInt, int, type Node } from "../onnx/model.js";

/** exp(-32) = 1.3e-14: nothing in double precision sums of at most a few thousand terms. */
const GAP = 32;
/** GAP * BLOCK = 1376 < 2 * 708, the range of exponents of a double. */
const BLOCK = 43;
/** Stands for minus infinity, but is finite: a softmax over nothing else is no NaN. */
const LOWEST = -1e30;

const FLOAT64 = { to: int(11) };

/** What the two halves of the sampler share. */
export interface Draws {
  /** The k largest of each row of z = phi + noise, descending, ties by lower index, and where they are: [R, k]. */
  readonly values: string;
  readonly indices: string;
  /** z / tau, with LOWEST where a unit was drawn: [R, n]. */
  readonly undrawn: string;
}

/** How a KofN or KofNGrad node comes by its draws. */
export type DrawsOf = (b: Builder, phi: string, noise: string, tau: string, k: number) => Draws;

/** Draws within the graph, by TopK. */
export const drawInGraph: DrawsOf = (b, phi, noise, tau, k) => {
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
};

/**
 * Draws made on the host (src/prune/host-sampler.ts) and fed to the step: "PHI/values", "PHI/draws" (int32) and
 * "PHI/undrawn" become inputs of the graph.
 */
export const drawOnHost: DrawsOf = (b, phi, _noise, _tau, k) => {
  const [rows, n] = b.shape(phi);
  const names = hostDraws(phi);
  if (!b.graph.inputs.some(({ name }) => name === names.values)) {
    b.input(names.values, "float32", [rows, k]);
    b.input(names.indices, "int32", [rows, k]);
    b.input(names.undrawn, "float32", [rows, n]);
  }
  return names;
};

/** Names of the inputs that {@link drawOnHost} adds for the logits `phi`. */
export function hostDraws(phi: string): Draws {
  return { values: `${phi}/values`, indices: `${phi}/draws`, undrawn: `${phi}/undrawn` };
}

/** KofN: 1 at the k largest, else 0. */
export function lowerKofN(b: Builder, node: Node, out: string, drawsOf: DrawsOf): string {
  const [phi, noise, tau] = node.inputs;
  const k = getInt(node, "k", 0);
  const [rows, n] = b.shape(phi);
  const dtype = b.dtype(phi) === "float64" ? "float64" : "float32";
  if (k === n) return b.fill(1, dtype, [rows, n], out);
  const { indices } = drawsOf(b, phi, noise, tau, k);
  const zeros = b.fill(0, dtype, [rows, n], `${phi}/zeros`);
  const ones = b.fill(1, dtype, [rows, k], `${phi}/ones`);
  return b.op("ScatterElements", [zeros, indices, ones], { axis: int(1) }, out);
}

/** KofNGrad: see the head of this file. */
export function lowerKofNGrad(b: Builder, node: Node, out: string, drawsOf: DrawsOf): string {
  const [upstream, phi, noise, tau] = node.inputs;
  const k = getInt(node, "k", 0);
  const [rows, n] = b.shape(phi);
  const { values, indices, undrawn } = drawsOf(b, phi, noise, tau, k);
  const named = (suffix: string): string => `${phi}/${suffix}`;
  const double = (value: string): string => b.op("Cast", [value], FLOAT64);
  const like = (value: string): string =>
    b.dtype(phi) === "float64" ? value : b.op("Cast", [value], { to: int(1) });

  const tau64 = double(tau);
  const upstreamDrawn = double(b.op("GatherElements", [upstream, indices], { axis: int(1) }));
  const scaled = b.div(double(values), tau64, named("exponents"));

  // The undrawn: q, the mean of U under q, and the log of S relative to the last draw.
  let q: string | undefined;
  let weightedUndrawn: string | undefined;
  let meanUndrawn: string | undefined;
  let logUndrawn: string | undefined;
  if (k < n) {
    q = b.op("Softmax", [undrawn], { axis: int(1) }, named("q"));
    weightedUndrawn = b.mul(q, upstream, named("weighted"));
    meanUndrawn = double(b.sum(weightedUndrawn, [1]));
    const best = b.op("ReduceMax", [undrawn, b.vector([1])], {}, named("best_undrawn"));
    const bestShare = b.op("ReduceMax", [q, b.vector([1])], {}, named("best_share"));
    const last = b.op("Slice", [scaled, b.vector([k - 1]), b.vector([k]), b.vector([1])]);
    logUndrawn = b.sub(b.sub(double(best), last), b.op("Log", [double(bestShare)]));
  }

  const column = (value: string, j: number): string =>
    b.op("Slice", [value, b.vector([j]), b.vector([j + 1]), b.vector([1])]);
  const columns = (value: string, from: number, to: number): string =>
    from === 0 && to === k ? value : b.op("Slice", [value, b.vector([from]), b.vector([to]), b.vector([1])]);
  const axis = b.constant("int64", [], [1]);
  const cumulative = (value: string, reverse: boolean): string =>
    b.op("CumSum", [value, axis], { reverse: int(reverse ? 1 : 0) });

  // From the last block to the first: e, Z and V of each draw, in the block's own scale.
  interface Block {
    readonly e: string;
    readonly inverseZ: string;
    readonly v: string;
    readonly u: string;
    /** Z after the block's last draw, in the block's scale; absent if nothing is left. */
    readonly rest: string | undefined;
    readonly length: number;
  }
  const blocks: Block[] = [];
  let logRest = logUndrawn;
  let meanRest = meanUndrawn;
  for (let to = k; to > 0;) {
    const from = Math.floor((to - 1) / BLOCK) * BLOCK;
    const length = to - from;
    const x = columns(scaled, from, to);
    const u = columns(upstreamDrawn, from, to);
    const { e, lastExponent } = blockExponentials(b, x, rows, length, cumulative);
    const rest =
      logRest === undefined
        ? undefined
        : b.op("Exp", [lastExponent === undefined ? logRest : b.add(logRest, lastExponent)]);
    const sumE = cumulative(e, true);
    const sumEU = cumulative(b.mul(e, u), true);
    const Z = rest === undefined ? sumE : b.add(sumE, rest);
    const weighted =
      rest === undefined || meanRest === undefined ? sumEU : b.add(sumEU, b.mul(rest, meanRest));
    const v = b.div(weighted, Z);
    blocks.unshift({ e, inverseZ: b.op("Reciprocal", [Z]), v, u, rest, length });
    if (from > 0) {
      const gap = b.sub(column(scaled, from - 1), column(scaled, from));
      logRest = b.sub(b.op("Log", [b.div(column(Z, 0), column(e, 0))]), gap);
      meanRest = column(v, 0);
    }
    to = from;
  }

  // From the first block to the last: c and D, then the gradients of the draws.
  const grads: string[] = [];
  let cBefore: string | undefined;
  let dBefore: string | undefined;
  for (const { e, inverseZ, v, u, rest, length } of blocks) {
    let c = cumulative(inverseZ, false);
    let d = cumulative(b.mul(v, inverseZ), false);
    if (cBefore !== undefined && dBefore !== undefined) {
      const first = column(inverseZ, 0);
      c = b.add(c, b.mul(cBefore, first));
      d = b.add(d, b.mul(dBefore, first));
    }
    grads.push(b.mul(e, b.sub(b.mul(u, c), d)));
    if (rest !== undefined) {
      cBefore = b.mul(column(c, length - 1), rest);
      dBefore = b.mul(column(d, length - 1), rest);
    }
  }
  const drawn = grads.length === 1 ? grads[0] : b.op("Concat", grads, { axis: int(1) });
  const dDrawn = like(b.div(drawn, tau64));
  if (q === undefined || weightedUndrawn === undefined || cBefore === undefined || dBefore === undefined) {
    const zeros = b.fill(0, b.dtype(phi) === "float64" ? "float64" : "float32", [rows, n]);
    return b.op("ScatterElements", [zeros, indices, dDrawn], { axis: int(1) }, out);
  }
  const slope = like(b.div(cBefore, tau64));
  const offset = like(b.div(dBefore, tau64));
  const dUndrawn = b.sub(b.mul(weightedUndrawn, slope), b.mul(q, offset), named("d_undrawn"));
  return b.op("ScatterElements", [dUndrawn, indices, dDrawn], { axis: int(1) }, out);
}

/**
 * exp of a block's exponents x [rows, length] (descending), with gaps shortened to GAP, scaled so that the largest and
 * the smallest are each other's reciprocal; and the exponent of the smallest [rows, 1] (absent if it is 0).
 */
function blockExponentials(
  b: Builder,
  x: string,
  rows: number,
  length: number,
  cumulative: (value: string, reverse: boolean) => string,
): { e: string; lastExponent: string | undefined } {
  if (length === 1) return { e: b.fill(1, "float64", [rows, 1]), lastExponent: undefined };
  const slice = (value: string, from: number, to: number): string =>
    b.op("Slice", [value, b.vector([from]), b.vector([to]), b.vector([1])]);
  const gaps = b.op("Min", [b.sub(slice(x, 0, length - 1), slice(x, 1, length)), b.scalar(GAP, x)]);
  const above = cumulative(gaps, true);
  const padded = b.op("Pad", [above, b.vector([0, 0, 0, 1])]);
  const half = b.mul(slice(above, 0, 1), b.scalar(0.5, x));
  return { e: b.op("Exp", [b.sub(padded, half)]), lastExponent: b.neg(half) };
}
