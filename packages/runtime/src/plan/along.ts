/** What is computed along an axis: softmax, normalisation, means and the like; and products of computed matrices. */

import type { Fused } from "../graph/fuse.js";
import { constantOf, numberOf, refuse } from "../graph/node.js";
import type { Reduction } from "../graph/operators.js";
import { axisOf, reducedAxes, reducesImage } from "../graph/shapes.js";
import { sizeOf } from "../graph/types.js";
import {
  type Along,
  alongOf,
  copies,
  denseSteps,
  merged,
  sizesAndSteps,
  stepsOf,
  unrolled,
} from "./copies.js";
import type { Memory } from "./memory.js";
import { NotWide, type Planner } from "./planner.js";
import { mean } from "./pools.js";
import type { Value } from "./value.js";

/** What is computed along axes, besides the sums of pools. */
type AlongOp = Reduction | "Softmax" | "LogSoftmax" | "LayerNormalization";

/** Numbers of functions in assembly/along.ts. */
const KINDS: Readonly<Record<AlongOp, number>> = {
  Softmax: 0,
  LogSoftmax: 1,
  ReduceSum: 2,
  ReduceMean: 3,
  ReduceMax: 4,
  ReduceMin: 5,
  LayerNormalization: 6,
};
/** The most matrices in a product of two values. */
const MOST_PRODUCTS = 4096;
/** Axes besides the one that a kernel works along. */
const OTHERS = 3;

/** Softmax and its logarithm. */
export function softmax(planner: Planner, fused: Fused<"Softmax" | "LogSoftmax">): void {
  const [input, output] = [planner.value(fused.node.inputs[0]), planner.value(fused.output)];
  const axis = axisOf(fused.node, numberOf(fused.node, "axis", -1), input.dims.length);
  if (input.isWide && axis === 0) refuse(fused.node, "it can't be taken over the batch");
  input.rows.join(output.rows);
  add(planner, fused, [axis]);
}

/** LayerNormalization of the last axes. */
export function layerNorm(planner: Planner, fused: Fused<"LayerNormalization">): void {
  const { node } = fused;
  const [input, output] = [planner.value(node.inputs[0]), planner.value(fused.output)];
  if (input.isWide) throw new NotWide();
  const first = axisOf(node, numberOf(node, "axis", -1), input.dims.length);
  const axes = input.dims.map((_, i) => i).filter((i) => i >= first);
  const size = sizeOf(input.dims.slice(first));
  const [scale, shift] = [1, 2].map((i) => constantOf(planner.graph, node, i)?.data);
  if (scale?.length !== size || (shift ?? scale).length !== size)
    refuse(node, "scale and bias that do not fit");
  input.rows.join(output.rows);
  add(planner, fused, axes, (memory) => [
    memory.floatTable(scale),
    memory.floatTable(shift ?? new Float32Array(size)),
    numberOf(node, "epsilon", 1e-5),
  ]);
}

/** ReduceMean, ReduceSum, ReduceMax, ReduceMin. */
export function reduce(planner: Planner, fused: Fused<Reduction>): void {
  const { node } = fused;
  const input = planner.value(node.inputs[0]);
  const axes = reducedAxes(node, input.dims, planner.graph);
  if (node.op === "ReduceMean" && reducesImage(input.dims, axes)) {
    mean(planner, fused);
    return;
  }
  if (input.isWide || planner.value(fused.output).isWide) throw new NotWide();
  add(planner, fused, axes);
}

function add(
  planner: Planner,
  { node, output: name }: Fused<AlongOp>,
  axes: readonly number[],
  tables: (memory: Memory) => readonly [scale: number, shift: number, epsilon: number] = () => [0, 0, 0],
): void {
  const [input, output] = [planner.value(node.inputs[0]), planner.value(name)];
  const { dims } = input;
  const isReduced = node.op.startsWith("Reduce");
  const isKept = numberOf(node, "keepdims", 1) !== 0;
  /** All axes, the reduced ones last; values side by side are one axis more. */
  const axesOf = (from: readonly number[]): { others: Along[]; own: Along[] } => {
    const sizes = input.isWide ? [...dims, input.width] : dims;
    const to = input.isWide ? [0, output.plane, 1] : stepsOf(output);
    let next = 0;
    const all = sizes.map((size, i): Along => {
      const isGone = isReduced && axes.includes(i);
      const step = isReduced && !isKept ? (isGone ? 0 : to[next++]) : to[i];
      return { size, from: from[i], to: isGone ? 0 : step };
    });
    return {
      others: all.filter((_, i) => !axes.includes(i)),
      own: merged(all.filter((_, i) => axes.includes(i))),
    };
  };
  const lying = (): number[] => (input.isWide ? [0, input.plane, 1] : stepsOf(input));
  // A kernel works along one axis: others are copied so that they become one.
  const isApart = (): boolean => axesOf(lying()).own.length > 1;
  planner.add({
    inputs: [input],
    output,
    scratch: () => (isApart() ? sizeOf(dims) : 0),
    emit: (memory, scratch) => {
      if (isApart() && !isReduced) refuse(node, `axes [${axes.join(", ")}] of an image`);
      const order = dims.map((_, i) => i).sort((a, b) => Number(axes.includes(a)) - Number(axes.includes(b)));
      const dense = denseSteps(order.map((axis) => dims[axis]));
      const packed = dims.map((_, i) => dense[order.indexOf(i)]);
      const { others, own } = axesOf(isApart() ? packed : lying());
      const [line = { size: 1, from: 1, to: 1 }] = own;
      const rest = tables(memory);
      const from = isApart() ? scratch : input.address;
      const calls = unrolled(others, OTHERS, from, output.address, ([a, b, c], source, target) => ({
        kernel: "along",
        args: [KINDS[node.op], source, target, ...sizesAndSteps(a, b, c, line), ...rest],
      }));
      return [...(isApart() ? copies(alongOf(dims, lying(), packed), input.address, scratch) : []), ...calls];
    },
  });
}

/** MatMul of two computed values, or of one and a constant of more than two dimensions. */
export function matmul(planner: Planner, { node, output: name }: Fused): void {
  const output = planner.value(name);
  const sides = node.inputs.map((input) => planner.constant(input) ?? planner.value(input));
  const values = sides.filter((side): side is Value => !("data" in side));
  if (output.isWide || values.some(({ isWide }) => isWide)) throw new NotWide();
  if (sizeOf(output.dims.slice(0, -2)) > MOST_PRODUCTS)
    refuse(node, `more than ${MOST_PRODUCTS} matrices: [${output.dims.join(", ")}]`);
  planner.add({
    inputs: values,
    output,
    emit: (memory) => {
      const rank = output.dims.length;
      const [a, b] = sides.map((side) => {
        const isConstant = "data" in side;
        const steps = isConstant ? denseSteps(side.dims) : stepsOf(side);
        const missing = rank - side.dims.length;
        return {
          address: isConstant
            ? memory.floatTable(side.data ?? refuse(node, "a constant without numbers"))
            : side.address,
          steps: output.dims.map((_, i) =>
            i < missing || (i < rank - 2 && side.dims[i - missing] === 1) ? 0 : steps[i - missing],
          ),
          inner: side.dims.at(-1) ?? 1,
        };
      });
      const to = stepsOf(output);
      const [rows, columns] = output.dims.slice(-2);
      const [rowA, rowB, row] = [a.steps, b.steps, to].map((steps) => 4 * steps[rank - 2]);
      // A call for each place along all axes but the last two.
      const places = (i: number): { a: number; b: number; to: number }[] =>
        i < 0
          ? [{ a: a.address, b: b.address, to: output.address }]
          : places(i - 1).flatMap((place) =>
              Array.from({ length: output.dims[i] }, (_, j) => ({
                a: place.a + 4 * j * a.steps[i],
                b: place.b + 4 * j * b.steps[i],
                to: place.to + 4 * j * to[i],
              })),
            );
      return places(rank - 3).map((place) => ({
        kernel: "matmul",
        args: [place.a, rowA, place.b, rowB, place.to, row, rows, a.inner, columns],
      }));
    },
  });
}
