/** A graph for batches of one size. */

import { inferGraph } from "./infer.js";
import type { Graph, ValueInfo } from "./model.js";
import { foldConstants } from "./passes.js";

/**
 * The graph for input images of known shape: what it computes from shapes and constants, other than parameters, is
 * computed.
 */
export function atBatch(
  graph: Graph,
  input: string,
  shape: readonly number[],
  parameters: readonly string[],
): Graph {
  const given = parameters.map((name): ValueInfo => {
    const dims = graph.initializers.get(name)?.dims;
    return { name, type: { dtype: "float32", shape: dims } };
  });
  const fixed: Graph = {
    ...graph,
    inputs: [{ name: input, type: { dtype: "float32", shape } }, ...given],
    nodes: [...graph.nodes],
    initializers: new Map(graph.initializers),
    valueTypes: new Map(),
  };
  fixed.valueTypes = inferGraph(fixed);
  foldConstants(fixed);
  return fixed;
}
