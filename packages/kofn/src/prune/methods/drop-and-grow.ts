/**
 * Sparse from start to end, with masks that move: every so many steps the smallest of the kept weights are dropped, and as many grow
 * elsewhere in the row, from 0.
 *
 * - SET: at random (Mocanu et al., "Scalable training of artificial neural networks with adaptive sparse connectivity inspired by
 *   network science", Nature Communications 2018).
 * - RigL: where the gradient is largest (Evci et al., "Rigging the Lottery: Making All Tickets Winners", ICML 2020).
 *
 * Of k units, floor(fraction k) are dropped, fraction = 0.3 / 2 (1 + cos(pi p / 0.75)) at progress p, until p = 0.75: the schedule
 * and the figures of RigL, for both.
 */

import { topKMask } from "../topk.js";
import { type Choice, type Chooser, choosesEvery, type Moment, progressOf } from "./chooser.js";
import { uniforms } from "./uniforms.js";

const FRACTION = 0.3;
const UNTIL = 0.75;

/** Sparse throughout. */
const ALWAYS = { shrinks: "never", shrink: { default: [0, 0], pretrained: [0, 0] } } as const;

export const set: Chooser = {
  ...ALWAYS,
  granularities: ["weights"],
  growsFromZero: true,
  chooses,
  scores: (choice) => dropAndGrow(choice, uniforms),
};

export const rigl: Chooser = {
  ...ALWAYS,
  granularities: ["weights"],
  gradient: "weights",
  growsFromZero: true,
  chooses,
  scores: (choice) => dropAndGrow(choice, ({ gradient }) => gradient().map(Math.abs)),
};

function chooses(moment: Moment): boolean {
  return progressOf(moment, moment.step) < UNTIL && moment.step % choosesEvery(moment) === 0;
}

/** How many of a row's k units are dropped. */
export function dropped(moment: Moment, k: number, n: number): number {
  const progress = progressOf(moment, moment.step);
  const fraction = (FRACTION / 2) * (1 + Math.cos((Math.PI * progress) / UNTIL));
  return Math.min(Math.floor(fraction * k), n - k);
}

/**
 * 1 for units that stay or grow, else 0. Units that have just been dropped can grow at once, if their criterion is the largest.
 *
 * @param criterion of growth, at least 0.
 */
function dropAndGrow(choice: Choice, criterion: (choice: Choice) => Float32Array): Float32Array {
  const { kept, rows, n, k } = choice;
  // Where the first masks come from, the papers leave open, or draw them at random.
  if (kept === undefined) return choice.pretrained ? choice.magnitudes() : uniforms(choice);
  const grown = dropped(choice, k, n);
  const magnitudes = choice.magnitudes().map((value, i) => (kept[i] === 1 ? value : -1));
  const stays = topKMask(magnitudes, rows, n, k - grown);
  if (grown === 0) return Float32Array.from(stays);
  const growth = criterion(choice).map((value, i) => (stays[i] === 1 ? -1 : value));
  const grows = topKMask(growth, rows, n, grown);
  return Float32Array.from(stays, (one, i) => one + grows[i]);
}
