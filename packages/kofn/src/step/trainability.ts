/** Whether a model can be trained: which nodes no gradient passes through, and which weights are no numbers. */

import { RULES } from "../autodiff/rules.js";
import { InputError } from "../errors.js";
import { reportProblems } from "../import/node.js";
import type { Graph, Node } from "../onnx/model.js";
import { opOf } from "../onnx/ops.js";
import type { Tensor } from "../onnx/tensor.js";

/** A node through which a gradient would have to flow, and why it can't. */
export interface Obstacle {
  readonly node: Node;
  readonly reason: string;
}

/**
 * The nodes that lie between the parameters and the outputs and have no gradient.
 *
 * @param parameters names of the tensors that are to be trained.
 */
export function obstaclesIn(graph: Graph, parameters: Iterable<string>): Obstacle[] {
  const reached = new Set(parameters);
  const depend: Node[] = [];
  for (const node of graph.nodes) {
    if (RULES[opOf(node)] === "zero" || !node.inputs.some((input) => reached.has(input))) continue;
    depend.push(node);
    for (const output of node.outputs) reached.add(output);
  }
  const needed = new Set(graph.outputs.map(({ name }) => name));
  const obstacles: Obstacle[] = [];
  for (const node of depend.reverse()) {
    if (!node.outputs.some((output) => needed.has(output))) continue;
    const rule = RULES[opOf(node)];
    if (typeof rule === "object") obstacles.push({ node, reason: rule.forbidden });
    for (const input of node.inputs) needed.add(input);
  }
  return obstacles.reverse();
}

/** @throws InputError naming the nodes that can't be trained through, all of them up to ten. */
export function checkObstacles(graph: Graph, parameters: Iterable<string>): void {
  const problems = obstaclesIn(graph, parameters);
  const remedy = `Export the model with other operators in ${problems.length === 1 ? "its place" : "their place"}.`;
  reportProblems(`model "${graph.name}": kofn can't train through`, problems, remedy);
}

/** @throws InputError naming the float32 tensors that hold NaN or infinite values, and how many. */
export function checkFinite(graph: Graph, parameters: readonly string[]): void {
  const broken = parameters.flatMap((name) => {
    const value = graph.initializers.get(name);
    const count = value?.dtype === "float32" ? countNonFinite(value as Tensor<"float32">) : 0;
    return count === 0 ? [] : [`"${name}" (${count} of ${value?.size ?? 0})`];
  });
  if (broken.length === 0) return;
  const more = broken.length > 5 ? `, and ${broken.length - 5} more` : "";
  throw new InputError(
    `model "${graph.name}": expected finite weights, found NaN or infinity in ${broken.slice(0, 5).join(", ")}${more}; ` +
      `the training that made them has diverged, take an earlier state of the model`,
  );
}

function countNonFinite(value: Tensor<"float32">): number {
  let count = 0;
  for (const x of value.array()) if (!Number.isFinite(x)) count++;
  return count;
}
