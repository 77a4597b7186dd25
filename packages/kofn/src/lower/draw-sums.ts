/**
 * The sums over a group's draws that the sampler's gradient needs, in double precision.
 *
 * Notation as at the head of sampler.ts. The draws s_1 .. s_k are descending, so all are cumulative sums along k: from
 * the right Z_j and the sum of e U, from the left c_j and D_j. The trouble is range: e spans exp((z_1 - z_k) / tau). Two
 * facts bound it. A gap of more than GAP between consecutive draws may be shortened to GAP: what lies below it is then
 * still less than exp(-GAP) of what lies above. And draws are summed in blocks of at most BLOCK, each with a scale of
 * its own, so a block spans at most exp(GAP * BLOCK), which double precision holds. Between blocks only ratios pass,
 * which lie between 0 and n.
 */

import type { Builder } from "../onnx/builder.js";
import { int } from "../onnx/model.js";

/** exp(-32) = 1.3e-14: nothing in double precision sums of at most a few thousand terms. */
const GAP = 32;
/** GAP * BLOCK = 1376 < 2 * 708, the range of exponents of a double. */
const BLOCK = 43;

export interface DrawSums {
  /** e_{s_j} (U_{s_j} c_j - D_j) of each draw: [R, k]. */
  readonly drawn: string;
  /** S c_k: [R, 1]. */
  readonly slope: string;
  /** S D_k: [R, 1]. */
  readonly offset: string;
}

/**
 * @param exponents z / tau of the draws, descending: float64 [R, k].
 * @param upstream U of the draws: float64 [R, k].
 * @param left log(S / e_{s_k}) and the mean of U over the undrawn, weighted by e, where units are left undrawn: [R, 1].
 */
export function drawSums(
  b: Builder,
  exponents: string,
  upstream: string,
  left: { readonly log: string; readonly mean: string } | undefined,
): DrawSums {
  const [rows, k] = b.shape(exponents);
  const blocks = Math.ceil(k / BLOCK);
  const length = Math.ceil(k / blocks);
  const missing = blocks * length - k;

  // [R, k] -> [R, blocks, length]; the last block is filled up with draws of weight 0.
  const inBlocks = (value: string, mode: "edge" | "constant"): string => {
    const attributes = { mode: { kind: "string", value: new TextEncoder().encode(mode) } } as const;
    const filled = missing === 0 ? value : b.op("Pad", [value, b.vector([0, 0, 0, missing])], attributes);
    return b.reshape(filled, [rows, blocks, length]);
  };
  const slice = (value: string, from: number, to: number): string =>
    b.op("Slice", [value, b.vector([from]), b.vector([to]), b.vector([2])]);
  const column = (value: string, j: number): string => slice(value, j, j + 1);
  // [R, blocks, 1] <-> one [R, 1, 1] for each block
  const split = (value: string): string[] => {
    if (blocks === 1) return [value];
    const parts = Array.from({ length: blocks }, (_, i) => `${value}/${i}`);
    return b.ops("Split", [value], { axis: int(1), num_outputs: int(blocks) }, parts);
  };
  const join = (parts: readonly string[]): string =>
    parts.length === 1 ? parts[0] : b.op("Concat", parts, { axis: int(1) });
  const axis = b.constant("int64", [], [2]);
  const fromRight = (value: string): string => b.op("CumSum", [value, axis], { reverse: int(1) });
  const fromLeft = (value: string): string => b.op("CumSum", [value, axis]);
  const zero = b.fill(0, "float64", [rows, 1, 1]);

  // e of each draw in its block's scale: the block's first and last are each other's reciprocal.
  const x = inBlocks(exponents, "edge");
  const u = inBlocks(upstream, "constant");
  let e = b.fill(1, "float64", [rows, blocks, 1]);
  let lastExponent = b.fill(0, "float64", [rows, blocks, 1]);
  if (length > 1) {
    const gaps = b.op("Min", [b.sub(slice(x, 0, length - 1), slice(x, 1, length)), b.scalar(GAP, x)]);
    const above = fromRight(gaps);
    lastExponent = b.mul(column(above, 0), b.scalar(-0.5, x));
    e = b.op("Exp", [b.add(b.op("Pad", [above, b.vector([0, 0, 0, 0, 0, 1])]), lastExponent)]);
  }
  if (missing > 0) {
    const weights = Array.from({ length: blocks * length }, (_, j) => (j < k ? 1 : 0));
    e = b.mul(e, b.constant("float64", [1, blocks, length], weights));
  }

  // From the last block to the first: what is left after each block, and the mean of U over it.
  const sumE = fromRight(e);
  const sumEU = fromRight(b.mul(e, u));
  const firsts = [e, sumE, sumEU, x].map((value) => split(column(value, 0)));
  const lastX = split(column(x, length - 1));
  const lastExponents = split(lastExponent);
  const rests: string[] = [];
  const means: string[] = [];
  let log = left === undefined ? undefined : b.reshape(left.log, [rows, 1, 1]);
  let mean = left === undefined ? zero : b.reshape(left.mean, [rows, 1, 1]);
  for (let i = blocks - 1; i >= 0; i--) {
    const rest = log === undefined ? zero : b.op("Exp", [b.add(log, lastExponents[i])]);
    rests.unshift(rest);
    means.unshift(mean);
    if (i === 0) break;
    const [firstE, firstSumE, firstSumEU, firstX] = firsts.map((parts) => parts[i]);
    const Z = b.add(firstSumE, rest);
    mean = b.div(b.add(firstSumEU, b.mul(rest, mean)), Z);
    log = b.sub(b.op("Log", [b.div(Z, firstE)]), b.sub(lastX[i - 1], firstX));
  }
  const rest = join(rests);
  const inverseZ = b.op("Reciprocal", [b.add(sumE, rest)]);
  const v = b.mul(b.add(sumEU, b.mul(rest, join(means))), inverseZ);

  // From the first block to the last: c and D.
  let c = fromLeft(inverseZ);
  let d = fromLeft(b.mul(v, inverseZ));
  const ends = (value: string): string[] => [
    ...split(column(value, length - 1)).slice(0, -1),
    column(b.reshape(value, [rows, 1, blocks * length]), k - 1),
  ];
  const [endsC, endsD, firstInverse] = [ends(c), ends(d), split(column(inverseZ, 0))];
  const carriedC = [zero];
  const carriedD = [zero];
  let slope = zero;
  let offset = zero;
  for (let i = 0; i < blocks; i++) {
    const last = i === blocks - 1;
    slope = b.mul(i === 0 ? endsC[i] : b.add(endsC[i], carriedC[i]), rests[i]);
    offset = b.mul(i === 0 ? endsD[i] : b.add(endsD[i], carriedD[i]), rests[i]);
    if (last) break;
    carriedC.push(b.mul(slope, firstInverse[i + 1]));
    carriedD.push(b.mul(offset, firstInverse[i + 1]));
  }
  if (blocks > 1) {
    c = b.add(c, join(carriedC));
    d = b.add(d, join(carriedD));
  }
  const gradients = b.reshape(b.mul(e, b.sub(b.mul(u, c), d)), [rows, blocks * length]);
  return {
    drawn:
      missing === 0 ? gradients : b.op("Slice", [gradients, b.vector([0]), b.vector([k]), b.vector([1])]),
    slope: b.reshape(slope, [rows, 1]),
    offset: b.reshape(offset, [rows, 1]),
  };
}
