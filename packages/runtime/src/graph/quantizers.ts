/** Puts nodes into a graph that quantize activations. */

import { type Op, QUANTIZE } from "./operators.js";
import type { Activation, Attribute, Graph, Node } from "./types.js";

const CODES = { uint8: [0, 255], int8: [-128, 127], binary: [0, 1] } as const;
const LAYERS: ReadonlySet<string> = new Set<Op>(["Conv", "Gemm", "MatMul"]);

/** The graph with values quantized where layers read them, and results of layers for all that read them. */
export function withQuantizers(graph: Graph): Graph {
  if (graph.activations.length === 0) return graph;
  const find = (isResult: boolean): Map<string, Activation> =>
    new Map(graph.activations.filter((one) => one.isResult === isResult).map((one) => [one.value, one]));
  const [read, results] = [find(false), find(true)];
  const [byLayers, byOthers] = [new Map<string, string>(), new Map<string, string>()];
  const nodes: Node[] = [];
  const place = (value: string): void => {
    let last = value;
    for (const [activation, readers] of [
      [results.get(value), [byOthers, byLayers]],
      [read.get(value), [byLayers]],
    ] as const) {
      if (activation === undefined) continue;
      nodes.push(quantizer(activation, last));
      last = nodes[nodes.length - 1].outputs[0];
      for (const names of readers) names.set(value, last);
    }
  };
  for (const { name } of graph.inputs) place(name);
  for (const node of graph.nodes) {
    const isLayer = LAYERS.has(node.op) && graph.constants.has(node.inputs[1]);
    const inputs = node.inputs.map(
      (input, i) => (isLayer && i === 0 ? byLayers : byOthers).get(input) ?? input,
    );
    nodes.push({ ...node, inputs });
    node.outputs.forEach(place);
  }
  return { ...graph, nodes };
}

function quantizer({ value, format, scale, zero }: Activation, input: string): Node {
  const [least, most] = CODES[format];
  const attributes = { scale, zero, least, most, binary: Number(format === "binary") };
  return {
    op: QUANTIZE,
    name: `${value}/${format}`,
    inputs: [input],
    outputs: [`${input}/${format}`],
    attributes: new Map<string, Attribute>(Object.entries(attributes)),
  };
}
