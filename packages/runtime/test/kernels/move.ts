/** Copies between layouts: assembly/move.ts. */

import { at, placesOf, stepsOf } from "./along.js";
import type { Draw } from "./trial.js";

export const copy: Draw<"copy"> = (trial) => {
  const sizes = [...trial.list(3, () => trial.integer(1, 3)), trial.integer(1, 9)];
  const [n0, n1, n2, n3] = sizes;
  const lying = stepsOf(trial, sizes);
  // Axes that are repeated, and such that run backwards.
  const signs = trial.pick(
    sizes.map(() => 1),
    sizes.map(() => trial.pick(0, 1, -1)),
  );
  const from = lying.steps.map((step, axis) => step * signs[axis]);
  const to = stepsOf(trial, sizes);
  const values = trial.floats(lying.cells);
  const first = at(
    sizes.map((size, axis) => (signs[axis] < 0 ? size - 1 : 0)),
    lying.steps,
  );
  const [source, target] = [trial.put(values) + 4 * first, trial.space(to.cells)];
  const cells = new Map(
    placesOf(sizes).map((place) => [target + 4 * at(place, to.steps), values[first + at(place, from)]]),
  );
  const [s0, s1, s2, s3] = from.map((step) => 4 * step);
  const [t0, t1, t2, t3] = to.steps.map((step) => 4 * step);
  return { args: [source, target, n0, n1, n2, n3, s0, s1, s2, s3, t0, t1, t2, t3], cells, tolerance: 0 };
};

export const phase: Draw<"phase"> = (trial) => {
  const [planes, height, width] = [trial.integer(1, 3), trial.integer(1, 9), trial.integer(1, 21)];
  const [rows, columns] = [trial.integer(1, 9), trial.integer(1, 21)];
  const [y0, x0] = [trial.integer(-6, 12), trial.integer(-6, 24)];
  const [sy, sx] = [trial.integer(1, 3), trial.integer(1, 3)];
  const [row, targetRow] = [width + trial.integer(0, 3), columns + trial.integer(0, 3)];
  const [plane, targetPlane] = [height * row + trial.integer(0, 3), rows * targetRow + trial.integer(0, 3)];
  const values = trial.floats(planes * plane);
  const [source, target] = [trial.put(values), trial.space(planes * targetPlane)];
  const cells = new Map<number, number>();
  for (let p = 0; p < planes; p++) {
    for (let y = 0; y < rows; y++) {
      for (let x = 0; x < columns; x++) {
        const [fromY, fromX] = [y0 + sy * y, x0 + sx * x];
        const isInside = fromY >= 0 && fromY < height && fromX >= 0 && fromX < width;
        cells.set(
          target + 4 * (p * targetPlane + y * targetRow + x),
          isInside ? values[p * plane + fromY * row + fromX] : 0,
        );
      }
    }
  }
  const from = [source, 4 * plane, 4 * row, height, width] as const;
  const to = [target, 4 * targetPlane, 4 * targetRow, rows, columns] as const;
  return { args: [...from, ...to, planes, y0, x0, sy, sx], cells, tolerance: 0 };
};
