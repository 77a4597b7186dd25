/** What every shape rule needs: access to a node's inputs, axes, broadcasting, and errors that name the node. */

import { InputError } from "../../errors.js";
import type { DataType } from "../dtype.js";
import type { Dim, Node, ValueType } from "../model.js";
import type { Tensor } from "../tensor.js";

/** A node with what is known of its inputs. */
export interface InferContext {
  readonly node: Node;
  /** Types of the inputs; undefined for one that is left out. */
  readonly inputs: readonly (ValueType | undefined)[];
  /** Values of the inputs that are known at compile time. */
  readonly constants: readonly (Tensor | undefined)[];
}

/** The types of a node's outputs. A rule may give more than the node asks for. */
export type InferRule = (context: InferContext) => readonly ValueType[];

/** The node in an error message: `node "fc1" (Gemm)`. */
export function describeNode(node: Node): string {
  const name = node.name === "" ? `the node that makes "${node.outputs[0]}"` : `node "${node.name}"`;
  return `${name} (${node.op})`;
}

/** @throws InputError always: the node, and what is wrong with it. */
export function fail(node: Node, problem: string): never {
  throw new InputError(`${describeNode(node)}: ${problem}`);
}

/** A shape in an error message: `[64, batch, ?]`. */
export function formatShape(shape: readonly Dim[] | undefined): string {
  return shape === undefined ? "(unknown rank)" : `[${shape.map((dim) => dim ?? "?").join(", ")}]`;
}

/** The type of an input that the node must have. */
export function inputType({ node, inputs }: InferContext, index: number): ValueType {
  const type = inputs[index];
  if (type === undefined) fail(node, `input ${index} is missing`);
  return type;
}

/** The value of an input as plain numbers, where it is known at compile time. */
export function constantNumbers({ constants }: InferContext, index: number): number[] | undefined {
  return constants[index]?.numbers();
}

/** Checks that inputs have one element type, and returns it. */
export function sameType(context: InferContext, indices: readonly number[]): DataType {
  const types = indices.map((index) => inputType(context, index).dtype);
  for (const type of types) {
    if (type !== types[0]) fail(context.node, `element types differ: ${types.join(" and ")}`);
  }
  return types[0];
}

const FLOATS: ReadonlySet<DataType> = new Set<DataType>(["float16", "bfloat16", "float32", "float64"]);

/** Checks that an input has a floating-point type, and returns its type. */
export function floatInput(context: InferContext, index = 0): ValueType {
  const type = inputType(context, index);
  if (!FLOATS.has(type.dtype)) {
    fail(context.node, `input ${index} must have a floating-point type, not ${type.dtype}`);
  }
  return type;
}

/** Checks that an input has an element type, and returns its type. */
export function typedInput(context: InferContext, index: number, ...allowed: readonly DataType[]): ValueType {
  const type = inputType(context, index);
  if (!allowed.includes(type.dtype)) {
    fail(context.node, `input ${index} must have type ${allowed.join(" or ")}, not ${type.dtype}`);
  }
  return type;
}

/** Checks the rank of an input where it is known, and returns its shape. */
export function shapeOfRank(
  context: InferContext,
  index: number,
  fits: (rank: number) => boolean,
  wanted: string,
): readonly Dim[] | undefined {
  const { shape } = inputType(context, index);
  if (shape !== undefined && !fits(shape.length)) {
    fail(context.node, `input ${index} must have ${wanted}, not shape ${formatShape(shape)}`);
  }
  return shape;
}

/**
 * An axis counted from the front.
 *
 * @param rank number of axes; -rank <= axis < rank must hold.
 * @throws InputError naming the node and the range.
 */
export function normalizeAxis(node: Node, axis: number, rank: number): number {
  if (axis < -rank || axis >= rank) {
    fail(node, `axis ${axis} is out of range for ${rank} dimensions (${-rank} to ${rank - 1})`);
  }
  return axis < 0 ? axis + rank : axis;
}

/** Several axes counted from the front, none of them twice. */
export function normalizeAxes(node: Node, axes: readonly number[], rank: number): number[] {
  const normalized = axes.map((axis) => normalizeAxis(node, axis, rank));
  if (new Set(normalized).size !== axes.length) fail(node, `axes [${axes.join(", ")}] name one axis twice`);
  return normalized;
}

/** One dimension that must be both; undefined is a dimension of which nothing is known. */
export function mergeDim(a: Dim, b: Dim): { readonly dim: Dim } | undefined {
  if (a === undefined || b === undefined) return { dim: a ?? b };
  if (a === b) return { dim: a };
  if (typeof a === "number") return typeof b === "number" ? undefined : { dim: a };
  return { dim: b };
}

/** Whether two dimensions are known to differ. */
export function differ(a: Dim, b: Dim): boolean {
  return mergeDim(a, b) === undefined;
}

/**
 * The shape to which shapes broadcast (numpy's rule).
 *
 * @throws InputError naming the node and the shapes, if they do not fit each other.
 * @example
 * broadcastShapes(node, [["batch", 1, 4], [3, 1]]); // ["batch", 3, 4]
 */
export function broadcastShapes(
  node: Node,
  shapes: readonly (readonly Dim[] | undefined)[],
): readonly Dim[] | undefined {
  let result: readonly Dim[] = [];
  for (const shape of shapes) {
    if (shape === undefined) return undefined;
    const next = broadcastTwo(result, shape);
    if (next === undefined) fail(node, `shapes do not broadcast: ${shapes.map(formatShape).join(" and ")}`);
    result = next;
  }
  return result;
}

function broadcastTwo(a: readonly Dim[], b: readonly Dim[]): Dim[] | undefined {
  const rank = Math.max(a.length, b.length);
  const result: Dim[] = [];
  for (let axis = 0; axis < rank; axis++) {
    const merged = broadcastDim(
      axis < rank - a.length ? 1 : a[axis - rank + a.length],
      axis < rank - b.length ? 1 : b[axis - rank + b.length],
    );
    if (merged === undefined) return undefined;
    result.push(merged.dim);
  }
  return result;
}

function broadcastDim(a: Dim, b: Dim): { readonly dim: Dim } | undefined {
  if (a === 1) return { dim: b };
  if (b === 1) return { dim: a };
  // A name or an unknown may turn out to be 1, so only a number (or the same name) settles the result.
  if (typeof a === "number" || typeof b === "number") return mergeDim(a, b);
  return { dim: a === b ? a : undefined };
}

/** As many unknown dimensions as the rank says. */
export function unknownDims(rank: number): Dim[] {
  return new Array<Dim>(rank).fill(undefined);
}
