/** Knowledge distillation within a training step: the dense model teaches the pruned one. */

import type { Builder } from "../onnx/builder.js";
import { type Graph, int } from "../onnx/model.js";
import type { DistillOptions } from "../options/types.js";

/**
 * Appends the teacher: the model as it was given, in inference mode, with its weights as constants.
 *
 * @param graph the model's, for batches of the step's size.
 * @returns the teacher's logits.
 */
export function appendTeacher(
  b: Builder,
  graph: Graph,
  input: string,
  images: string,
  output: string,
): string {
  const seen = new Map([[input, images]]);
  for (const [name, value] of graph.initializers) seen.set(name, b.initializer(`teacher/${name}`, value));
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((name) => seen.get(name) ?? name);
    const outputs = node.outputs.map((name) => (name === "" ? name : b.unique(`teacher/${name}`)));
    node.outputs.forEach((name, i) => seen.set(name, outputs[i]));
    b.push({ ...node, name: node.name === "" ? "" : `teacher/${node.name}`, inputs, outputs });
  }
  return seen.get(output) ?? output;
}

/**
 * (1 - a) loss + a T^2 KL(softmax(teacher / T) || softmax(logits / T)), the mean over the batch (Hinton, Vinyals and Dean,
 * arXiv 1503.02531, section 2).
 */
export function distilledLoss(
  b: Builder,
  loss: string,
  logits: string,
  teacher: string,
  { weight, temperature }: DistillOptions,
): string {
  const [batch] = b.shape(logits);
  const soft = (value: string): string =>
    b.op("LogSoftmax", [b.mul(value, b.scalar(1 / temperature, value))], { axis: int(1) });
  const target = soft(teacher);
  const gap = b.mul(b.op("Exp", [target]), b.sub(target, soft(logits)));
  const divergence = b.mul(b.sum(gap, [0, 1], false), b.scalar((weight * temperature ** 2) / batch, gap));
  return b.add(b.mul(loss, b.scalar(1 - weight, loss)), divergence, "distilled_loss");
}
