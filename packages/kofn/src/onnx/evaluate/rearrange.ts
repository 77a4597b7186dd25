/** Evaluation of the operators that move blocks between depth and space, repeat tensors, and read or write by index tuples. */

import { blockSize, oneHotAxis } from "../infer/rearrange.js";
import { fail } from "../infer/support.js";
import { getInt, getString, type Node } from "../model.js";
import { sizeOf, type Tensor } from "../tensor.js";
import {
  arithmeticOf,
  axisView,
  type EvaluateContext,
  type EvaluateRule,
  indexMap,
  inputTensor,
  numbersOf,
  outputTensor,
  picked,
  scalarsOf,
  steps,
  stridesOf,
  zeros,
} from "./support.js";

/** The elements of the first input in another order: `source` says where each comes from. */
function rearranged(context: EvaluateContext, source: Int32Array): Tensor {
  const input = inputTensor(context, 0);
  return outputTensor(context.outputs[0], picked(scalarsOf(input), input.dtype, source));
}

/** The element of an array of shape `dims` (after reading its axes in the order `perm`) for each element, row by row. */
function permuted(dims: readonly number[], perm: readonly number[]): Int32Array {
  const strides = stridesOf(dims);
  return indexMap(perm.map((axis) => steps(dims[axis], strides[axis])));
}

/** Offset in the data of the element or slice to which each index tuple points. */
export function tupleOffsets(node: Node, dims: readonly number[], indices: Tensor): Int32Array {
  const batch = getInt(node, "batch_dims", 0);
  const length = indices.dims[indices.dims.length - 1];
  const strides = stridesOf(dims);
  const given = numbersOf(indices);
  const count = sizeOf(indices.dims.slice(0, -1));
  const perBatch = sizeOf(indices.dims.slice(batch, -1));
  const batchSize = sizeOf(dims.slice(batch));
  return Int32Array.from({ length: count }, (_, tuple) => {
    let offset = Math.floor(tuple / perBatch) * batchSize;
    for (let i = 0; i < length; i++) {
      const [index, size] = [given[tuple * length + i], dims[batch + i]];
      if (index < -size || index >= size) {
        fail(node, `index ${index} is out of range for an axis of ${size} elements`);
      }
      offset += (index < 0 ? index + size : index) * strides[batch + i];
    }
    return offset;
  });
}

function gatherND(context: EvaluateContext): Tensor {
  const data = inputTensor(context, 0);
  const indices = inputTensor(context, 1);
  const depth = getInt(context.node, "batch_dims", 0) + indices.dims[indices.dims.length - 1];
  const offsets = tupleOffsets(context.node, data.dims, indices);
  return rearranged(context, indexMap([offsets, steps(sizeOf(data.dims.slice(depth)), 1)]));
}

function oneHot(context: EvaluateContext): Tensor {
  const { node, outputs } = context;
  const indices = inputTensor(context, 0);
  const [type] = outputs;
  const { outer, length, inner } = axisView(type.dims, oneHotAxis(node, indices.dims.length));
  const [off, on] = [0, 1].map((i) => scalarsOf(inputTensor(context, 2))[i]);
  const values = zeros(type.dtype, sizeOf(type.dims));
  for (let i = 0; i < values.length; i++) values[i] = off;
  const hot = numbersOf(indices);
  for (let o = 0; o < outer; o++) {
    for (let j = 0; j < inner; j++) {
      const index = hot[o * inner + j];
      const at = index < 0 ? index + length : index;
      if (at >= 0 && at < length) values[(o * length + at) * inner + j] = on;
    }
  }
  return outputTensor(type, values);
}

function eyeLike({ node, outputs }: EvaluateContext): Tensor {
  const [type] = outputs;
  const [rows, columns] = type.dims;
  const offset = getInt(node, "k", 0);
  const values = zeros(type.dtype, rows * columns);
  const { one } = arithmeticOf(type.dtype);
  for (let row = 0; row < rows; row++) {
    const column = row + offset;
    if (column >= 0 && column < columns) values[row * columns + column] = one;
  }
  return outputTensor(type, values);
}

export const rearranging = {
  DepthToSpace: (context) => {
    const size = blockSize(context.node);
    const [batch, depth, height, width] = inputTensor(context, 0).dims;
    const channels = depth / (size * size);
    const columnFirst = getString(context.node, "mode", "DCR") === "CRD";
    const source = columnFirst
      ? permuted([batch, channels, size, size, height, width], [0, 1, 4, 2, 5, 3])
      : permuted([batch, size, size, channels, height, width], [0, 3, 4, 1, 5, 2]);
    return [rearranged(context, source)];
  },
  EyeLike: (context) => [eyeLike(context)],
  GatherND: (context) => [gatherND(context)],
  OneHot: (context) => [oneHot(context)],
  SpaceToDepth: (context) => {
    const size = blockSize(context.node);
    const [batch, channels, height, width] = inputTensor(context, 0).dims;
    const blocks = [batch, channels, height / size, size, width / size, size];
    return [rearranged(context, permuted(blocks, [0, 3, 5, 1, 2, 4]))];
  },
  Tile: (context) => {
    const { dims } = inputTensor(context, 0);
    const strides = stridesOf(dims);
    const offsets = context.outputs[0].dims.map((size, axis) =>
      Int32Array.from({ length: size }, (_, i) => (i % dims[axis]) * strides[axis]),
    );
    return [rearranged(context, indexMap(offsets))];
  },
} as const satisfies Record<string, EvaluateRule>;
