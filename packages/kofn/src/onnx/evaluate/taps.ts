/** Which input elements each position of a sliding window covers. */

import type { Window } from "../infer/window.js";

/** The cell lies in the padding that the node declares. */
export const PADDING = -1;
/** The cell lies beyond the padding: the part of the last window that ceil_mode lets hang over. */
export const BEYOND = -2;

/** A window laid over the spatial axes of an input. */
export interface Taps {
  /** Spatial positions of the output. */
  readonly outputs: number;
  /** Cells of the kernel. */
  readonly cells: number;
  /** Spatial positions of the input. */
  readonly inputs: number;
  /** [outputs, cells]: the spatial position of the input under the cell; {@link PADDING} or {@link BEYOND}. */
  readonly at: Int32Array;
}

export function tapsOf(window: Window, spatial: readonly number[]): Taps {
  let taps: Taps = { outputs: 1, cells: 1, inputs: 1, at: new Int32Array(1) };
  for (const [axis, size] of spatial.entries()) taps = extend(taps, window, axis, size);
  return taps;
}

/** Adds an axis, innermost. */
function extend({ outputs, cells, inputs, at }: Taps, window: Window, axis: number, size: number): Taps {
  const steps = window.outputs[axis];
  const width = window.kernel[axis];
  const next = new Int32Array(at.length * steps * width);
  let i = 0;
  for (let output = 0; output < outputs; output++) {
    for (let step = 0; step < steps; step++) {
      const start = step * window.strides[axis] - window.padsBegin[axis];
      for (let cell = 0; cell < cells; cell++) {
        const outer = at[output * cells + cell];
        for (let tap = 0; tap < width; tap++) {
          const position = start + tap * window.dilations[axis];
          const here =
            position < 0 ? PADDING : position < size ? position : beyond(window, axis, position - size);
          next[i++] = outer < 0 || here < 0 ? Math.min(outer, here, PADDING) : outer * size + here;
        }
      }
    }
  }
  return { outputs: outputs * steps, cells: cells * width, inputs: inputs * size, at: next };
}

function beyond(window: Window, axis: number, excess: number): number {
  return excess < window.padsEnd[axis] ? PADDING : BEYOND;
}
