/** Operators that move elements without changing them. */

import type { Fused } from "../graph/fuse.js";
import { numberOf, refuse } from "../graph/node.js";
import { axisOf, permutationOf } from "../graph/shapes.js";
import { sizeOf } from "../graph/types.js";
import type { Kernels } from "./memory.js";
import type { Step } from "./operation.js";
import { NotWide, type Planner } from "./planner.js";
import type { Value } from "./value.js";

/** Axes that the kernel takes. */
const AXES = 4;

/** Identity, Dropout, Flatten, Reshape, Squeeze, Unsqueeze: the same elements in the same order. */
export function reshape(planner: Planner, { node, output: name }: Fused): void {
  const [input, output] = [planner.value(node.inputs[0]), planner.value(name)];
  planner.add({
    inputs: [input],
    output,
    isView: true,
    fillsLane: true,
    scratch: () =>
      isSameImage(input, output) || input.isFlat || output.isFlat || output.isWide ? 0 : sizeOf(input.dims),
    emit: ({ kernels }, scratch) => {
      if (input.isWide !== output.isWide && input.isWide) throw new NotWide();
      if (isSameImage(input, output)) return copyImage(kernels, input, output);
      const size = 4 * sizeOf(input.dims);
      if (output.isWide && !input.isWide) {
        // A column of the result: one sample beside the others.
        const { planes, height, width } = input;
        const [plane, row] = input.steps.map((step) => 4 * step);
        const next = 4 * output.plane;
        return (lane) => {
          const to = output.address + 4 * lane;
          kernels.copy(
            input.address,
            to,
            1,
            planes,
            height,
            width,
            0,
            plane,
            row,
            4,
            0,
            next * height * width,
            next * width,
            next,
          );
        };
      }
      if (input.isFlat && output.isFlat) {
        return () => {
          kernels.copy(input.address, output.address, 1, 1, 1, size / 4, 0, 0, 0, 4, 0, 0, 0, 4);
        };
      }
      const between = input.isFlat ? input.address : output.isFlat ? output.address : scratch;
      const packed = input.isFlat ? undefined : copyPacked(kernels, input, between, true);
      const unpacked = output.isFlat ? undefined : copyPacked(kernels, output, between, false);
      return (lane) => {
        packed?.(lane);
        unpacked?.(lane);
      };
    },
  });
}

function isSameImage(a: Value, b: Value): boolean {
  return !a.isFlat && !b.isFlat && String(a.dims) === String(b.dims);
}

function copyImage({ copy }: Kernels, from: Value, to: Value): Step {
  const { planes, height, width } = from;
  const [s, t] = [from, to].map((value) => value.steps.map((step) => 4 * step));
  return () => {
    copy(from.address, to.address, 1, planes, height, width, 0, s[0], s[1], 4, 0, t[0], t[1], 4);
  };
}

/** Copies an image to or from elements that follow each other. */
function copyPacked({ copy }: Kernels, image: Value, packed: number, isPacking: boolean): Step {
  const { planes, height, width } = image;
  const lying = image.steps.map((step) => 4 * step);
  const dense = [4 * height * width, 4 * width, 4];
  const [s, t] = isPacking ? [lying, dense] : [dense, lying];
  const [from, to] = isPacking ? [image.address, packed] : [packed, image.address];
  return () => {
    copy(from, to, 1, planes, height, width, 0, s[0], s[1], 4, 0, t[0], t[1], 4);
  };
}

/** Cells from an element to the next along each of a value's own axes. */
function stepsOf({ dims, isFlat, plane, row }: Value): number[] {
  if (!isFlat && dims.length === 4) return [plane * dims[1], plane, row, 1];
  const steps = dims.map((_, i) => sizeOf(dims.slice(i + 1)));
  return steps;
}

/** Copies elements along axes of any steps, given in cells. */
function copyAxes(
  { copy }: Kernels,
  axes: readonly { readonly size: number; readonly from: number; readonly to: number }[],
  from: number,
  to: number,
): Step {
  const filled = [
    ...Array.from({ length: AXES - axes.length }, () => ({ size: 1, from: 0, to: 0 })),
    ...axes,
  ];
  const args = [
    ...filled.map(({ size }) => size),
    ...filled.map(({ from: step }) => 4 * step),
    ...filled.map(({ to: step }) => 4 * step),
  ];
  return () => {
    copy(from, to, ...args);
  };
}

export function transpose(planner: Planner, { node, output: name }: Fused): void {
  const [input, output] = [planner.value(node.inputs[0]), planner.value(name)];
  if (input.isWide || output.isWide) throw new NotWide();
  const order = permutationOf(node, input.dims);
  const sizes = order.map((axis) => input.dims[axis]);
  if (sizes.filter((size) => size > 1).length > AXES)
    refuse(node, `more than ${AXES} axes of [${input.dims.join(", ")}]`);
  planner.add({
    inputs: [input],
    output,
    emit: ({ kernels }) => {
      const [from, to] = [stepsOf(input), stepsOf(output)];
      const axes = order.map((axis, i) => ({ size: sizes[i], from: from[axis], to: to[i] }));
      return copyAxes(
        kernels,
        axes.filter(({ size }) => size > 1),
        input.address,
        output.address,
      );
    },
  });
}

export function concat(planner: Planner, { node, output: name }: Fused): void {
  const output = planner.value(name);
  const inputs = node.inputs.map((input) => planner.value(input));
  const axis = axisOf(node, numberOf(node, "axis", 0), output.dims.length);
  if (output.isWide && axis === 0) refuse(node, "it can't join batches");
  if (!output.isWide && output.dims.length > AXES) refuse(node, `more than ${AXES} axes`);
  planner.add({
    inputs,
    output,
    emit: ({ kernels }) => {
      let done = 0;
      const steps = inputs.map((input): Step => {
        const first = done;
        done += input.dims[axis];
        if (output.isWide) {
          const to = output.address + 4 * first * output.plane;
          return copyAxes(kernels, [{ size: input.planes * input.plane, from: 1, to: 1 }], input.address, to);
        }
        const [from, to] = [stepsOf(input), stepsOf(output)];
        const axes = input.dims.map((size, i) => ({ size, from: from[i], to: to[i] }));
        return copyAxes(kernels, axes, input.address, output.address + 4 * first * to[axis]);
      });
      return (lane) => {
        for (const step of steps) step(lane);
      };
    },
  });
}
