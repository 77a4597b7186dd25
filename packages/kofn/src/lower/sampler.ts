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
/** Stands for minus infinity, but stays finite when divided by a temperature above 1e-8. */
const LOWEST = -1e30;

const FLOAT64 = { to: int(11) };

interface Draws {
  /** phi + noise, [R, n] */
  readonly z: string;
  /** The k largest of each row of z, descending, and where they are: [R, k]. */
  readonly values: string;
  readonly indices: string;
}

function draw(b: Builder, phi: string, noise: string, k: number, name: string): Draws {
  const z = b.add(phi, noise, `${name}/z`);
  const [values, indices] = b.ops("TopK", [z, b.vector([k])], { axis: int(1) }, [
    `${name}/top`,
    `${name}/top_indices`,
  ]);
  return { z, values, indices };
}

/** KofN: 1 at the k largest, else 0. */
export function lowerKofN(b: Builder, node: Node, out: string): string {
  const [phi, noise] = node.inputs;
  const k = getInt(node, "k", 0);
  const [rows, n] = b.shape(phi);
  const dtype = b.dtype(phi) === "float64" ? "float64" : "float32";
  if (k === n) return b.fill(1, dtype, [rows, n], out);
  const { indices } = draw(b, phi, noise, k, phi);
  const zeros = b.fill(0, dtype, [rows, n], `${phi}/zeros`);
  const ones = b.fill(1, dtype, [rows, k], `${phi}/ones`);
  return b.op("ScatterElements", [zeros, indices, ones], { axis: int(1) }, out);
}

/** KofNGrad: see the head of this file. */
export function lowerKofNGrad(b: Builder, node: Node, out: string): string {
  const [upstream, phi, noise, tau] = node.inputs;
  const k = getInt(node, "k", 0);
  const [rows, n] = b.shape(phi);
  const { z, values, indices } = draw(b, phi, noise, k, phi);
  const named = (suffix: string): string => `${phi}/${suffix}`;
  const double = (value: string): string => b.op("Cast", [value], FLOAT64);
  const like = (value: string): string =>
    b.dtype(phi) === "float64" ? value : b.op("Cast", [value], { to: int(1) });

  const tau64 = double(tau);
  const upstreamDrawn = double(b.op("GatherElements", [upstream, indices], { axis: int(1) }));
  const values64 = double(values);
  const scaled = b.div(values64, tau64, named("draws"));

  // The undrawn: q, the mean of U under q, and the log of S relative to the last draw.
  let q: string | undefined;
  let meanUndrawn: string | undefined;
  let logUndrawn: string | undefined;
  if (k < n) {
    const lowest = b.expand(b.scalar(LOWEST, z), [rows, k], named("lowest"));
    const undrawn = b.op("ScatterElements", [z, indices, lowest], { axis: int(1) }, named("undrawn"));
    q = b.op("Softmax", [b.mul(undrawn, b.op("Reciprocal", [tau]))], { axis: int(1) }, named("q"));
    const product = b.op("MatMul", [b.reshape(q, [rows, 1, n]), b.reshape(upstream, [rows, n, 1])]);
    meanUndrawn = double(b.reshape(product, [rows, 1]));
    const best = b.op("ReduceMax", [undrawn, b.vector([1])], {}, named("best_undrawn"));
    const bestShare = b.op("ReduceMax", [q, b.vector([1])], {}, named("best_share"));
    const last = b.op("Slice", [values64, b.vector([k - 1]), b.vector([k]), b.vector([1])]);
    logUndrawn = b.sub(b.div(b.sub(double(best), last), tau64), b.op("Log", [double(bestShare)]));
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
  if (q === undefined || cBefore === undefined || dBefore === undefined) {
    const zeros = b.fill(0, b.dtype(phi) === "float64" ? "float64" : "float32", [rows, n]);
    return b.op("ScatterElements", [zeros, indices, dDrawn], { axis: int(1) }, out);
  }
  const slope = like(b.div(cBefore, tau64));
  const offset = like(b.div(dBefore, tau64));
  const dUndrawn = b.mul(q, b.sub(b.mul(upstream, slope), offset), named("d_undrawn"));
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
