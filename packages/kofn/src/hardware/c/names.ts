/** Names in C: identifiers made from the names of models and layers. */

/**
 * A name as the beginning of identifiers: all but ASCII letters, digits and underscores become underscores, and a name that then begins with none
 * of the letters gets "n" before it. (More follows, so it may be a word that C keeps for itself.)
 *
 * @example
 * identifier("lenet-300-100"); // "lenet_300_100"
 * identifier("/l/l.0/c1"); // "n_l_l_0_c1"
 */
export function identifier(name: string): string {
  const plain = name.replace(/[^A-Za-z0-9_]/g, "_");
  return /^[A-Za-z]/.test(plain) ? plain : `n${plain}`;
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
