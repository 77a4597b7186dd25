/** Shares a budget out among sets of layers: which k each of them gets. */

/** Something whose k is to be chosen. */
export interface Allotment {
  /** The largest k. */
  readonly n: number;
  /** Its share k/n grows in proportion to this, until it is 1. */
  readonly density: number;
}

/**
 * Chooses k for each allotment so that the cost comes as near to a limit as it can without passing it.
 *
 * The shares k/n rise together, in proportion to the densities, one step of one k at a time; one that has reached n stays there
 * while the others go on. A step that would pass the limit ends the rise of its k, and the others take what is left. So what
 * remains of the limit in the end is less than any step that is left would cost. Each step is decided by its place in this order
 * alone, equal ones by the order of the allotments.
 *
 * @param round steps of k: every k is a multiple of it, or n.
 * @param cost of a choice; may not fall when a k rises.
 * @returns every k, at least the smallest step each (which may already cost more than the limit).
 * @example
 * // densities 1 and 2, each unit costs 1, at most 12
 * allocate([{ n: 10, density: 1 }, { n: 10, density: 2 }], 1, ([a, b]) => a + b, 12); // [4, 8]
 */
export function allocate(
  allotments: readonly Allotment[],
  round: number,
  cost: (k: readonly number[]) => number,
  limit: number,
): number[] {
  const k = smallest(allotments, round);
  const rising = new Set(allotments.keys());
  while (rising.size > 0) {
    const next = nextStep(allotments, k, round, rising);
    const before = k[next];
    if (before === allotments[next].n) {
      rising.delete(next);
      continue;
    }
    k[next] = Math.min(before + round, allotments[next].n);
    if (cost(k) > limit) {
      k[next] = before;
      rising.delete(next);
    }
  }
  return k;
}

/** The smallest k of each. */
export function smallest(allotments: readonly Allotment[], round: number): number[] {
  return allotments.map(({ n }) => Math.min(round, n));
}

/** Which of the rising ones is the first to take its next step. */
function nextStep(
  allotments: readonly Allotment[],
  k: readonly number[],
  round: number,
  rising: ReadonlySet<number>,
): number {
  let [first, lowest] = [-1, Infinity];
  for (const i of rising) {
    const { n, density } = allotments[i];
    const level = Math.min(k[i] + round, n) / (n * density);
    if (level < lowest) [first, lowest] = [i, level];
  }
  return first;
}

/**
 * The density that Erdos-Renyi-Kernel gives a layer, up to a factor that all layers share: the sum of its weight's dimensions
 * over their product, (Cin + Cout + Kh + Kw) / (Cin Cout Kh Kw). Large layers become sparser than small ones (Mocanu et al.,
 * Nature Communications 2018; with kernels: Evci et al., "Rigging the Lottery", ICML 2020, section 3).
 *
 * @param weights the dimensions of each weight that is to have this density.
 */
export function erdosRenyiKernel(weights: readonly (readonly number[])[]): number {
  let [kept, all] = [0, 0];
  for (const dims of weights) {
    kept += dims.reduce((sum, dim) => sum + dim, 0);
    all += dims.reduce((product, dim) => product * dim, 1);
  }
  return kept / all;
}
