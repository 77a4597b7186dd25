/** Names in C: identifiers made from the names of models and layers. */

/** The words that C99 keeps for itself. */
const KEYWORDS: ReadonlySet<string> = new Set(
  (
    "auto break case char const continue default do double else enum extern float for goto if inline int long register " +
    "restrict return short signed sizeof static struct switch typedef union unsigned void volatile while"
  ).split(" "),
);

/**
 * A name as an identifier: all but ASCII letters, digits and underscores become underscores, and a name that then begins with none
 * of the letters gets "n" before it.
 *
 * @example
 * identifier("lenet-300-100"); // "lenet_300_100"
 * identifier("/l/l.0/c1"); // "n_l_l_0_c1"
 */
export function identifier(name: string): string {
  const plain = name.replace(/[^A-Za-z0-9_]/g, "_");
  const begun = /^[A-Za-z]/.test(plain) ? plain : `n${plain}`;
  return KEYWORDS.has(begun) ? `${begun}_` : begun;
}

/** Gives identifiers away, each once: a name that is taken gets "_2", "_3", ... */
export class Identifiers {
  readonly #taken: Set<string>;

  constructor(taken: Iterable<string> = []) {
    this.#taken = new Set(taken);
  }

  take(name: string): string {
    const first = identifier(name);
    let free = first;
    for (let number = 2; this.#taken.has(free.toLowerCase()); number++) free = `${first}_${number}`;
    // Some file systems do not tell capital letters from small ones, and layers name files, too.
    this.#taken.add(free.toLowerCase());
    return free;
  }
}
