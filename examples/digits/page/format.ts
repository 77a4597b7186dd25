/** Writes numbers for people. */

export function whole(value: number): string {
  return value.toLocaleString("en");
}

/** "12.6 kB" */
export function bytes(count: number): string {
  if (count < 1000) return `${count} B`;
  return count < 1e6 ? `${(count / 1e3).toFixed(1)} kB` : `${(count / 1e6).toFixed(1)} MB`;
}

/** "97 %"; what is neither nothing nor all is never said to be. */
export function percent(share: number): string {
  if (share > 0 && share < 0.01) return "< 1 %";
  if (share < 1 && share > 0.99) return "> 99 %";
  return `${Math.round(100 * share)} %`;
}

/** "0.0085 ms": two digits that count. */
export function milliseconds(value: number): string {
  return `${Number(value.toPrecision(2))} ms`;
}
