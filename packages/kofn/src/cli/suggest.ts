/** "Did you mean ...?" for names that are typed wrong. */

/** Edits (insertions, deletions, substitutions) from one word to another (Levenshtein). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(next[j - 1] + 1, row[j] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length];
}

/**
 * A sentence that suggests the known name nearest to a wrong one, with a space before it; empty if none is near.
 *
 * @example
 * suggestion("epoch", ["epochs", "batch"]); // ' Did you mean "epochs"?'
 */
export function suggestion(word: string, known: readonly string[]): string {
  const short = word.slice(0, 64);
  const nearest = known
    .map((name) => ({ name, edits: distance(short.toLowerCase(), name.toLowerCase()) }))
    .filter(({ name, edits }) => edits <= Math.max(1, Math.floor(Math.min(short.length, name.length) / 3)))
    .sort((a, b) => a.edits - b.edits)
    .at(0);
  return nearest === undefined ? "" : ` Did you mean "${nearest.name}"?`;
}
