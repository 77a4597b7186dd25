/** Pools and sums of planes: assembly/pool.ts. */

import { clamp, type Draw, limitsOf, type Trial } from "./trial.js";

/** A window along one axis. */
interface Axis {
  readonly size: number;
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
  readonly before: number;
  readonly behind: number;
  readonly results: number;
}

function axisOf(trial: Trial): Axis {
  const isPlain = trial.pick(true, false);
  const kernel = isPlain ? 2 : trial.integer(1, 3);
  const [stride, dilation] = isPlain ? [2, 1] : [trial.integer(1, 3), trial.integer(1, 2)];
  const [before, behind] = isPlain ? [0, 0] : trial.list(2, () => trial.integer(0, kernel - 1));
  const extent = (kernel - 1) * dilation + 1;
  const size = extent + trial.integer(0, 18);
  const whole = Math.floor((size + before + behind - extent) / stride) + 1;
  // One more result whose window begins in the input, as with ceil_mode.
  const isMore = trial.pick(true, false) && whole * stride < size + before;
  return { size, kernel, stride, dilation, before, behind, results: whole + Number(isMore) };
}

/** Places of a window in the input and its padding. */
function placesOf({ size, kernel, stride, dilation, before, behind }: Axis, result: number): number[] {
  return Array.from({ length: kernel }, (_, i) => result * stride - before + i * dilation).filter(
    (place) => place < size + behind,
  );
}

export const pool: Draw<"pool"> = (trial) => {
  const [kind, planes] = [trial.integer(0, 2), trial.integer(1, 3)];
  const [y, x] = [axisOf(trial), axisOf(trial)];
  const [row, outputRow] = [x.size + trial.integer(0, 3), x.results + trial.integer(0, 3)];
  const [plane, outputPlane] = [
    y.size * row + trial.integer(0, 3),
    y.results * outputRow + trial.integer(0, 3),
  ];
  const values = trial.floats(planes * plane);
  const [input, output] = [trial.put(values), trial.space(planes * outputPlane)];
  const [least, most] = limitsOf(trial);
  const of = (p: number, down: number, right: number): number => {
    const inside: number[] = [];
    let padded = 0;
    for (const i of placesOf(y, down)) {
      for (const j of placesOf(x, right)) {
        if (i >= 0 && i < y.size && j >= 0 && j < x.size) inside.push(values[p * plane + i * row + j]);
        else padded++;
      }
    }
    if (kind === 0) return Math.max(-Infinity, ...inside);
    return inside.reduce((a, b) => a + b, 0) / (inside.length + (kind === 2 ? padded : 0));
  };
  const cells = new Map<number, number>();
  for (let p = 0; p < planes; p++)
    for (let down = 0; down < y.results; down++)
      for (let right = 0; right < x.results; right++)
        cells.set(
          output + 4 * (p * outputPlane + down * outputRow + right),
          clamp(of(p, down, right), least, most),
        );
  const from = [input, 4 * plane, 4 * row, y.size, x.size] as const;
  const to = [output, 4 * outputPlane, 4 * outputRow, y.results, x.results, planes] as const;
  const window = [y.kernel, x.kernel, y.stride, x.stride, y.dilation, x.dilation] as const;
  const pads = [y.before, x.before, y.behind, x.behind] as const;
  return { args: [kind, ...from, ...to, ...window, ...pads, least, most], cells, tolerance: 1e-6 };
};

export const sums: Draw<"sums"> = (trial) => {
  const [planes, vectors, step] = [trial.integer(1, 5), trial.integer(1, 9), trial.integer(1, 5)];
  const plane = 4 * vectors + trial.integer(0, 5);
  const values = trial.floats(planes * plane);
  const [input, output] = [trial.put(values), trial.space(planes * step)];
  const scale = trial.float();
  const cells = new Map(
    trial.list(planes, (p) => {
      const own = values.slice(p * plane, p * plane + 4 * vectors);
      return [output + 4 * p * step, scale * own.reduce((a, b) => a + b)] as const;
    }),
  );
  return { args: [input, 4 * plane, planes, vectors, output, 4 * step, scale], cells, tolerance: 1e-5 };
};
