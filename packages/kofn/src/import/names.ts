/** Gives every node a name of its own: users read them in messages, and name layers by them. */

import type { Graph } from "../onnx/model.js";

/** Names nodes without a name after their first output, and numbers names that come again: "conv", "conv_2". */
export function nameNodes(graph: Graph): void {
  const given = new Set(graph.nodes.map(({ name }) => name));
  const taken = new Set<string>();
  graph.nodes = graph.nodes.map((node) => {
    const [output] = node.outputs;
    const wanted = node.name !== "" ? node.name : /^\d*$/.test(output) ? `${node.op}_${output}` : output;
    let name = wanted;
    for (let i = 2; taken.has(name) || (name !== node.name && given.has(name)); i++) name = `${wanted}_${i}`;
    taken.add(name);
    return { ...node, name };
  });
}
