/** Order statistics of timing samples. */

export interface Summary {
  readonly median: number;
  /** First quartile. */
  readonly low: number;
  /** Third quartile. */
  readonly high: number;
  /** The least. */
  readonly best: number;
}

/**
 * The quantile of a sample, interpolated linearly between neighbours.
 *
 * @param values at least one.
 * @param share from 0 to 1.
 */
function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = share * (sorted.length - 1);
  const below = sorted[Math.floor(at)];
  return below + (sorted[Math.ceil(at)] - below) * (at - Math.floor(at));
}

/** @param values at least one. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** @param values at least one. */
export function summarise(values: readonly number[]): Summary {
  return {
    median: median(values),
    low: quantile(values, 0.25),
    high: quantile(values, 0.75),
    best: values.reduce((least, value) => Math.min(least, value), Infinity),
  };
}
