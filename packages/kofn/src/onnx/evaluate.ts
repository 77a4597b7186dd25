/** The reference evaluator over a whole graph. */

import { InputError } from "../errors.js";
import { evaluateNode } from "./evaluate/node.js";
import { describeNode, formatShape } from "./infer/support.js";
import type { Dim, Graph, Node } from "./model.js";
import type { Tensor } from "./tensor.js";

/** The nodes on which the wanted values depend, in the graph's order. */
function nodesFor(graph: Graph, wanted: readonly string[], given: ReadonlySet<string>): Node[] {
  const needed = new Set(wanted);
  const nodes = graph.nodes.toReversed().filter(({ inputs, outputs }) => {
    if (!outputs.some((name) => needed.has(name) && !given.has(name))) return false;
    for (const name of inputs) needed.add(name);
    return true;
  });
  return nodes.reverse();
}

function checkFeed(name: string, { dtype, dims }: Tensor, graph: Graph): void {
  const input = graph.inputs.find((candidate) => candidate.name === name);
  const type = input?.type;
  if (type === undefined) return;
  const shape: readonly Dim[] = type.shape ?? dims;
  const fits =
    shape.length === dims.length && shape.every((dim, i) => typeof dim !== "number" || dim === dims[i]);
  if (dtype !== type.dtype || !fits) {
    throw new InputError(
      `graph input "${name}" takes ${type.dtype} ${formatShape(type.shape)}, got ${dtype} ${formatShape(dims)}`,
    );
  }
}

/**
 * Computes values of a graph.
 *
 * @param feeds values of the graph's inputs; a feed for any other value stands in for what would compute it.
 * @param wanted names of the values to compute; default: the graph's outputs.
 * @throws InputError for a missing feed, one of another type or shape than declared, and as {@link evaluateNode} does.
 * @example
 * evaluateGraph(model.graph, new Map([["input", images]])).get("logits");
 */
export function evaluateGraph(
  graph: Graph,
  feeds: ReadonlyMap<string, Tensor>,
  wanted: readonly string[] = graph.outputs.map(({ name }) => name),
): Map<string, Tensor> {
  for (const [name, value] of feeds) checkFeed(name, value, graph);
  const values = new Map<string, Tensor>([...graph.initializers, ...feeds]);
  for (const node of nodesFor(graph, wanted, new Set(values.keys()))) {
    const inputs = node.inputs.map((name) => {
      const value = values.get(name);
      if (name !== "" && value === undefined) {
        throw new InputError(`${describeNode(node)}: its input "${name}" has no value; feed it`);
      }
      return value;
    });
    const outputs = evaluateNode(node, inputs);
    for (const [index, name] of node.outputs.entries()) {
      if (name !== "" && !feeds.has(name)) values.set(name, outputs[index]);
    }
  }
  return new Map(
    wanted.map((name) => {
      const value = values.get(name);
      if (value === undefined)
        throw new InputError(`graph "${graph.name}" has no value "${name}" to compute`);
      return [name, value];
    }),
  );
}
