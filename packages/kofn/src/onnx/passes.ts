/** Passes that simplify a graph without changing what it computes. Each changes the graph it is given. */

import { isHostType } from "./dtype.js";
import { evaluateNode } from "./evaluate/node.js";
import { shapeRange } from "./infer/reshape.js";
import type { Attribute, Graph, Node } from "./model.js";
import { isKnown } from "./ops.js";
import { sizeOf, type Tensor, tensorFrom } from "./tensor.js";

/** Constants larger than this are left to be computed at run time: a file should not grow by folding. */
const FOLD_LIMIT = 1 << 16;

/**
 * Folds constants, merges equal nodes, removes what nothing uses.
 *
 * @example
 * simplify(b.graph);
 */
export function simplify(graph: Graph): void {
  foldConstants(graph);
  mergeCommonSubexpressions(graph);
  removeDeadCode(graph);
}

/** Removes nodes and initializers that no graph output depends on. */
export function removeDeadCode(graph: Graph): void {
  const live = new Set(graph.outputs.map(({ name }) => name));
  const kept: Node[] = [];
  const isLive = (name: string): boolean => name !== "" && live.has(name);
  for (let i = graph.nodes.length - 1; i >= 0; i--) {
    const node = graph.nodes[i];
    if (!node.outputs.some(isLive)) continue;
    for (const input of node.inputs) live.add(input);
    for (const { value } of subgraphs(node)) for (const name of outerNames(value)) live.add(name);
    kept.push(node);
  }
  graph.nodes = kept.reverse();
  for (const name of [...graph.initializers.keys()]) if (!live.has(name)) graph.initializers.delete(name);
  for (const name of [...graph.valueTypes.keys()]) if (!live.has(name)) graph.valueTypes.delete(name);
}

/** Replaces nodes whose inputs are all constants, and shapes that are known, by their values. */
export function foldConstants(graph: Graph): void {
  const overridable = new Set(graph.inputs.map(({ name }) => name));
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const constantOf = (name: string): Tensor | undefined =>
    overridable.has(name) ? undefined : graph.initializers.get(name);
  graph.nodes = graph.nodes.filter((node) => {
    if (node.outputs.some((output) => outputs.has(output))) return true;
    const values = shapeOf(graph, node) ?? constantOutputs(graph, node, constantOf);
    if (values === undefined) return true;
    node.outputs.forEach((output, i) => {
      if (output !== "") graph.initializers.set(output, values[i]);
    });
    return false;
  });
}

function constantOutputs(
  graph: Graph,
  node: Node,
  constantOf: (name: string) => Tensor | undefined,
): Tensor[] | undefined {
  if (!isKnown(node)) return undefined;
  const inputs = node.inputs.map((input) => (input === "" ? undefined : constantOf(input)));
  const isFoldable = inputs.every((value, i) =>
    value === undefined ? node.inputs[i] === "" : isHostType(value.dtype),
  );
  if (!isFoldable) return undefined;
  const size = node.outputs.reduce((sum, output) => {
    if (output === "") return sum;
    const type = graph.valueTypes.get(output);
    if (type === undefined || !isHostType(type.dtype)) return Infinity;
    return type.shape?.every((dim) => typeof dim === "number") === true ? sum + sizeOf(type.shape) : Infinity;
  }, 0);
  return size <= FOLD_LIMIT ? evaluateNode(node, inputs) : undefined;
}

/** The value of a Shape node that reads known dimensions. */
function shapeOf(graph: Graph, node: Node): Tensor[] | undefined {
  const shape = graph.valueTypes.get(node.inputs[0])?.shape;
  if (node.op !== "Shape" || node.domain !== "" || shape === undefined) return undefined;
  const dims = shape.slice(...shapeRange(node, shape.length));
  return dims.every((dim) => typeof dim === "number")
    ? [tensorFrom("int64", [dims.length], dims)]
    : undefined;
}

/** Merges nodes that compute the same thing from the same inputs. What a graph output or a subgraph names stays. */
export function mergeCommonSubexpressions(graph: Graph): void {
  const named = new Set(graph.outputs.map(({ name }) => name));
  for (const node of graph.nodes) {
    for (const { value } of subgraphs(node)) for (const name of outerNames(value)) named.add(name);
  }
  const renamed = new Map<string, string>();
  const seen = new Map<string, Node>();
  graph.nodes = graph.nodes.filter((node) => {
    node.inputs = node.inputs.map((input) => renamed.get(input) ?? input);
    // An operator that kofn does not know may be random.
    if (!isKnown(node) || node.outputs.some((output) => named.has(output))) return true;
    const key = keyOf(node);
    const first = seen.get(key);
    if (first === undefined) {
      seen.set(key, node);
      return true;
    }
    node.outputs.forEach((output, i) => renamed.set(output, first.outputs[i]));
    return false;
  });
}

function keyOf(node: Node): string {
  const attributes = [...node.attributes]
    .map(([name, attribute]) => `${name}=${attributeKey(attribute)}`)
    .sort();
  const outputs = node.outputs.map((output) => output !== "");
  return JSON.stringify([node.domain, node.op, node.inputs, outputs, attributes]);
}

function attributeKey(attribute: Attribute): string {
  switch (attribute.kind) {
    case "tensor": {
      const { dtype, dims, bytes } = attribute.value;
      return `${dtype}[${dims.join(",")}]${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64")}`;
    }
    case "string":
    case "opaque":
      return `${attribute.kind}:${attribute.value.join(",")}`;
    case "strings":
      return `strings:${attribute.value.map((value) => value.join(",")).join(";")}`;
    case "graph":
      throw new TypeError("nodes with subgraphs are not compared");
    case "float":
    case "int":
    case "floats":
    case "ints":
      return `${attribute.kind}:${String(attribute.value)}`;
  }
}

function subgraphs(node: Node): (Attribute & { kind: "graph" })[] {
  return [...node.attributes.values()].filter((attribute) => attribute.kind === "graph");
}

/** Every name that a subgraph reads; some of them are values of the graph around it. */
function outerNames(graph: Graph): string[] {
  return graph.nodes
    .flatMap((node) => [...node.inputs, ...subgraphs(node).flatMap(({ value }) => outerNames(value))])
    .concat(graph.outputs.map(({ name }) => name));
}
