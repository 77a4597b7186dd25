/** Which channels of a graph's tensors live and die together, and which can't be removed at all. */

/**
 * The channels along each axis of a tensor, as labels of {@link ChannelSets}, one for each index; undefined for an axis
 * that carries no channels and never changes its size.
 */
export type Layout = readonly (Int32Array | undefined)[];

/** Sets of channels that are kept or removed as one: a union-find over labels. */
export class ChannelSets {
  readonly #parent: number[] = [];
  readonly #reason = new Map<number, string>();

  /** Labels of new channels, each a set of its own. */
  fresh(count: number): Int32Array {
    const first = this.#parent.length;
    for (let i = 0; i < count; i++) this.#parent.push(first + i);
    return Int32Array.from({ length: count }, (_, i) => first + i);
  }

  /** The label that stands for a channel's set: the smallest in it. */
  find(label: number): number {
    let root = label;
    while (this.#parent[root] !== root) root = this.#parent[root];
    for (let at = label; at !== root;) {
      const next = this.#parent[at];
      this.#parent[at] = root;
      at = next;
    }
    return root;
  }

  join(a: number, b: number): void {
    const [kept, merged] = [this.find(a), this.find(b)].sort((x, y) => x - y);
    if (kept === merged) return;
    this.#parent[merged] = kept;
    const reason = this.#reason.get(merged);
    if (reason !== undefined) this.freeze([kept], reason);
    this.#reason.delete(merged);
  }

  /** Says why these channels can't be removed. The first reason stays. */
  freeze(labels: Iterable<number>, reason: string): void {
    for (const label of labels) {
      const root = this.find(label);
      if (!this.#reason.has(root)) this.#reason.set(root, reason);
    }
  }

  /** Why a channel can't be removed; undefined if it can. */
  reason(label: number): string | undefined {
    return this.#reason.get(this.find(label));
  }
}

/** An axis that a change of shape keeps, splits off or merges: where each index of the output's axis comes from. */
export interface AxisMove {
  readonly from: number;
  readonly to: number;
  /** For each index along the output's axis, the index along the input's. */
  readonly indices: Int32Array;
}

/**
 * Follows axes through a change of shape (row-major, as Reshape does it): an axis that stays, or that is merged with others
 * into one. An axis that is split is not among the moves.
 *
 * @example
 * axisMoves([2, 3, 4, 4], [2, 48])[1]; // { from: 1, to: 1, indices: [0 x16, 1 x16, 2 x16] } for axis 1
 */
export function axisMoves(from: readonly number[], to: readonly number[]): AxisMove[] {
  const moves: AxisMove[] = [];
  for (let i = 0, j = 0; i < from.length || j < to.length;) {
    const [firstIn, firstOut] = [i, j];
    let [left, right] = [from[i++] ?? 1, to[j++] ?? 1];
    while (left !== right) {
      if (left < right) left *= from[i++];
      else right *= to[j++];
    }
    const inputs = range(firstIn, Math.min(i, from.length)).filter((axis) => from[axis] !== 1);
    const outputs = range(firstOut, Math.min(j, to.length)).filter((axis) => to[axis] !== 1);
    if (inputs.length === 0) {
      if (i <= from.length && j <= to.length)
        moves.push({ from: firstIn, to: firstOut, indices: Int32Array.of(0) });
    } else if (outputs.length === 1) {
      for (const axis of inputs) moves.push(merged(from, inputs, axis, outputs[0]));
    }
  }
  return moves;
}

function merged(dims: readonly number[], inputs: readonly number[], from: number, to: number): AxisMove {
  const sizeFrom = (first: number): number =>
    inputs.filter((axis) => axis >= first).reduce((size, axis) => size * dims[axis], 1);
  const inner = sizeFrom(from + 1);
  const indices = Int32Array.from({ length: sizeFrom(0) }, (_, i) => Math.floor(i / inner) % dims[from]);
  return { from, to, indices };
}

function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);
}
