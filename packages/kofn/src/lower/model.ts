/** Makes a graph a model of its own, in standard operators. */

import { type Graph, IR_VERSION, type Model, OPSET } from "../onnx/model.js";
import { simplify } from "../onnx/passes.js";
import { VERSION } from "../version.js";
import { BLOCKED_DOMAIN } from "./blocked/layouts.js";
import { lower, type LowerOptions } from "./lower.js";

/**
 * The model of a graph: lowered and simplified, without the types of inner values. The given
 * graph is not changed.
 *
 * @throws KofnError if the graph has an operator of the domain "kofn" that is none of kofn's dialect.
 * @example
 * const b = new Builder();
 * b.output(b.op("Relu", [b.input("x", "float32", [2, 3])], {}, "y"));
 * await saveModel(modelOf(b.graph), "relu.onnx");
 */
export function modelOf(graph: Graph, options: LowerOptions = {}): Model {
  const lowered = lower(graph, options);
  simplify(lowered);
  lowered.valueTypes = new Map();
  return {
    irVersion: IR_VERSION,
    producerName: "kofn",
    producerVersion: VERSION,
    opsets: new Map([
      ["", OPSET],
      ...(lowered.nodes.some(({ domain }) => domain === BLOCKED_DOMAIN)
        ? [[BLOCKED_DOMAIN, 1] as const]
        : []),
    ]),
    graph: lowered,
    metadata: new Map(),
  };
}
