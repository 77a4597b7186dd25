/** Lets the node that computes an output make it under the output's name, without an Identity behind it. */

import type { Graph } from "../onnx/model.js";

/** Removes the Identity nodes before graph outputs, where what they hand on is made by a node. */
export function dropOutputIdentities(graph: Graph): void {
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const made = new Set(graph.nodes.flatMap((node) => node.outputs));
  const renamed = new Map<string, string>();
  graph.nodes = graph.nodes.filter(({ op, inputs, outputs: [output] }) => {
    const isPlain =
      op === "Identity" && outputs.has(output) && made.has(inputs[0]) && !outputs.has(inputs[0]);
    if (!isPlain || renamed.has(inputs[0])) return true;
    renamed.set(inputs[0], output);
    return false;
  });
  if (renamed.size === 0) return;
  const current = (name: string): string => renamed.get(name) ?? name;
  graph.nodes = graph.nodes.map((node) => {
    return { ...node, inputs: node.inputs.map(current), outputs: node.outputs.map(current) };
  });
}
