/** Scores that order units at random. */

import type { Choice } from "./chooser.js";

/** Uniform between 0 and 1, [R, n]. */
export function uniforms({ rows, n, random }: Choice): Float32Array {
  const numbers = random();
  return Float32Array.from({ length: rows * n }, () => numbers.uniform());
}
