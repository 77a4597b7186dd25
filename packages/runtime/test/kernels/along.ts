/** Functions along an axis, and products of matrices: assembly/along.ts. */

import { type Draw, type Trial } from "./trial.js";

/** Steps in cells of axes of these sizes that lie in any order, with gaps; and how many cells they take in all. */
export function stepsOf(trial: Trial, sizes: readonly number[]): { steps: number[]; cells: number } {
  const order = sizes.map((_, i) => i);
  // Half the time the last axis comes last, and its elements follow each other.
  if (trial.pick(true, false)) order.sort(() => trial.pick(-1, 1));
  const steps = sizes.map(() => 1);
  let cells = 1;
  for (const axis of order.toReversed()) {
    steps[axis] = cells;
    cells = cells * sizes[axis] + trial.pick(0, 0, 1);
  }
  return { steps, cells };
}

/** All places of axes of these sizes. */
export function placesOf(sizes: readonly number[]): number[][] {
  return sizes.reduce<number[][]>(
    (places, size) => places.flatMap((place) => Array.from({ length: size }, (_, i) => [...place, i])),
    [[]],
  );
}

export const at = (place: readonly number[], steps: readonly number[]): number =>
  place.reduce((sum, index, axis) => sum + index * steps[axis], 0);

const sumOf = (line: readonly number[]): number => line.reduce((a, b) => a + b, 0);

function softmax(line: readonly number[]): number[] {
  const powers = line.map(Math.exp);
  return powers.map((power) => power / sumOf(powers));
}

/** What is made of a line, by the number of the function. */
const KINDS: readonly ((
  line: readonly number[],
  scale: readonly number[],
  shift: readonly number[],
) => number[])[] = [
  softmax,
  (line) => softmax(line).map(Math.log),
  (line) => [sumOf(line)],
  (line) => [sumOf(line) / line.length],
  (line) => [Math.max(...line)],
  (line) => [Math.min(...line)],
  (line, scale, shift) => {
    const mean = sumOf(line) / line.length;
    const variance = sumOf(line.map((x) => (x - mean) ** 2)) / line.length;
    return line.map((x, i) => ((x - mean) / Math.sqrt(variance + EPSILON)) * scale[i] + shift[i]);
  },
];
const EPSILON = Math.fround(1e-2);

export const along: Draw<"along"> = (trial) => {
  const kind = trial.integer(0, KINDS.length - 1);
  const isReduced = kind >= 2 && kind <= 5;
  const sizes = [...trial.list(3, () => trial.integer(1, 3)), trial.integer(1, 9)];
  const [n0, n1, n2, n] = sizes;
  const from = stepsOf(trial, sizes);
  const to = stepsOf(trial, isReduced ? [n0, n1, n2, 1] : sizes);
  const values = trial.floats(from.cells, -3, 3);
  const [input, output] = [trial.put(values), trial.space(to.cells)];
  const [scales, shifts] = [trial.floats(n), trial.floats(n)];
  const cells = new Map<number, number>();
  for (const place of placesOf([n0, n1, n2])) {
    const line = trial.list(n, (i) => values[at([...place, i], from.steps)]);
    KINDS[kind](line, scales, shifts).forEach((value, i) =>
      cells.set(output + 4 * at([...place, i], to.steps), value),
    );
  }
  const [s0, s1, s2, s] = from.steps.map((step) => 4 * step);
  const [t0, t1, t2, t] = to.steps.map((step) => 4 * step);
  const tables = [trial.put(scales), trial.put(shifts), EPSILON] as const;
  return {
    args: [kind, input, output, n0, n1, n2, n, s0, s1, s2, s, t0, t1, t2, t, ...tables],
    cells,
    tolerance: 1e-5,
  };
};

export const matmul: Draw<"matmul"> = (trial) => {
  const [rows, inner, columns] = [trial.integer(1, 4), trial.integer(0, 9), trial.integer(1, 37)];
  const [rowA, rowB, row] = [inner, columns, columns].map((least) => least + trial.integer(0, 5));
  const [left, right] = [trial.floats(rows * rowA), trial.floats(inner * rowB)];
  const [a, b, output] = [trial.put(left), trial.put(right), trial.space(rows * row)];
  const cells = new Map<number, number>();
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) {
      let sum = 0;
      for (let k = 0; k < inner; k++) sum += left[r * rowA + k] * right[k * rowB + c];
      cells.set(output + 4 * (r * row + c), sum);
    }
  }
  return {
    args: [a, 4 * rowA, b, 4 * rowB, output, 4 * row, rows, inner, columns],
    cells,
    tolerance: 1e-5,
  };
};
