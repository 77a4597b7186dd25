/** Writes a Reshape so that it takes any batch: as a Flatten, or to constants with 0 or -1 for what is open. */

import { type Dim, getInt, int, type Node } from "../onnx/model.js";
import { sizeOf } from "../onnx/tensor.js";
import { withAttribute, without } from "./node.js";
import type { Sizes } from "./sizes.js";

/** The name of the batch where a model's input has none, or has a fixed one that is opened. */
export const BATCH = "batch";

/**
 * The node with a constant target, or undefined if its target can't be one.
 *
 * @param shape of the value that is reshaped.
 * @param target as far as it is known.
 * @param opened the batch that an opened model was written for: where it stands first, it means any batch.
 * @param vector stores a constant and returns its name.
 */
export function constantReshape(
  node: Node,
  shape: readonly Dim[] | undefined,
  target: Sizes,
  opened: number | undefined,
  vector: (dims: readonly number[]) => string,
): Node | undefined {
  if (getInt(node, "allowzero", 0) !== 0 && target.dims.includes(0)) return undefined;
  const dims = targetDims(shape, openedTarget(shape, target.dims, opened));
  if (dims === undefined) return undefined;
  if (shape !== undefined && isFlatten(shape, dims)) {
    const flatten: Node = { ...without(node, "allowzero"), op: "Flatten", inputs: [node.inputs[0]] };
    return withAttribute(flatten, "axis", int(1));
  }
  return { ...without(node, "allowzero"), inputs: [node.inputs[0], vector(dims)] };
}

/** Numbers alone: 0 for a dimension that stays where it is, -1 for one other that is not known. */
function targetDims(shape: readonly Dim[] | undefined, target: readonly Dim[]): number[] | undefined {
  const dims = target.map((dim, i) => (typeof dim === "string" && shape?.[i] === dim ? 0 : dim));
  const open = dims.filter((dim) => typeof dim !== "number" || dim === -1).length;
  return open > 1 ? undefined : dims.map((dim) => (typeof dim === "number" ? dim : -1));
}

function openedTarget(
  shape: readonly Dim[] | undefined,
  target: readonly Dim[],
  opened: number | undefined,
): readonly Dim[] {
  if (opened === undefined || shape?.[0] !== BATCH || target[0] !== opened) return target;
  const [before, after] = [knownSize(shape.slice(1)), knownSize(target.slice(1))];
  const same = before !== undefined && (after === before || target.includes(-1));
  return same ? [0, ...target.slice(1)] : target;
}

/** Whether the batch stays and all other dimensions become one. */
function isFlatten(shape: readonly Dim[], dims: readonly number[]): boolean {
  if (dims.length !== 2 || shape.length < 2) return false;
  const [rows, columns] = dims;
  const size = knownSize(shape.slice(1));
  if (rows === 0) return columns === -1 || (size !== undefined && columns === size);
  return rows === -1 && size !== undefined && size > 0 && columns === size;
}

function knownSize(dims: readonly Dim[]): number | undefined {
  const numbers = dims.filter((dim) => typeof dim === "number");
  return numbers.length === dims.length && numbers.every((dim) => dim >= 0) ? sizeOf(numbers) : undefined;
}
