/** Cross-entropy of a softmax and its gradient as standard ONNX operators. */

import type { Builder } from "../onnx/builder.js";
import { DATA_TYPES } from "../onnx/dtype.js";
import { int, type Node } from "../onnx/model.js";

/** [B, C]: 1 at the label of each row, else 0. */
function oneHot(b: Builder, logits: string, labels: string): string {
  const [batch, classes] = b.shape(logits);
  const range = Array.from({ length: classes }, (_, i) => i);
  const isLabel = b.op("Equal", [b.reshape(labels, [batch, 1]), b.constant("int64", [1, classes], range)]);
  return b.op("Cast", [isLabel], { to: int(DATA_TYPES[b.dtype(logits)].code) }, `${labels}/one_hot`);
}

function logSoftmax(b: Builder, logits: string): string {
  return b.op("LogSoftmax", [logits], { axis: int(1) }, `${logits}/log_probabilities`);
}

// loss = -sum(onehot * log softmax(logits)) / B
export function lowerSoftmaxCrossEntropy(b: Builder, node: Node, out: string): string {
  const [logits, labels] = node.inputs;
  const [batch] = b.shape(logits);
  const picked = b.mul(oneHot(b, logits, labels), logSoftmax(b, logits));
  return b.mul(b.sum(picked, [0, 1], false), b.scalar(-1 / batch, logits), out);
}

// dlogits = (softmax(logits) - onehot) / B
export function lowerSoftmaxCrossEntropyGrad(b: Builder, node: Node, out: string): string {
  const [logits, labels] = node.inputs;
  const [batch] = b.shape(logits);
  const probabilities = b.op("Exp", [logSoftmax(b, logits)]);
  const difference = b.sub(probabilities, oneHot(b, logits, labels));
  return b.mul(difference, b.scalar(1 / batch, logits), out);
}
