/** Finds values that are never negative: all codes of their quantizers can then lie at and above 0. */

import type { Graph, Node } from "../onnx/model.js";

/** Operators whose results are never negative. */
const NON_NEGATIVE: ReadonlySet<string> = new Set([
  "Abs",
  "Exp",
  "Relu",
  "Sigmoid",
  "Softmax",
  "Softplus",
  "HardSigmoid",
]);
/** Operators whose results are not negative where their first input is not. */
const PASSING: ReadonlySet<string> = new Set([
  "AveragePool",
  "Dropout",
  "Flatten",
  "GlobalAveragePool",
  "GlobalMaxPool",
  "Identity",
  "MaxPool",
  "Reshape",
  "Squeeze",
  "Transpose",
  "Unsqueeze",
]);
/** Operators whose results are not negative where none of their inputs is. */
const COMBINING: ReadonlySet<string> = new Set(["Add", "Concat", "Max", "Mul", "Sum"]);

/**
 * Whether a value is known never to be negative: behind a rectifier, through poolings and sums of such values.
 *
 * @example
 * isNonNegative(zoo.lenet5().graph, "input"); // false
 */
export function isNonNegative(graph: Graph, value: string): boolean {
  const makers = new Map<string, Node>();
  for (const node of graph.nodes) for (const output of node.outputs) makers.set(output, node);
  const known = new Map<string, boolean>();
  const holds = (name: string): boolean => {
    const found = known.get(name);
    if (found !== undefined) return found;
    const constant = graph.initializers.get(name);
    const node = makers.get(name);
    const result =
      constant?.dtype === "float32"
        ? constant.numbers().every((one) => one >= 0)
        : node?.domain === "" && nodeHolds(node);
    known.set(name, result);
    return result;
  };
  const nodeHolds = ({ op, inputs }: Node): boolean => {
    if (NON_NEGATIVE.has(op)) return true;
    if (op === "Clip") {
      const least = graph.initializers.get(inputs.at(1) ?? "")?.numbers()[0] ?? -1;
      return least >= 0 || holds(inputs[0]);
    }
    return PASSING.has(op) ? holds(inputs[0]) : COMBINING.has(op) && inputs.every(holds);
  };
  return holds(value);
}
