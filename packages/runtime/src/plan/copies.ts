/** Copies between values that lie differently. */

import { NetworkError } from "../errors.js";
import type { Call } from "../execute.js";
import { type Dims, sizeOf } from "../graph/types.js";
import type { Value } from "./value.js";

/** Axes that the kernel takes. */
const AXES = 4;
/** The most calls for one value. */
const MOST_CALLS = 256;

/** One axis: its size, and the cells from an element to the next. */
export interface Along {
  readonly size: number;
  readonly from: number;
  readonly to: number;
}

/** Cells from an element to the next along each axis, where elements follow each other. */
export function denseSteps(dims: Dims): number[] {
  return dims.map((_, i) => sizeOf(dims.slice(i + 1)));
}

/** Cells from an element to the next along each of a value's own axes. */
export function stepsOf({ dims, isFlat, plane, row }: Value): number[] {
  return !isFlat && dims.length === 4 ? [plane * dims[1], plane, row, 1] : denseSteps(dims);
}

export function alongOf(sizes: Dims, from: readonly number[], to: readonly number[]): Along[] {
  return sizes.map((size, i) => ({ size, from: from[i], to: to[i] }));
}

/** The same in as few axes as can be. */
export function merged(axes: readonly Along[]): Along[] {
  const found: Along[] = [];
  for (const axis of axes.filter(({ size }) => size > 1)) {
    const last = found.at(-1);
    const isOne = last?.from === axis.from * axis.size && last.to === axis.to * axis.size;
    if (isOne) found[found.length - 1] = { ...axis, size: last.size * axis.size };
    else found.push(axis);
  }
  return found;
}

/** Calls for all places along axes, of which a kernel takes the last so many itself. */
export function unrolled(
  axes: readonly Along[],
  count: number,
  from: number,
  to: number,
  call: (axes: readonly Along[], from: number, to: number) => Call,
): Call[] {
  const few = merged(axes);
  if (few.slice(0, -count).reduce((calls, { size }) => calls * size, 1) > MOST_CALLS)
    throw new NetworkError("a value of too many axes");
  const loop = (left: readonly Along[], source: number, target: number): Call[] => {
    if (left.length <= count) {
      const none = { size: 1, from: 0, to: 0 };
      return [call([...new Array<Along>(count - left.length).fill(none), ...left], source, target)];
    }
    const [outer, ...inner] = left;
    return Array.from({ length: outer.size }, (_, i) =>
      loop(inner, source + 4 * i * outer.from, target + 4 * i * outer.to),
    ).flat();
  };
  return loop(few, from, to);
}

/** Copies elements along axes. */
export function copies(axes: readonly Along[], from: number, to: number): Call[] {
  return unrolled(axes, AXES, from, to, ([a, b, c, d], source, target) => ({
    kernel: "copy",
    args: [source, target, ...sizesAndSteps(a, b, c, d)],
  }));
}

type Four = readonly [number, number, number, number];

/** Arguments of kernels: sizes, steps of the source, and steps of the target in bytes. */
export function sizesAndSteps(
  ...axes: readonly [Along, Along, Along, Along]
): readonly [...sizes: Four, ...from: Four, ...to: Four] {
  const each = (of: (axis: Along) => number): Four => [of(axes[0]), of(axes[1]), of(axes[2]), of(axes[3])];
  return [...each(({ size }) => size), ...each(({ from }) => 4 * from), ...each(({ to }) => 4 * to)];
}
