/** Evaluates what graphs compute from shapes (Shape, Gather, Concat before a Reshape), with dimensions that are names. */

import { dataTypeOfCode } from "../onnx/dtype.js";
import { sliceRange } from "../onnx/infer/movement.js";
import { shapeRange } from "../onnx/infer/reshape.js";
import { type Dim, getInt, type Node } from "../onnx/model.js";
import type { Tensor } from "../onnx/tensor.js";

/** An integer (a list of one, `scalar`) or a vector of integers, of which some may be names or unknown. */
export interface Sizes {
  readonly scalar: boolean;
  readonly dims: readonly Dim[];
}

/** Longer vectors are no shapes. */
const LONGEST = 64;

/** The value of an integer scalar or a short vector. */
export function sizesOfTensor(value: Tensor): Sizes | undefined {
  const isInteger = value.dtype === "int64" || value.dtype === "int32";
  if (!isInteger || value.dims.length > 1 || value.size > LONGEST) return undefined;
  return { scalar: value.dims.length === 0, dims: value.numbers() };
}

/** All dimensions, if they are numbers. */
export function numbersOf(sizes: Sizes | undefined): readonly number[] | undefined {
  const numbers = sizes?.dims.filter((dim) => typeof dim === "number");
  return numbers?.length === sizes?.dims.length ? numbers : undefined;
}

/**
 * What a node makes of sizes, or undefined if it is no computation on shapes.
 *
 * @param inputs sizes that are known of its inputs.
 * @param shape of its first input.
 */
export function sizesOfNode(
  node: Node,
  inputs: readonly (Sizes | undefined)[],
  shape: readonly Dim[] | undefined,
): Sizes | undefined {
  if (node.op === "Shape") {
    return shape && { scalar: false, dims: shape.slice(...shapeRange(node, shape.length)) };
  }
  const [first] = inputs;
  if (first === undefined) return undefined;
  switch (node.op) {
    case "Identity":
      return first;
    case "Cast": {
      const dtype = dataTypeOfCode(getInt(node, "to", 0));
      return dtype === "int64" || dtype === "int32" ? first : undefined;
    }
    case "Unsqueeze":
      return first.scalar ? { scalar: false, dims: first.dims } : undefined;
    case "Squeeze":
      return first.dims.length === 1 ? { scalar: true, dims: first.dims } : undefined;
    case "Gather":
      return gathered(first, inputs[1]);
    case "Slice":
      return sliced(first, inputs);
    case "Concat":
      if (!inputs.every((sizes) => sizes !== undefined && !sizes.scalar)) return undefined;
      return { scalar: false, dims: inputs.flatMap((sizes) => sizes?.dims ?? []) };
    case "Add":
    case "Sub":
    case "Mul":
    case "Div":
      return combined(node.op, first, inputs[1]);
    default:
      return undefined;
  }
}

function gathered({ scalar, dims }: Sizes, indices: Sizes | undefined): Sizes | undefined {
  const wanted = numbersOf(indices);
  if (scalar || indices === undefined || wanted === undefined) return undefined;
  return { scalar: indices.scalar, dims: wanted.map((index) => dims.at(index)) };
}

function sliced({ scalar, dims }: Sizes, inputs: readonly (Sizes | undefined)[]): Sizes | undefined {
  const [start, end, axis = 0, step = 1] = [1, 2, 3, 4].map((i) => numbersOf(inputs.at(i))?.at(0));
  if (scalar || start === undefined || end === undefined || step === 0 || (axis !== 0 && axis !== -1)) {
    return undefined;
  }
  const { first, count } = sliceRange(dims.length, start, end, step);
  return { scalar, dims: Array.from({ length: count }, (_, i) => dims[first + i * step]) };
}

type Arithmetic = "Add" | "Sub" | "Mul" | "Div";

function combined(op: Arithmetic, a: Sizes, b: Sizes | undefined): Sizes | undefined {
  if (b === undefined) return undefined;
  const length = Math.max(a.dims.length, b.dims.length);
  const fits = [a, b].every(({ dims }) => dims.length === length || dims.length === 1);
  if (!fits) return undefined;
  const at = ({ dims }: Sizes, i: number): Dim => dims[dims.length === 1 ? 0 : i];
  return {
    scalar: a.scalar && b.scalar,
    dims: Array.from({ length }, (_, i) => arithmetic(op, at(a, i), at(b, i))),
  };
}

function arithmetic(op: Arithmetic, a: Dim, b: Dim): Dim {
  if (typeof a === "number" && typeof b === "number") {
    if (op === "Add") return a + b;
    if (op === "Sub") return a - b;
    if (op === "Mul") return a * b;
    return b === 0 ? undefined : Math.trunc(a / b);
  }
  const neutral = op === "Mul" || op === "Div" ? 1 : 0;
  if (b === neutral) return a;
  return a === neutral && (op === "Mul" || op === "Add") ? b : undefined;
}
