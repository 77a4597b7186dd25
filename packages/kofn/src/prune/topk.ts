/** The deterministic mask: the k largest logits of each group, ties by lower index. */

import { KofnError } from "../errors.js";

/**
 * @param logits [R, n]
 * @returns [R, n], 1 at exactly k units of each row.
 * @throws KofnError if a logit is not a number.
 *
 * @example
 * topKMask(Float32Array.of(1, 3, 3, 2), 1, 4, 1); // 0, 1, 0, 0
 */
export function topKMask(logits: Float32Array, rows: number, n: number, k: number): Uint8Array {
  const mask = new Uint8Array(rows * n);
  const sorted = new Float32Array(n);
  for (let start = 0; start < rows * n; start += n) {
    const row = logits.subarray(start, start + n);
    sorted.set(row);
    sorted.sort();
    // Sorting puts NaN last.
    if (Number.isNaN(sorted[n - 1])) {
      throw new KofnError(
        `training diverged: a mask logit of group ${start / n} is not a number; lower the learning rate of the logits`,
      );
    }
    const threshold = sorted[n - k];
    let above = 0;
    for (let i = 0; i < n; i++) if (row[i] > threshold) above++;
    let ties = k - above;
    for (let i = 0; i < n; i++) {
      if (row[i] > threshold) mask[start + i] = 1;
      else if (row[i] === threshold && ties > 0) {
        mask[start + i] = 1;
        ties--;
      }
    }
  }
  return mask;
}
