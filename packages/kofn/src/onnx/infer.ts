/** Shape and type inference over a whole graph. */

import { InputError } from "../errors.js";
import { isHostType } from "./dtype.js";
import { evaluateNode } from "./evaluate/node.js";
import { inferNode } from "./infer/node.js";
import { shapeRange } from "./infer/reshape.js";
import { describeNode } from "./infer/support.js";
import { type Dim, type Graph, type Model, type Node, OPSET, type ValueType } from "./model.js";
import { sizeOf, type Tensor, tensorFrom } from "./tensor.js";

/** The value of a Shape node whose dimensions are all known, though its input is not. */
function shapeValue(node: Node, shape: readonly Dim[] | undefined): Tensor | undefined {
  if (shape === undefined) return undefined;
  const part = shape.slice(...shapeRange(node, shape.length));
  if (!part.every((dim) => typeof dim === "number")) return undefined;
  return tensorFrom("int64", [part.length], part);
}

/** What the file declares fills in what inference can't know. */
function refine(inferred: ValueType, declared: ValueType | undefined): ValueType {
  if (declared?.shape === undefined) return inferred;
  if (inferred.shape === undefined) return { dtype: inferred.dtype, shape: declared.shape };
  if (inferred.shape.length !== declared.shape.length) return inferred;
  const { shape } = declared;
  return { dtype: inferred.dtype, shape: inferred.shape.map((dim, axis) => dim ?? shape[axis]) };
}

/** Values with more elements than this are data, not shapes. */
const FOLD_LIMIT = 1024;

const isSmall = (size: number) => size <= FOLD_LIMIT;

/** The values of a node's outputs, where they follow from small constants or from shapes. */
function fold(
  node: Node,
  types: readonly (ValueType | undefined)[],
  values: readonly (Tensor | undefined)[],
  outputs: readonly ValueType[],
): readonly (Tensor | undefined)[] {
  if (node.op === "Shape") return [shapeValue(node, types[0]?.shape)];
  const known = node.inputs.every((name, i) => name === "" || isSmall(values[i]?.size ?? Infinity));
  const computable = [...types, ...outputs].every((type) => type === undefined || isHostType(type.dtype));
  const small = outputs.every(({ shape }) => {
    const dims = shape?.filter((dim) => typeof dim === "number");
    return dims !== undefined && dims.length === shape?.length && isSmall(sizeOf(dims));
  });
  return known && computable && small ? evaluateNode(node, values) : [];
}

/**
 * The types of all values of a graph: inputs, initializers and what the nodes make.
 *
 * What a graph computes from shapes and constants alone (Shape, Gather, Concat before a Reshape) is computed, where the
 * dimensions are numbers.
 *
 * @param subject a graph whose operators have the meaning of {@link OPSET}, or a model, which must declare it.
 * @throws InputError naming the node or value, if shapes do not fit or a type is unknown.
 * @example
 * inferGraph(model).get("logits"); // { dtype: "float32", shape: ["batch", 10] }
 */
export function inferGraph(subject: Model | Graph): Map<string, ValueType> {
  const graph = "graph" in subject ? graphAtOpset(subject) : subject;
  const declared = new Map<string, ValueType>(graph.valueTypes);
  for (const { name, type } of graph.outputs) if (type !== undefined) declared.set(name, type);
  const types = new Map<string, ValueType>();
  const constants = new Map<string, Tensor>(graph.initializers);
  for (const { name, type } of graph.inputs) {
    if (type === undefined)
      throw new InputError(`graph input "${name}" has no tensor type; kofn takes tensors only`);
    types.set(name, { dtype: type.dtype, shape: type.shape });
  }
  for (const [name, { dtype, dims }] of graph.initializers) types.set(name, { dtype, shape: dims });
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((name) => {
      const type = types.get(name);
      if (name !== "" && type === undefined) {
        throw new InputError(`${describeNode(node)}: nothing before it makes its input "${name}"`);
      }
      return type;
    });
    const values = node.inputs.map((name) => constants.get(name));
    const outputs = inferNode(node, inputs, values);
    const folded = fold(node, inputs, values, outputs);
    for (const [index, name] of node.outputs.entries()) {
      if (name === "") continue;
      types.set(name, refine(outputs[index], declared.get(name)));
      const value = folded[index];
      if (value !== undefined) constants.set(name, value);
    }
  }
  return types;
}

function graphAtOpset({ graph, opsets }: Model): Graph {
  const opset = opsets.get("");
  if (opset !== undefined && opset !== OPSET) {
    throw new InputError(
      `the model uses operator set ${opset}, and kofn infers shapes for operator set ${OPSET}: convert it first`,
    );
  }
  return graph;
}
