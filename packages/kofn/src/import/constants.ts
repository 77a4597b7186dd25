/** Tells what a graph's Constant nodes make from its parameters: both become initializers, so their names must say it. */

import type { Graph, Node } from "../onnx/model.js";

/** How PyTorch's exporter names what Constant nodes make: "/attention/Constant_2_output_0". */
const CONSTANT_NAME = /(?:^|\/)Constant(?:_\d+)*(?:_output_\d+)?$/;

/** Whether a stored tensor is named after a Constant node. */
export function isConstantName(name: string): boolean {
  return CONSTANT_NAME.test(name);
}

/** What an initializer is called that a Constant node made under this name. */
export function constantName(name: string): string {
  return isConstantName(name) ? name : `${name}/Constant`;
}

/** Where operators have weights and biases, scales and slopes: inputs that are parameters whoever stores them. */
const WEIGHTS: Readonly<Record<string, readonly number[]>> = {
  BatchNormalization: [1, 2],
  Conv: [1, 2],
  ConvTranspose: [1, 2],
  Gemm: [0, 1, 2],
  GroupNormalization: [1, 2],
  InstanceNormalization: [1, 2],
  LayerNormalization: [1, 2],
  MatMul: [0, 1],
  PRelu: [1],
};

const LINEAR: ReadonlySet<string> = new Set(["Conv", "ConvTranspose", "Gemm", "MatMul"]);

/** The inputs of a node that are weights, by its operator. */
export function weightInputs({ op, domain, inputs }: Node): string[] {
  const places = domain === "" && Object.hasOwn(WEIGHTS, op) ? WEIGHTS[op] : [];
  return places.flatMap((i) => (i < inputs.length && inputs[i] !== "" ? [inputs[i]] : []));
}

/**
 * The names that nodes have for weights, scales and slopes, and those of the biases that an Add puts on what Conv, Gemm or
 * MatMul make with weights; values that nodes compute are among them.
 */
export function weightNames({ nodes, inputs }: Pick<Graph, "nodes" | "inputs">): Set<string> {
  const names = new Set(nodes.flatMap(weightInputs));
  const varying = new Set(inputs.map(({ name }) => name));
  const linear = new Set<string>();
  for (const node of nodes) {
    const own = node.inputs.filter((name) => varying.has(name));
    if (own.length === 0 || node.op === "Shape") continue;
    for (const output of node.outputs) varying.add(output);
    if (LINEAR.has(node.op) && own.length === 1) linear.add(node.outputs[0]);
    if (node.op !== "Add" || own.length !== 1 || !linear.has(own[0])) continue;
    for (const name of node.inputs) if (name !== own[0]) names.add(name);
  }
  return names;
}
