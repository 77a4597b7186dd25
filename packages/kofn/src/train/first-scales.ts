/** Where the learned scales of activations begin: measured on training images when quantization begins. */

import type { Engine, Value } from "../engine/session.js";
import { modelOf } from "../lower/model.js";
import { atBatch } from "../onnx/batch.js";
import { Builder } from "../onnx/builder.js";
import { emptyGraph, type Model } from "../onnx/model.js";
import type { BatchNormMode } from "../options/types.js";
import { type PlannedActivation, roundedRange } from "../quantize/plan.js";
import { appendNode, runningStatistics } from "../step/batch-norm.js";
import { classifierOf } from "../task/classifier.js";

/**
 * The scales with which activations begin: of 8 bits, the largest magnitude over the largest code; of binary ones, 2 mean|x|
 * as LSQ does (arXiv 1902.08153, section 2.1), or mean|x| where they may be negative (XNOR-Net, arXiv 1603.05279).
 *
 * @param model with masks applied and weights quantized.
 * @param batches of images, each of the step's size.
 * @param batchNorm with "train", layers are normalised by the statistics of the batch, as in training steps.
 */
export async function activationScales(
  engine: Engine,
  model: Model,
  activations: readonly PlannedActivation[],
  batches: readonly Float32Array<ArrayBuffer>[],
  batch: number,
  batchNorm: BatchNormMode,
): Promise<Map<PlannedActivation, number>> {
  const { dims } = classifierOf(model);
  const { measuring, input, outputs } = measuringModel(model, activations, [batch, ...dims], batchNorm);
  const session = await engine.session(measuring);
  const means = new Map<PlannedActivation, number>();
  const largest = new Map<PlannedActivation, number>();
  try {
    for (const pixels of batches) {
      const wanted = Object.fromEntries(
        outputs.flatMap(({ mean, most }) => [mean, most]).map((name) => [name, null]),
      );
      const feeds: Record<string, Value> = { [input]: engine.value("float32", [batch, ...dims], pixels) };
      const results = await session.run(feeds, wanted);
      const read = (name: string): number => (results[name].data as Float32Array)[0];
      for (const { activation, mean, most } of outputs) {
        means.set(activation, (means.get(activation) ?? 0) + read(mean) / batches.length);
        largest.set(activation, Math.max(largest.get(activation) ?? 0, read(most)));
      }
    }
  } finally {
    await session.close();
  }
  const scaleOf = (activation: PlannedActivation): number => {
    if (activation.format === "binary") return (activation.signed ? 1 : 2) * (means.get(activation) ?? 0);
    return (largest.get(activation) ?? 0) / roundedRange(activation)[1];
  };
  // An activation that is always 0 may have any scale.
  return new Map(activations.map((one) => [one, scaleOf(one) || 1]));
}

interface Measured {
  readonly activation: PlannedActivation;
  readonly mean: string;
  readonly most: string;
}

/** The model with the mean and the largest magnitude of each activation as its outputs. */
function measuringModel(
  model: Model,
  activations: readonly PlannedActivation[],
  shape: readonly number[],
  batchNorm: BatchNormMode,
): { measuring: Model; input: string; outputs: Measured[] } {
  const { model: view, input } = classifierOf(model);
  const graph = atBatch(view.graph, input, shape, []);
  const statistics = batchNorm === "train" ? runningStatistics(model.graph) : undefined;
  const b = new Builder(emptyGraph(`${graph.name}/activations`));
  b.input(input, "float32", shape);
  for (const [name, value] of graph.initializers) b.initializer(name, value);
  for (const node of graph.nodes) appendNode(b, node, statistics);
  const outputs = activations.map((activation): Measured => {
    const magnitude = b.op("Abs", [activation.tensor]);
    const axes = b.vector(b.shape(magnitude).map((_, i) => i));
    const reduced = (op: "ReduceMean" | "ReduceMax"): string =>
      b.output(b.op(op, [magnitude, axes], { keepdims: { kind: "int", value: 0n } }));
    return { activation, mean: reduced("ReduceMean"), most: reduced("ReduceMax") };
  });
  return { measuring: modelOf(b.graph), input, outputs };
}
