/** Evaluation of the loss, from the definition. */

import { fail } from "../infer/support.js";
import type { Tensor } from "../tensor.js";
import { type EvaluateContext, type EvaluateRule, inputTensor, numbersOf, outputTensor } from "./support.js";

/** log softmax(logits) of every row, and the labels, checked. */
function logProbabilities(context: EvaluateContext) {
  const logits = inputTensor(context, 0);
  const [batch, classes] = logits.dims;
  const x = numbersOf(logits);
  const labels = numbersOf(inputTensor(context, 1));
  const logs = new Float64Array(x.length);
  for (let row = 0; row < batch; row++) {
    const label = labels[row];
    if (label < 0 || label >= classes) fail(context.node, `label ${label} is none of the ${classes} classes`);
    const first = row * classes;
    let max = -Infinity;
    for (let i = 0; i < classes; i++) max = Math.max(max, x[first + i]);
    let sum = 0;
    for (let i = 0; i < classes; i++) sum += Math.exp(x[first + i] - max);
    for (let i = 0; i < classes; i++) logs[first + i] = x[first + i] - max - Math.log(sum);
  }
  return { logs, labels, batch, classes };
}

/** mean over rows of -log softmax(logits)[label] */
function softmaxCrossEntropy(context: EvaluateContext): Tensor {
  const { logs, labels, batch, classes } = logProbabilities(context);
  let sum = 0;
  for (let row = 0; row < batch; row++) sum -= logs[row * classes + labels[row]];
  return outputTensor(context.outputs[0], [sum / batch]);
}

/** (softmax(logits) - onehot(labels)) / batch */
function softmaxCrossEntropyGrad(context: EvaluateContext): Tensor {
  const { logs, labels, batch, classes } = logProbabilities(context);
  const gradient = logs.map((log) => Math.exp(log) / batch);
  for (let row = 0; row < batch; row++) gradient[row * classes + labels[row]] -= 1 / batch;
  return outputTensor(context.outputs[0], gradient);
}

export const training = {
  SoftmaxCrossEntropy: (context) => [softmaxCrossEntropy(context)],
  SoftmaxCrossEntropyGrad: (context) => [softmaxCrossEntropyGrad(context)],
} as const satisfies Record<string, EvaluateRule>;
