/** The gradient of a convolution with strides in its input, without the products with zeros. */

import { int } from "../../onnx/model.js";
import type { Windows } from "../windows.js";
import { arrangeTurned, convolve } from "./filters.js";
import type { Layouts } from "./layouts.js";

/** Along one dimension: the rows s t + phase of dX, for all t, as a correlation of dY with every s-th row of the filters. */
interface Phase {
  readonly taps: number;
  /** The last filter row that reaches these rows. */
  readonly last: number;
  readonly before: number;
  readonly after: number;
}

/**
 * dX of a convolution with strides, blocked: a row y of dX takes from filter row k what dY has at (y + pad - k) / s, where
 * that is whole. So rows (and columns) of equal remainder y mod s are a convolution of their own; the results are
 * interleaved. Undefined where the remainders differ in how many rows or in what pads they need.
 */
export function phasedGradInput(
  layouts: Layouts,
  dY: string,
  w: string,
  { kernel, strides, dilations, begins }: Windows,
  input: readonly number[],
  name: string,
): string | undefined {
  const { b, block } = layouts;
  if (strides.every((stride) => stride === 1) || dilations.some((dilation) => dilation !== 1))
    return undefined;
  if (input.some((size, i) => size % strides[i] !== 0)) return undefined;
  const [batch, , ...output] = layouts.shape(dY);
  const sizes = input.map((size, i) => size / strides[i]);
  const [rows, columns] = strides.map((stride, i) =>
    Array.from({ length: stride }, (_, phase): Phase => {
      const first = (phase + begins[i]) % stride;
      const taps = Math.ceil((kernel[i] - first) / stride);
      const shift = Math.floor((phase + begins[i]) / stride);
      const last = first + stride * (taps - 1);
      return { taps, last, before: taps - 1 - shift, after: sizes[i] + shift - output[i] };
    }),
  );
  if ([...rows, ...columns].some(({ taps, before, after }) => taps < 1 || before < 0 || after < 0))
    return undefined;
  const source = layouts.blocked(dY);
  const channels = b.shape(w)[1];
  const interleaved = rows.map((row) => {
    const parts = columns.map((column) => {
      const filters = arrangeTurned(layouts, w, [row.last, column.last], strides);
      const geometry = {
        kernel: [row.taps, column.taps],
        strides: [1, 1],
        dilations: [1, 1],
        begins: [row.before, column.before],
        ends: [row.after, column.after],
      };
      const part = convolve(layouts, [source, filters], geometry, [batch, channels, ...sizes]);
      return b.reshape(part, [(batch * channels * sizes[0]) / block, sizes[1], block]);
    });
    const line = concat(layouts, parts, 2);
    return b.reshape(line, [(batch * channels * sizes[0]) / block, 1, input[1] * block]);
  });
  return b.reshape(concat(layouts, interleaved, 1), [batch, channels, ...input], name);
}

function concat({ b }: Layouts, parts: readonly string[], axis: number): string {
  return parts.length === 1 ? parts[0] : b.op("Concat", parts, { axis: int(axis) });
}
