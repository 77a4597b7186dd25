/** Passes over graphs, each followed by the validator. */

import { type Graph, IR_VERSION, OPSET } from "../../src/onnx/model.js";
import { validate } from "../../src/onnx/validate.js";

/**
 * The pass, which then checks the graph that it leaves.
 *
 * @param graphOf that graph, of what the pass returns and of what it was given first.
 */
export function validated<First, Rest extends unknown[], Result>(
  pass: (first: First, ...rest: Rest) => Result,
  graphOf: (result: Result, first: First) => Graph,
): (first: First, ...rest: Rest) => Result {
  return (first, ...rest) => {
    const result = pass(first, ...rest);
    check(graphOf(result, first), pass.name);
    return result;
  };
}

function check(graph: Graph, pass: string): void {
  // A graph that is being built has no outputs yet.
  const name = graph.nodes.flatMap((node) => node.outputs).find((output) => output !== "");
  const outputs =
    graph.outputs.length > 0 || name === undefined ? graph.outputs : [{ name, type: undefined }];
  if (outputs.length === 0) return;
  const model = {
    irVersion: IR_VERSION,
    producerName: "test",
    producerVersion: "",
    opsets: new Map([["", OPSET], ...graph.nodes.map(({ domain }) => [domain, OPSET] as const)]),
    graph: { ...graph, outputs },
    metadata: new Map<string, string>(),
  };
  validate(model, `graph "${graph.name}" after ${pass}`);
}
