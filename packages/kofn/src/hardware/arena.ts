/** Lays the values of a program out in one block of memory, so that values that are needed at the same time do not overlap. */

import { inputsOf, type Program, type Value } from "./program.js";

export interface Arena {
  /** In bytes; a multiple of {@link ALIGNMENT}. The program's input and output are not in the arena. */
  readonly offsets: ReadonlyMap<Value, number>;
  /** Size in bytes. */
  readonly bytes: number;
}

/** Of offsets, in bytes: that of a float. */
export const ALIGNMENT = 4;

interface Life {
  readonly value: Value;
  readonly bytes: number;
  /** Steps: the first that makes it and the last that reads it. */
  readonly from: number;
  to: number;
}

/**
 * Places the largest values first, each at the lowest offset that is free for as long as it is needed.
 *
 * @example
 * planArena(program).bytes; // 1600
 */
export function planArena(program: Program): Arena {
  const lives = livesOf(program).sort((a, b) => b.bytes - a.bytes || a.from - b.from);
  const placed: (Life & { readonly offset: number })[] = [];
  for (const life of lives) {
    const beside = placed
      .filter(({ from, to }) => from <= life.to && to >= life.from)
      .sort((a, b) => a.offset - b.offset);
    let offset = 0;
    for (const other of beside) {
      if (other.offset >= offset + life.bytes) break;
      offset = Math.max(offset, other.offset + other.bytes);
    }
    placed.push({ ...life, offset });
  }
  return {
    offsets: new Map(placed.map(({ value, offset }) => [value, offset])),
    bytes: placed.reduce((most, { offset, bytes }) => Math.max(most, offset + bytes), 0),
  };
}

function livesOf({ steps, input, output }: Program): Life[] {
  const lives = new Map<Value, Life>();
  steps.forEach((step, at) => {
    for (const value of inputsOf(step)) {
      const life = lives.get(value);
      if (life !== undefined) life.to = at;
    }
    const made = step.output;
    const known = lives.get(made);
    if (known !== undefined) known.to = at;
    else if (made !== input && made !== output) {
      const size = made.size * (made.codes === undefined ? 4 : 1);
      lives.set(made, { value: made, bytes: Math.ceil(size / ALIGNMENT) * ALIGNMENT, from: at, to: at });
    }
  });
  return [...lives.values()];
}
