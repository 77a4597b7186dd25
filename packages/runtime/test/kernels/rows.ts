/** Fully connected layers for one sample: assembly/rows.ts. */

import { bitsOf, clamp, type Draw, type Expected, limitsOf, type Trial } from "./trial.js";

/** An input's place and its weight in each of four rows. */
interface Entry {
  readonly places: readonly number[];
  readonly weights: readonly number[];
}

/** @param write an entry, for inputs at an address */
function rowsOf(
  trial: Trial,
  lists: readonly (readonly Entry[])[],
  values: readonly number[],
  write: (entry: Entry, input: number) => readonly number[],
): Expected<"rows1"> {
  const input = trial.put(values);
  const words = lists.map((list) => list.flatMap((entry) => write(entry, input)));
  const entries = trial.putWords(words.flat());
  let end = entries;
  const ends = trial.putWords(words.map(({ length }) => (end += 4 * length)));
  const count = 4 * lists.length;
  const output = trial.space(count);
  const added = trial.pick(true, false) ? trial.floats(count) : undefined;
  const residual = added === undefined ? 0 : trial.put(added) - output;
  const biases = trial.floats(count);
  const [least, most] = limitsOf(trial);
  const cells = new Map<number, number>();
  for (let row = 0; row < count; row++) {
    const lane = row % 4;
    const sum = lists[Math.floor(row / 4)].reduce(
      (total, { places, weights }) => total + weights[lane] * values[places[lane]],
      0,
    );
    cells.set(output + 4 * row, clamp(biases[row] + sum + (added?.[row] ?? 0), least, most));
  }
  const bias = trial.put(biases);
  return {
    args: [entries, ends, lists.length, output, bias, residual, least, most],
    cells,
    tolerance: 1e-5,
  };
}

/** Lists of none, some or all inputs, for each four rows. */
function placesOf(trial: Trial, inputs: number): number[][] {
  return trial.list(trial.integer(1, 5), () => trial.some(trial.list(inputs, (i) => i)));
}

export const rows1: Draw<"rows1"> = (trial) => {
  const values = trial.floats(trial.integer(1, 23));
  const lists = placesOf(trial, values.length).map((longest) => {
    // Rows that are shorter than the longest end with weights of 0.
    const lengths = trial.list(4, () => trial.integer(0, longest.length));
    return longest.map((_, i) => ({
      places: trial.list(4, (lane) => (i < lengths[lane] ? trial.integer(0, values.length - 1) : 0)),
      weights: trial.list(4, (lane) => (i < lengths[lane] ? trial.float() : 0)),
    }));
  });
  return rowsOf(trial, lists, values, ({ places, weights }, input) => [
    ...places.map((place) => input + 4 * place),
    ...weights.map(bitsOf),
  ]);
};

export const rows4: Draw<"rows4"> = (trial) => {
  const values = trial.floats(trial.integer(1, 23));
  const lists = placesOf(trial, values.length).map((columns) =>
    columns.map((column) => ({ places: [column, column, column, column], weights: trial.floats(4) })),
  );
  const rows = rowsOf(trial, lists, values, ({ places, weights }, input) => [
    input + 4 * places[0],
    ...weights.map(bitsOf),
  ]);
  return { ...rows };
};
