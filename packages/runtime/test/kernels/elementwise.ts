/** Functions of one or two values: assembly/elementwise.ts. */

import { clamp, type Draw, limitsOf, type Trial } from "./trial.js";

const { fround } = Math;

/** A value's planes, which may be one and the same, and the mask of their cells. */
interface Planes {
  readonly planes: number;
  readonly vectors: number;
  /** 4 * vectors */
  readonly count: number;
  readonly mask: number;
  readonly isCell: readonly boolean[];
}

function planesOf(trial: Trial): Planes {
  const [planes, vectors] = [trial.integer(1, 4), trial.integer(1, 6)];
  const count = 4 * vectors;
  const isMasked = trial.pick(true, false);
  const isCell = trial.list(count, () => !isMasked || trial.pick(true, false));
  const mask = isMasked ? trial.putWords(isCell.map((is) => (is ? 0xffff_ffff : 0))) : 0;
  return { planes, vectors, count, mask, isCell };
}

/** Numbers of all planes, `plane` apart. */
function valueOf(
  trial: Trial,
  { planes }: Planes,
  plane: number,
  draw: () => number,
): { values: number[]; address: number } {
  const values = trial.list(planes * plane, draw);
  return { values, address: trial.put(values) };
}

/** The cells of a result at `output`, by what is computed of a place. */
function cellsOf(
  { planes, count, isCell }: Planes,
  output: number,
  plane: number,
  of: (p: number, i: number) => number,
): Map<number, number> {
  const cells = new Map<number, number>();
  for (let p = 0; p < planes; p++)
    for (let i = 0; i < count; i++) cells.set(output + 4 * (p * plane + i), isCell[i] ? of(p, i) : 0);
  return cells;
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const softplus = (x: number): number => Math.log(1 + Math.exp(x));

/** The error function by its series, of numbers up to 5. */
function erf(x: number): number {
  let [sum, term] = [0, x];
  for (let n = 1; n < 120; n++) {
    sum += term / (2 * n - 1);
    term *= -(x * x) / n;
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

const geluByTanh = (x: number): number =>
  0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));

/** Functions by their numbers, and numbers of which they are taken. */
const FUNCTIONS: readonly (readonly [
  of: (x: number, a: number, b: number) => number,
  least?: number,
  most?: number,
])[] = [
  [clamp],
  [(x, a) => (x < 0 ? x * a : x)],
  [sigmoid, -30, 30],
  [(x, a, b) => clamp(x * a + b, 0, 1)],
  [(x) => x * clamp(x / 6 + 0.5, 0, 1), -9, 9],
  [Math.tanh],
  [erf],
  [(x) => 0.5 * x * (1 + erf(x / Math.SQRT2))],
  [geluByTanh],
  [(x, a, b) => b * (x < 0 ? a * (Math.exp(x) - 1) : x)],
  [Math.exp, -80, 5],
  [Math.abs],
  [(x) => -x],
  [Math.sqrt, -1, 9],
  [(x) => 1 / x, 0.1, 9],
  [(x) => x / (1 + Math.abs(x))],
  [Math.log, -1, 90],
  [softplus, -30, 30],
  [(x) => x * Math.tanh(softplus(x))],
  [(x, a, b) => (x < -b ? x + a : x > b ? x - a : 0)],
];

export const unary: Draw<"unary"> = (trial) => {
  const shape = planesOf(trial);
  const kind = trial.integer(0, FUNCTIONS.length - 1);
  const [of, least = -4, most = 4] = FUNCTIONS[kind];
  const [a, b] = [trial.float(-1, 0), trial.float(0, 1)];
  const [plane, to] = [shape.count + trial.integer(0, 5), shape.count + trial.integer(0, 5)];
  const { values, address } = valueOf(trial, shape, plane, () =>
    trial.pick(0, trial.float(least, most), trial.float(least, most)),
  );
  const output = trial.space(shape.planes * to);
  const { planes, mask, vectors } = shape;
  return {
    args: [kind, address, 4 * plane, output, 4 * to, planes, mask, vectors, a, b],
    cells: cellsOf(shape, output, to, (p, i) => of(values[p * plane + i], a, b)),
    tolerance: 1e-6,
  };
};

const OPERATIONS: readonly ((x: number, y: number) => number)[] = [
  (x, y) => x + y,
  (x, y) => x - y,
  (x, y) => x * y,
  (x, y) => x / y,
  Math.max,
  Math.min,
  (x, y) => (x < 0 ? x * y : x),
];

export const binary: Draw<"binary"> = (trial) => {
  const shape = planesOf(trial);
  const kind = trial.integer(0, OPERATIONS.length - 1);
  // Vectors of each plane, vectors that all planes share, a number for each plane, or one for all.
  const [a, b] = [0, 1].map(() => {
    const step = trial.pick(16, 0);
    const plane = trial.pick(0, step === 0 ? 1 : shape.count + trial.integer(0, 5));
    const { values, address } = valueOf(
      trial,
      shape,
      Math.max(plane, step === 0 ? 1 : shape.count),
      () => trial.float(0.5, 2) * trial.pick(1, -1),
    );
    const args: [address: number, step: number, plane: number] = [address, step, 4 * plane];
    return { args, at: (p: number, i: number) => values[p * plane + (step === 0 ? 0 : i)] };
  });
  const to = shape.count + trial.integer(0, 5);
  const output = trial.space(shape.planes * to);
  const [least, most] = limitsOf(trial);
  const { planes, mask, vectors } = shape;
  return {
    args: [kind, ...a.args, ...b.args, output, 4 * to, planes, mask, vectors, least, most],
    cells: cellsOf(shape, output, to, (p, i) =>
      clamp(fround(OPERATIONS[kind](a.at(p, i), b.at(p, i))), least, most),
    ),
    tolerance: 0,
  };
};

/** The nearest whole number, halves to the even one. */
function nearest(x: number): number {
  const floor = Math.floor(x);
  if (x - floor !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}

export const quantize: Draw<"quantize"> = (trial) => {
  const shape = planesOf(trial);
  const isBinary = trial.pick(true, false);
  const [least, most] = isBinary ? [0, 1] : trial.pick([0, 255], [-128, 127], [-2, 1]);
  // Powers of two and their halves meet codes and what lies between them.
  const scale = trial.pick(0.25, trial.float(0.01, 0.3));
  const zero = trial.integer(least, most);
  const plane = shape.count + trial.integer(0, 5);
  const { values, address } = valueOf(trial, shape, plane, () =>
    fround(trial.pick(trial.integer(-40, 40) / 8, trial.float(-5, 5))),
  );
  const output = trial.space(shape.planes * plane);
  const valueOfCode = (code: number): number => fround(fround(code - zero) * scale);
  const of = (x: number): number => {
    if (isBinary) return valueOfCode(x >= fround(scale * fround(0.5 - zero)) ? 1 : 0);
    return valueOfCode(clamp(fround(nearest(fround(x / scale)) + zero), least, most));
  };
  const { planes, mask, vectors } = shape;
  return {
    args: [address, output, 4 * plane, planes, mask, vectors, scale, zero, least, most, Number(isBinary)],
    cells: cellsOf(shape, output, plane, (p, i) => of(values[p * plane + i])),
    tolerance: 0,
  };
};
