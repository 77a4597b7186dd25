/** Evaluation of the operators that select, join, repeat and rearrange elements, or make them. */

import { byteLength } from "../dtype.js";
import { constantOf, fillOf, shapeRange } from "../infer/reshape.js";
import { padSource, padsOf, permutationOf, sliceRange, slicesOf } from "../infer/movement.js";
import { fail, normalizeAxis } from "../infer/support.js";
import { getInt, getString, type Node } from "../model.js";
import { Tensor, tensorFrom } from "../tensor.js";
import {
  arithmeticOf,
  axisView,
  broadcastTo,
  type EvaluateContext,
  type EvaluateRule,
  indexMap,
  inputTensor,
  numbersOf,
  outputTensor,
  picked,
  type Scalar,
  scalarsOf,
  steps,
  stridesOf,
  zeros,
} from "./support.js";

const reshape: EvaluateRule = (context) => [inputTensor(context, 0).reshaped(context.outputs[0].dims)];

/** Picks elements of the first input by an offset per coordinate of each output axis. */
function select(
  context: EvaluateContext,
  offsets: readonly Int32Array[],
  output = 0,
  fill: Scalar = 0,
): Tensor {
  const input = inputTensor(context, 0);
  const values = picked(scalarsOf(input), input.dtype, indexMap(offsets), fill);
  return outputTensor(context.outputs[output], values);
}

/** Indices counted from the front, checked against the size of their axis. */
function frontIndices(node: Node, indices: Tensor, size: number): Int32Array {
  return Int32Array.from(numbersOf(indices), (index) => {
    if (index < -size || index >= size) {
      fail(node, `index ${index} is out of range for an axis of ${size} elements`);
    }
    return index < 0 ? index + size : index;
  });
}

function concat({ node, inputs, outputs }: EvaluateContext): Tensor {
  const [{ dtype, dims }] = outputs;
  const axis = normalizeAxis(node, getInt(node, "axis", 0), dims.length);
  const { outer, length, inner } = axisView(dims, axis);
  const row = byteLength(dtype, length * inner);
  const bytes = new Uint8Array(outer * row);
  let start = 0;
  for (const input of inputs) {
    if (input === undefined) continue;
    const chunk = byteLength(dtype, input.dims[axis] * inner);
    for (let o = 0; o < outer; o++) {
      bytes.set(input.bytes.subarray(o * chunk, (o + 1) * chunk), o * row + start);
    }
    start += chunk;
  }
  return new Tensor(dtype, dims, bytes);
}

function pad(context: EvaluateContext): Tensor {
  const { node, inputs, outputs } = context;
  const { dims } = inputTensor(context, 0);
  const { begin } = padsOf(node, dims.length, inputTensor(context, 1).numbers(), inputs[3]?.numbers());
  const mode = getString(node, "mode", "constant");
  const strides = stridesOf(dims);
  const offsets = outputs[0].dims.map((size, axis) =>
    Int32Array.from({ length: size }, (_, i) => {
      const source = padSource(mode, i - begin[axis], dims[axis]);
      return source < 0 ? -1 : source * strides[axis];
    }),
  );
  const fill = inputs[2] === undefined ? arithmeticOf(outputs[0].dtype).zero : scalarsOf(inputs[2])[0];
  return select(context, offsets, 0, fill);
}

function slice(context: EvaluateContext): Tensor {
  const { node, inputs } = context;
  const { dims } = inputTensor(context, 0);
  const strides = stridesOf(dims);
  const offsets = dims.map((size, axis) => steps(size, strides[axis]));
  const values = [1, 2, 3, 4].map((index) => inputs[index]?.numbers());
  for (const { axis, start, end, step } of slicesOf(node, dims.length, values)) {
    const { first, count } = sliceRange(dims[axis], start, end, step);
    offsets[axis] = steps(count, step * strides[axis], first * strides[axis]);
  }
  return select(context, offsets);
}

/** For each element of the indices, its place in the data when its coordinate on `axis` is the index. */
function elementPlaces(node: Node, data: Tensor, indices: Tensor): Int32Array {
  const axis = normalizeAxis(node, getInt(node, "axis", 0), data.dims.length);
  const strides = stridesOf(data.dims);
  const places = indexMap(indices.dims.map((size, i) => steps(size, i === axis ? 0 : strides[i])));
  const chosen = frontIndices(node, indices, data.dims[axis]);
  for (let i = 0; i < places.length; i++) places[i] += chosen[i] * strides[axis];
  return places;
}

function scatterElements(context: EvaluateContext): Tensor {
  const { node, outputs } = context;
  const data = inputTensor(context, 0);
  const places = elementPlaces(node, data, inputTensor(context, 1));
  const updates = scalarsOf(inputTensor(context, 2));
  const result = zeros(data.dtype, data.size);
  const source = scalarsOf(data);
  for (let i = 0; i < result.length; i++) result[i] = source[i];
  const { add, multiply, maximum, minimum } = arithmeticOf(data.dtype);
  const reductions = { add, mul: multiply, max: maximum, min: minimum, none: (_: Scalar, b: Scalar) => b };
  const reduce = reductions[getString(node, "reduction", "none") as keyof typeof reductions];
  for (let i = 0; i < places.length; i++) result[places[i]] = reduce(result[places[i]], updates[i]);
  return outputTensor(outputs[0], result);
}

export const movement = {
  Concat: (context) => [concat(context)],
  Constant: ({ node }) => [constantOf(node)],
  ConstantOfShape: ({ node, outputs }) => {
    const [{ dtype, dims }] = outputs;
    const fill = fillOf(node).reshaped(dims.map(() => 1));
    return [outputTensor({ dtype, dims }, broadcastTo(fill, dims))];
  },
  Expand: (context) => [
    outputTensor(context.outputs[0], broadcastTo(inputTensor(context, 0), context.outputs[0].dims)),
  ],
  Flatten: reshape,
  Gather: (context) => {
    const { node } = context;
    const data = inputTensor(context, 0);
    const axis = normalizeAxis(node, getInt(node, "axis", 0), data.dims.length);
    const { outer, length, inner } = axisView(data.dims, axis);
    const indices = frontIndices(node, inputTensor(context, 1), length);
    const chosen = indices.map((index) => index * inner);
    return [select(context, [steps(outer, length * inner), chosen, steps(inner, 1)])];
  },
  GatherElements: (context) => {
    const data = inputTensor(context, 0);
    const places = elementPlaces(context.node, data, inputTensor(context, 1));
    return [outputTensor(context.outputs[0], picked(scalarsOf(data), data.dtype, places))];
  },
  Pad: (context) => [pad(context)],
  Range: (context) => {
    const [type] = context.outputs;
    const start = scalarsOf(inputTensor(context, 0))[0];
    const delta = scalarsOf(inputTensor(context, 2))[0];
    const { add } = arithmeticOf(type.dtype);
    const result = zeros(type.dtype, type.dims[0]);
    let value = start;
    for (let i = 0; i < result.length; i++, value = add(value, delta)) result[i] = value;
    return [outputTensor(type, result)];
  },
  Reshape: reshape,
  ScatterElements: (context) => [scatterElements(context)],
  Shape: (context) => {
    const { dims } = inputTensor(context, 0);
    const part = dims.slice(...shapeRange(context.node, dims.length));
    return [tensorFrom("int64", [part.length], part)];
  },
  Slice: (context) => [slice(context)],
  Split: (context) => {
    const { node, outputs } = context;
    const { dims } = inputTensor(context, 0);
    const axis = normalizeAxis(node, getInt(node, "axis", 0), dims.length);
    const strides = stridesOf(dims);
    let first = 0;
    return outputs.map((type, output) => {
      const offsets = type.dims.map((size, i) =>
        steps(size, strides[i], i === axis ? first * strides[i] : 0),
      );
      first += type.dims[axis];
      return select(context, offsets, output);
    });
  },
  Squeeze: reshape,
  Transpose: (context) => {
    const { dims } = inputTensor(context, 0);
    const strides = stridesOf(dims);
    const order = permutationOf(context.node, dims.length);
    return [
      select(
        context,
        order.map((axis) => steps(dims[axis], strides[axis])),
      ),
    ];
  },
  Unsqueeze: reshape,
} as const satisfies Record<string, EvaluateRule>;
