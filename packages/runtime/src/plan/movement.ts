/** Operators that move elements without changing them. */

import type { Call } from "../execute.js";
import type { Fused } from "../graph/fuse.js";
import { numberOf, numbersOf, refuse, textOf } from "../graph/node.js";
import { axisOf, blockOf, padsOf, permutationOf, slicesOf } from "../graph/shapes.js";
import { type Dims, sizeOf } from "../graph/types.js";
import { alongOf, copies, denseSteps, stepsOf } from "./copies.js";
import { NotWide, type Planner } from "./planner.js";
import type { Value } from "./value.js";

/** Input and output of a node that takes one value and can't have several samples side by side. */
function ends(planner: Planner, { node, output: name }: Fused): [Value, Value] {
  const [input, output] = [planner.value(node.inputs[0]), planner.value(name)];
  if (input.isWide || output.isWide) throw new NotWide();
  return [input, output];
}

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
    emit: (_, scratch) => {
      if (input.isWide && !output.isWide) throw new NotWide();
      const { planes, height, width } = input;
      const image = [planes, height, width] as const;
      if (isSameImage(input, output))
        return copies(alongOf(image, input.steps, output.steps), input.address, output.address);
      if (output.isWide && !input.isWide) {
        // A column of the result: one sample beside the others.
        const [plane, row] = input.steps.map((step) => 4 * step);
        const next = 4 * output.plane;
        const to = [0, next * height * width, next * width, next] as const;
        const args = [input.address, output.address, 1, ...image, 0, plane, row, 4, ...to] as const;
        return [{ kernel: "copy", args, lane: [1, 4] }];
      }
      const between = input.isFlat ? input.address : output.isFlat ? output.address : scratch;
      const pack = (value: Value, isPacking: boolean): Call[] => {
        const [lying, dense] = [stepsOf(value), denseSteps(value.dims)];
        return isPacking
          ? copies(alongOf(value.dims, lying, dense), value.address, between)
          : copies(alongOf(value.dims, dense, lying), between, value.address);
      };
      return [
        ...(input.isFlat ? [] : pack(input, true)),
        ...(output.isFlat && !input.isFlat ? [] : pack(output, false)),
      ];
    },
  });
}

function isSameImage(a: Value, b: Value): boolean {
  return !a.isFlat && !b.isFlat && String(a.dims) === String(b.dims);
}

export function transpose(planner: Planner, fused: Fused): void {
  const [input, output] = ends(planner, fused);
  const order = permutationOf(fused.node, input.dims);
  planner.add({
    inputs: [input],
    output,
    emit: () => {
      const from = stepsOf(input);
      const axes = alongOf(
        output.dims,
        order.map((axis) => from[axis]),
        stepsOf(output),
      );
      return copies(axes, input.address, output.address);
    },
  });
}

export function concat(planner: Planner, { node, output: name }: Fused): void {
  const output = planner.value(name);
  const inputs = node.inputs.map((input) => planner.constant(input) ?? planner.value(input));
  const axis = axisOf(node, numberOf(node, "axis", 0), output.dims.length);
  if (output.isWide && axis === 0) refuse(node, "it can't join batches");
  const values = inputs.filter((input): input is Value => !("data" in input));
  if (output.isWide && values.length < inputs.length) throw new NotWide();
  planner.add({
    inputs: values,
    output,
    emit: (memory) => {
      let done = 0;
      return inputs.flatMap((input) => {
        const first = done;
        done += input.dims[axis];
        if ("data" in input) {
          const table = memory.floatTable(input.data ?? refuse(node, "a constant without numbers"));
          const to = stepsOf(output);
          const axes = alongOf(input.dims, denseSteps(input.dims), to);
          return copies(axes, table, output.address + 4 * first * to[axis]);
        }
        if (output.isWide) {
          const size = input.planes * input.plane;
          return copies([{ size, from: 1, to: 1 }], input.address, output.address + 4 * first * output.plane);
        }
        const to = stepsOf(output);
        return copies(
          alongOf(input.dims, stepsOf(input), to),
          input.address,
          output.address + 4 * first * to[axis],
        );
      });
    },
  });
}

/** Slice, and one part of Split. */
export function slice(planner: Planner, fused: Fused): void {
  const [input, output] = ends(planner, fused);
  const parts = slicesOf(fused.node, input.dims, planner.graph);
  planner.add({
    inputs: [input],
    output,
    emit: () => {
      const from = stepsOf(input);
      const axes = alongOf(
        output.dims,
        from.map((step, i) => step * parts[i].step),
        stepsOf(output),
      );
      const first = from.reduce((sum, step, i) => sum + step * parts[i].start, 0);
      return copies(axes, input.address + 4 * first, output.address);
    },
  });
}

/** Gather of constant places, one or a list of them. */
export function gather(planner: Planner, fused: Fused): void {
  const { node } = fused;
  const [input, output] = ends(planner, fused);
  const { dims } = input;
  const axis = axisOf(node, numberOf(node, "axis", 0), dims.length);
  const places = numbersOf(planner.graph, node, 1) ?? [];
  planner.add({
    inputs: [input],
    output,
    emit: () => {
      const from = stepsOf(input);
      const to = stepsOf(output);
      // Without an axis of places, each axis of the result belongs to the one behind it.
      if (output.dims.length < dims.length) to.splice(axis, 0, 0);
      const axes = alongOf(
        dims.map((size, i) => (i === axis ? 1 : size)),
        from,
        to,
      );
      return places.flatMap((place, i) => {
        const at = axisOf(node, place, dims[axis]);
        return copies(axes, input.address + 4 * at * from[axis], output.address + 4 * i * to[axis]);
      });
    },
  });
}

/** The copies that repeat a value, or a table of numbers, where its dimensions are 1. */
export function repeated(dims: Dims, steps: readonly number[], address: number, output: Value): Call[] {
  const missing = output.dims.length - dims.length;
  const from = output.dims.map((_, i) => (i < missing || dims[i - missing] === 1 ? 0 : steps[i - missing]));
  return copies(alongOf(output.dims, from, stepsOf(output)), address, output.address);
}

export function expand(planner: Planner, fused: Fused): void {
  const [input, output] = ends(planner, fused);
  planner.add({
    inputs: [input],
    output,
    emit: () => repeated(input.dims, stepsOf(input), input.address, output),
  });
}

export function pad(planner: Planner, fused: Fused): void {
  const { node } = fused;
  const [input, output] = ends(planner, fused);
  const mode = textOf(node, "mode", "constant");
  const { begins, ends: behind } = padsOf(node, input.dims, planner.graph);
  const [value = 0] = numbersOf(planner.graph, node, 2) ?? [];
  planner.add({
    inputs: [input],
    output,
    emit: (memory) => {
      const [from, to] = [stepsOf(input), stepsOf(output)];
      const start = to.reduce((sum, step, i) => sum + step * begins[i], 0);
      const inside = copies(alongOf(input.dims, from, to), input.address, output.address + 4 * start);
      if (mode === "constant") return [...repeated([], [], memory.floatTable([value]), output), ...inside];
      // Axis by axis, borders are copies of what lies inside; each axis has those of the axes before it, too.
      const borders = input.dims.flatMap((size, axis) => {
        const sources = Array.from({ length: begins[axis] + behind[axis] }, (_, i): [number, number] => {
          const last = begins[axis] + size - 1;
          const [target, edge] = i < begins[axis] ? [i, begins[axis]] : [size + i, last];
          return [target, mode === "edge" ? edge : 2 * edge - target];
        });
        const axes = alongOf(
          output.dims.map((dim, i) => (i === axis ? 1 : dim)),
          to,
          to,
        );
        return sources.flatMap(([target, source]) =>
          copies(axes, output.address + 4 * source * to[axis], output.address + 4 * target * to[axis]),
        );
      });
      return [...inside, ...borders];
    },
  });
}

/** DepthToSpace, and the end of ConvTranspose: channels become blocks of cells, of which borders are left out. */
export function blocks(planner: Planner, fused: Fused): void {
  const [input, output] = ends(planner, fused);
  const { block, crop, isOuter } = blockOf(fused.node);
  const [, channels, height, width] = output.dims;
  planner.add({
    inputs: [input],
    output,
    emit: () => {
      const [, plane, row] = stepsOf(input);
      const [, toPlane, toRow] = stepsOf(output);
      const axis = (size: number, i: 0 | 1, offset: number): { first: number; count: number } => {
        const first = Math.max(0, Math.ceil((crop[i] - offset) / block[i]));
        const end = Math.ceil((size + crop[i] - offset) / block[i]);
        return { first, count: end - first };
      };
      const cells = block[0] * block[1];
      return Array.from({ length: cells }, (_, i) => {
        const [y, x] = [Math.floor(i / block[1]), i % block[1]];
        const [rows, columns] = [axis(height, 0, y), axis(width, 1, x)];
        if (rows.count < 1 || columns.count < 1) return [];
        const axes = [
          { size: channels, from: plane * (isOuter ? 1 : cells), to: toPlane },
          { size: rows.count, from: row, to: block[0] * toRow },
          { size: columns.count, from: 1, to: block[1] },
        ];
        const from = i * plane * (isOuter ? channels : 1) + rows.first * row + columns.first;
        const down = rows.first * block[0] + y - crop[0];
        const right = columns.first * block[1] + x - crop[1];
        return copies(axes, input.address + 4 * from, output.address + 4 * (down * toRow + right));
      }).flat();
    },
  });
}
