/** Images in other sizes: assembly/resize.ts. */

import { bitsOf, type Draw, type Trial } from "./trial.js";

/** For each result two places of the input, and the weight of the second. */
function tableOf(
  trial: Trial,
  size: number,
  results: number,
): { first: number; second: number; weight: number }[] {
  return trial.list(results, () => ({
    first: trial.integer(0, size - 1),
    second: trial.integer(0, size - 1),
    weight: trial.pick(0, 1, trial.float(0, 1)),
  }));
}

export const resize: Draw<"resize"> = (trial) => {
  const [planes, height, width] = [trial.integer(1, 3), trial.integer(1, 5), trial.integer(1, 5)];
  const [rows, columns] = [trial.integer(1, 7), trial.integer(1, 7)];
  const [row, outputRow] = [width + trial.integer(0, 3), columns + trial.integer(0, 3)];
  const [plane, outputPlane] = [height * row + trial.integer(0, 3), rows * outputRow + trial.integer(0, 3)];
  const values = trial.floats(planes * plane);
  const [input, output] = [trial.put(values), trial.space(planes * outputPlane)];
  const [down, right] = [tableOf(trial, height, rows), tableOf(trial, width, columns)];
  const cells = new Map<number, number>();
  for (let p = 0; p < planes; p++) {
    down.forEach((y, i) => {
      right.forEach((x, j) => {
        const at = (fromY: number, fromX: number): number => values[p * plane + fromY * row + fromX];
        const [upper, lower] = [y.first, y.second].map(
          (fromY) => at(fromY, x.first) * (1 - x.weight) + at(fromY, x.second) * x.weight,
        );
        cells.set(
          output + 4 * (p * outputPlane + i * outputRow + j),
          upper * (1 - y.weight) + lower * y.weight,
        );
      });
    });
  }
  const [ys, xs] = [down, right].map((table, axis) =>
    trial.putWords(
      table.flatMap(({ first, second, weight }) => {
        const step = axis === 0 ? 4 * row : 4;
        return [step * first, step * second, bitsOf(weight)];
      }),
    ),
  );
  return {
    args: [input, 4 * plane, output, 4 * outputPlane, 4 * outputRow, planes, rows, columns, ys, xs],
    cells,
    tolerance: 1e-6,
  };
};
