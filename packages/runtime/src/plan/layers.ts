/** Convolutions and fully connected layers. */

import type { Call } from "../execute.js";
import type { Fused } from "../graph/fuse.js";
import { constantOf, numberOf, numbersOf, refuse } from "../graph/node.js";
import { sizeOf } from "../graph/types.js";
import { type Axis, windowOf } from "../graph/window.js";
import { alongOf, copies, denseSteps, stepsOf } from "./copies.js";
import { columnsOf, type Matrix, matrixOf } from "./matrix.js";
import type { Memory } from "./memory.js";
import type { Planner } from "./planner.js";
import { choose, emitSums, type Places, type Sums } from "./sums.js";
import { aligned, type Value } from "./value.js";

/** Conv, with all that was taken into it. */
export function conv(planner: Planner, fused: Fused): void {
  const { node } = fused;
  const [x, output] = [planner.value(node.inputs[0]), planner.value(fused.output)];
  const weight = constantOf(planner.graph, node, 1);
  const [maps, channels, ...kernel] = weight?.dims ?? [];
  const bias = numbersOf(planner.graph, node, 2);
  const { y, x: columns } = windowOf(node, x.dims, kernel);
  const groups = numberOf(node, "group", 1);
  const fanIn = channels * y.kernel * columns.kernel;
  const matrix = matrixOf(weight, maps, fanIn);
  const sums = sumsOf(fused, matrix, maps / groups, bias);
  /** Calls `at` with channel, row and column of each place of the kernel. */
  const places = <T>(at: (channel: number, row: number, column: number) => T): T[] =>
    Array.from({ length: fanIn }, (_, j) => {
      const tap = j % (y.kernel * columns.kernel);
      return at(
        Math.floor(j / (y.kernel * columns.kernel)),
        Math.floor(tap / columns.kernel) * y.dilation - y.begin,
        (tap % columns.kernel) * columns.dilation - columns.begin,
      );
    });
  const residual = agree(planner, fused, output);
  const inputs = residual === undefined ? [x] : [x, residual];
  const choice = planner.choice(node.name, () => choose(sums, output));
  const emit = (memory: Memory, at: Places): Call[] =>
    emitSums(memory, sums, at, output, choice(), residual, () => planner.mask(memory, output));

  if (output.isFlat) {
    const isInside = (row: number, column: number): boolean =>
      row >= 0 && row < y.input && column >= 0 && column < columns.input;
    planner.add({
      inputs,
      output,
      emit: (memory) =>
        emit(memory, {
          input: x.address,
          distances: places((channel, row, column) =>
            isInside(row, column) ? 4 * (channel * x.plane + row * x.row + column) : undefined,
          ),
          group: 4 * channels * x.plane,
        }),
    });
    return;
  }
  output.rows.demand(columns.output);
  if (y.stride === 1 && columns.stride === 1 && !x.isFlat) {
    x.rows.join(output.rows);
    x.rows.demand(columns.input + Math.max(columns.begin, beyond(columns)));
    x.gaps.demand(Math.max(y.begin, beyond(y)));
    planner.add({
      inputs,
      output,
      emit: (memory) =>
        emit(memory, {
          input: x.address,
          distances: places((channel, row, column) => 4 * (channel * x.plane + row * x.row + column)),
          group: 4 * channels * x.plane,
        }),
    });
    return;
  }
  // Cells that are a stride apart are brought side by side: for each phase a plane, padding included. So are images of one cell.
  const [rowPhases, columnPhases] = [phasesOf(y), phasesOf(columns)];
  output.rows.demand(columnPhases.size);
  const phases = new Map<string, number>();
  const phaseOf = (row: number, column: number): string =>
    `${mod(row, y.stride)},${mod(column, columns.stride)}`;
  const all = places((_, row, column) => phaseOf(row, column));
  for (const j of columnsOf(matrix, 0, maps)) if (!phases.has(all[j])) phases.set(all[j], phases.size);
  const plane = (): number => aligned(rowPhases.size * output.row);
  planner.add({
    inputs,
    output,
    scratch: () => x.dims[1] * plane() * phases.size,
    emit: (memory, scratch) => {
      const gathering = [...phases].map(([phase, index]): Call => {
        const [row, column] = phase.split(",").map(Number);
        const target = scratch + 4 * index * x.dims[1] * plane();
        const [y0, x0] = [rowPhases.first * y.stride + row, columnPhases.first * columns.stride + column];
        const from = [x.address, 4 * x.plane, 4 * x.row, y.input, columns.input] as const;
        const to = [target, 4 * plane(), 4 * output.row, rowPhases.size, columnPhases.size] as const;
        return { kernel: "phase", args: [...from, ...to, x.dims[1], y0, x0, y.stride, columns.stride] };
      });
      const sums = emit(memory, {
        input: scratch,
        distances: places((channel, row, column) => {
          const index = phases.get(phaseOf(row, column));
          if (index === undefined) return undefined;
          const [down, right] = [Math.floor(row / y.stride), Math.floor(column / columns.stride)];
          const cell = (down - rowPhases.first) * output.row + right - columnPhases.first;
          return 4 * ((index * x.dims[1] + channel) * plane() + cell);
        }),
        group: 4 * channels * plane(),
      });
      return [...gathering, ...sums];
    },
  });
}

/** Gemm with a constant weight, or MatMul; for one sample, or for several side by side. */
export function gemm(planner: Planner, fused: Fused): void {
  const { node } = fused;
  const [x, output] = [planner.value(node.inputs[0]), planner.value(fused.output)];
  const weight = constantOf(planner.graph, node, 1);
  const isTransposed = node.op === "Gemm" && numberOf(node, "transB", 0) !== 0;
  const [inputs, outputs] = [x, output].map(({ dims }) => dims.at(-1) ?? 1);
  const alpha = node.op === "Gemm" ? numberOf(node, "alpha", 1) : 1;
  const found = node.op === "Gemm" ? numbersOf(planner.graph, node, 2) : undefined;
  const beta = numberOf(node, "beta", 1);
  if (found !== undefined && found.length !== outputs && found.length !== 1)
    refuse(node, `a bias of ${found.length} numbers`);
  const bias = found && Array.from({ length: outputs }, (_, o) => beta * found[found.length === 1 ? 0 : o]);
  const sums = sumsOf(fused, matrixOf(weight, outputs, inputs, !isTransposed), outputs, bias, alpha);
  const residual = agree(planner, fused, output);
  // Of several vectors, those of a sample's tokens for instance, each becomes a column of planes for the time being.
  const isMany = x.dims.length > 2;
  const [source, target] = isMany ? [x, output].map((value) => featuresOf(planner, value)) : [x, output];
  if (!target.isFlat) source.rows.join(target.rows);
  const choice = planner.choice(node.name, () => choose(sums, target));
  if (isMany) planner.add({ inputs: [x], output: source, emit: () => turned(x, source, true) });
  planner.add({
    inputs: residual === undefined ? [source] : [source, residual],
    output: target,
    emit: (memory) => {
      const distances = Array.from({ length: inputs }, (_, i) => 4 * i * source.plane);
      const places = { input: source.address, distances, group: 0 };
      return emitSums(memory, sums, places, target, choice(), residual, () => planner.mask(memory, target));
    },
  });
  if (isMany) planner.add({ inputs: [target], output, emit: () => turned(output, target, false) });
}

/** A value [..., features] as planes of one row, a plane for each feature. */
function featuresOf(planner: Planner, { name, dims }: Value): Value {
  const features = dims.at(-1) ?? 1;
  return planner.temporary(`${name}/columns`, [1, features, 1, sizeOf(dims) / features]);
}

function turned(value: Value, columns: Value, isTurned: boolean): Call[] {
  const [rows, [, plane, , cell]] = [stepsOf(value), stepsOf(columns)];
  const turn = [...denseSteps(value.dims.slice(0, -1)).map((step) => step * cell), plane];
  return isTurned
    ? copies(alongOf(value.dims, rows, turn), value.address, columns.address)
    : copies(alongOf(value.dims, turn, rows), columns.address, value.address);
}

/** The value that is added to a layer's result, which has to lie as the result does. */
function agree(planner: Planner, { residual }: Fused, output: Value): Value | undefined {
  if (residual === undefined) return undefined;
  const value = planner.value(residual);
  value.rows.join(output.rows);
  value.gaps.join(output.gaps);
  return value;
}

/** Weights and bias with all that was taken in. */
function sumsOf(
  { scale, shift, least, most }: Fused,
  matrix: Matrix,
  perGroup: number,
  bias: readonly number[] = [],
  alpha = 1,
): Sums {
  const scales = scale ?? new Float64Array(matrix.outputs).fill(1);
  const factors = scales.map((factor) => factor * alpha);
  const biases = Float32Array.from(scales, (factor, o) => factor * (bias[o] ?? 0) + (shift?.[o] ?? 0));
  return { matrix, factors, bias: biases, perGroup, least, most };
}

const mod = (value: number, by: number): number => ((value % by) + by) % by;

/** Cells behind the input that a window of stride 1 reads. */
function beyond({ kernel, dilation, begin, input, output }: Axis): number {
  return Math.max(0, output - 1 + (kernel - 1) * dilation - begin - (input - 1));
}

/** The cells of one phase that windows read: the first, in strides, and how many. */
function phasesOf({ kernel, stride, dilation, begin, output }: Axis): { first: number; size: number } {
  const first = Math.floor(-begin / stride);
  const last = Math.floor(((kernel - 1) * dilation - begin) / stride);
  return { first, size: output + last - first };
}
