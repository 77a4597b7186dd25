/** Convolutions as sums of shifted planes: assembly/taps.ts. */

import { bitsOf, clamp, type Draw, type Expected, limitsOf, type Trial } from "./trial.js";

/** Distances in cells and the weights that they have, for each list. */
type Lists = readonly (readonly { readonly distance: number; readonly weights: readonly number[] }[])[];

/** Lists of taps of so many channels each, from `reach` cells before an output to as many behind it. */
function listsOf(trial: Trial, count: number, together: number, reach: number): Lists {
  return trial.list(count, () =>
    trial
      .some(trial.list(2 * reach + 1, (i) => i - reach))
      .map((distance) => ({ distance, weights: trial.floats(together) })),
  );
}

/** The addresses of the tables of taps and of their ends. */
function tablesOf(trial: Trial, lists: Lists): [taps: number, ends: number] {
  const words = lists.map((list) =>
    list.flatMap(({ distance, weights }) => [(4 * distance) >>> 0, ...weights.map(bitsOf)]),
  );
  const taps = trial.putWords(words.flat());
  let end = taps;
  return [taps, trial.putWords(words.map(({ length }) => (end += 4 * length)))];
}

/** What a channel adds up at a cell. */
function sumOf(lists: Lists, together: number, channel: number, at: (distance: number) => number): number {
  return lists[Math.floor(channel / together)].reduce(
    (sum, { distance, weights }) => sum + weights[channel % together] * at(distance),
    0,
  );
}

/** What is added to the result, as it lies, and its distance from it; or nothing. */
function residualOf(trial: Trial, output: number, cells: number): { values: number[]; residual: number } {
  if (trial.pick(true, false)) return { values: new Array<number>(cells).fill(0), residual: 0 };
  const values = trial.floats(cells);
  return { values, residual: trial.put(values) - output };
}

function planesOfTaps(trial: Trial, together: 1 | 4): Expected<"taps1"> {
  const [channels, vectors, reach] = [
    together * trial.integer(1, 4),
    trial.integer(1, 19),
    trial.integer(0, 9),
  ];
  const lists = listsOf(trial, channels / together, together, reach);
  const [taps, ends] = tablesOf(trial, lists);
  const count = 4 * vectors;
  const values = trial.floats(count + 2 * reach);
  const input = trial.put(values) + 4 * reach;
  const plane = count + trial.integer(0, 5);
  const output = trial.space(channels * plane);
  const { values: added, residual } = residualOf(trial, output, channels * plane);
  const biases = trial.floats(channels);
  const isCell = trial.list(count, () => trial.pick(true, true, false));
  const [least, most] = limitsOf(trial);
  const cells = new Map<number, number>();
  for (let c = 0; c < channels; c++) {
    for (let i = 0; i < count; i++) {
      const sum = sumOf(lists, together, c, (distance) => values[reach + i + distance]);
      const value = clamp(biases[c] + sum + added[c * plane + i], least, most);
      cells.set(output + 4 * (c * plane + i), isCell[i] ? value : 0);
    }
  }
  const mask = trial.putWords(isCell.map((is) => (is ? 0xffff_ffff : 0)));
  const bias = trial.put(biases);
  return {
    args: [taps, ends, channels, input, output, 4 * plane, bias, residual, mask, vectors, least, most],
    cells,
    tolerance: 1e-5,
  };
}

export const taps1: Draw<"taps1"> = (trial) => planesOfTaps(trial, 1);

export const taps4: Draw<"taps4"> = (trial) => ({ ...planesOfTaps(trial, 4) });

export const tapsRows: Draw<"tapsRows"> = (trial) => {
  const [width, channels, reach] = [trial.integer(1, 2), trial.integer(1, 4), trial.integer(0, 9)];
  const [rows, columns] = [4 * trial.integer(1, 3), 4 * width * trial.integer(1, 3)];
  const row = columns + trial.integer(0, 5);
  const lists = listsOf(trial, channels, 1, reach);
  const [taps, ends] = tablesOf(trial, lists);
  const values = trial.floats(rows * row + 2 * reach);
  const input = trial.put(values) + 4 * reach;
  const plane = rows * row + trial.integer(0, 5);
  const output = trial.space(channels * plane);
  const { values: added, residual } = residualOf(trial, output, channels * plane);
  const biases = trial.floats(channels);
  const [least, most] = limitsOf(trial);
  const cells = new Map<number, number>();
  for (let c = 0; c < channels; c++) {
    for (let y = 0; y < rows; y++) {
      for (let x = 0; x < columns; x++) {
        const i = y * row + x;
        const sum = sumOf(lists, 1, c, (distance) => values[reach + i + distance]);
        cells.set(output + 4 * (c * plane + i), clamp(biases[c] + sum + added[c * plane + i], least, most));
      }
    }
  }
  const to = [output, 4 * plane, trial.put(biases), residual, rows, columns, 4 * row] as const;
  return { args: [width, taps, ends, channels, input, ...to, least, most], cells, tolerance: 1e-5 };
};
