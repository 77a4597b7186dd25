/** Batch normalisation in training: which tensors hold its running statistics, and what each step makes of them. */

import { InputError } from "../errors.js";
import type { Builder } from "../onnx/builder.js";
import { float, getFloat, type Graph, type Node } from "../onnx/model.js";

/** A node of batch normalisation, and the names of its running mean and variance. */
export interface NormNode {
  readonly node: Node;
  readonly mean: string;
  readonly variance: string;
}

/** The nodes of batch normalisation, in the graph's order. */
export function normNodes(graph: Graph): NormNode[] {
  return graph.nodes.filter(isBatchNormalization).map((node) => {
    const [, , , mean, variance] = node.inputs;
    return { node, mean, variance };
  });
}

function isBatchNormalization({ op, domain }: Node): boolean {
  return op === "BatchNormalization" && domain === "";
}

/** Names of the running means and variances that are stored in the model. */
export function runningStatistics(graph: Graph): string[] {
  const names = normNodes(graph).flatMap(({ mean, variance }) => [mean, variance]);
  return [...new Set(names)].filter((name) => graph.initializers.has(name));
}

/** The statistics of a batch, as values of the graph; and the running ones that they are instead of. */
export interface BatchStatistics {
  readonly running: Omit<NormNode, "node">;
  readonly mean: string;
  readonly variance: string;
}

/**
 * Appends a node of a model as training computes it: batch normalisation by the statistics of the batch, all else as it is.
 *
 * @param statistics names of the running statistics that are stored; undefined to normalise by these.
 * @returns the statistics of the batch, if the node has any.
 * @throws InputError if the node's running statistics are not stored.
 */
export function appendNode(
  b: Builder,
  node: Node,
  statistics: readonly string[] | undefined,
): BatchStatistics | undefined {
  if (statistics === undefined || !isBatchNormalization(node)) {
    b.push({ ...node });
    return undefined;
  }
  const [x, scale, bias, ...own] = node.inputs;
  const computed = own.find((name) => !statistics.includes(name));
  if (computed !== undefined) {
    throw new InputError(
      `node "${node.name}" (BatchNormalization): training updates its mean and variance, but "${computed}" is no tensor ` +
        `that is stored in the model; train with its statistics frozen (batchNorm "frozen", --batch-norm frozen)`,
    );
  }
  const [mean, variance] = own.map((name) => b.unique(`${name}/batch`));
  b.push({
    op: "BatchNorm",
    domain: "kofn",
    name: node.name,
    inputs: [x, scale, bias],
    outputs: [node.outputs[0], mean, variance],
    attributes: new Map([["epsilon", float(getFloat(node, "epsilon", 1e-5))]]),
  });
  return { running: { mean: own[0], variance: own[1] }, mean, variance };
}

/**
 * Appends the update of a running statistic as ONNX defines it: momentum * running + (1 - momentum) * batch.
 *
 * @param before the statistic's value before this node, which is named `name` at the beginning of the step.
 */
export function moved(b: Builder, node: Node, name: string, before: string, batch: string): string {
  const momentum = getFloat(node, "momentum", 0.9);
  const kept = b.mul(before, b.scalar(momentum, name));
  return b.add(kept, b.mul(batch, b.scalar(1 - momentum, name)), `${name}/new`);
}
