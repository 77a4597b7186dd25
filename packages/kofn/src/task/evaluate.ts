/** Loss and accuracy of a model on a split, as stock onnxruntime computes them. */

import type { Evaluation } from "@kofn/format/run/types.js";
import { BatchFiller, sequentialOrder } from "../data/batches.js";
import { BatchLoader } from "../data/loader.js";
import type { Normalization } from "../data/normalization.js";
import type { Dataset, Split } from "../data/types.js";
import type { Engine } from "../engine/session.js";
import { InputError } from "../errors.js";
import type { Model } from "../onnx/model.js";
import { type Classifier, classifierOf } from "./classifier.js";

/**
 * Mean cross-entropy and share of right answers (the largest logit, ties to the lower class) over a split.
 *
 * @param dataset gives the geometry of the split's images.
 * @throws InputError if the model is no classifier, or one of images of another size or of fewer classes.
 */
export async function evaluateOn(
  engine: Engine,
  model: Model,
  split: Split,
  dataset: Dataset,
  normalization: Normalization,
  wantedBatch = 250,
): Promise<Evaluation> {
  const { model: view, input, output, dims } = checkInterface(model, dataset);
  if (split.count === 0) {
    throw new InputError(`data set ${dataset.name}: the split to evaluate on has no images`);
  }
  const fixed = view.graph.inputs.find(({ name }) => name === input)?.type?.shape?.[0];
  const batch = typeof fixed === "number" ? fixed : Math.min(wantedBatch, split.count);
  const loader = new BatchLoader(split, dataset, new BatchFiller(dataset, normalization));
  const session = await engine.session(view);
  try {
    const size = dims.reduce((product, dim) => product * dim, 1);
    const pixels = new Float32Array(batch * size);
    const labels = new BigInt64Array(batch);
    const images = engine.value("float32", [batch, ...dims], pixels);
    const order = sequentialOrder(split.count);
    let loss = 0;
    let right = 0;
    for (let start = 0; start < split.count; start += batch) {
      const filled = await loader.load(order, start, 0, pixels, labels);
      const results = await session.run({ [input]: images }, { [output]: null });
      const logits = results[output].data as Float32Array;
      const classes = logits.length / batch;
      checkClasses(model, classes, dataset);
      for (let i = 0; i < filled; i++) {
        const label = Number(labels[i]);
        const { best, logSum } = summarise(logits, i * classes, classes);
        loss += logSum - logits[i * classes + label];
        if (best === label) right++;
      }
    }
    return { loss: loss / split.count, accuracy: right / split.count };
  } finally {
    await loader.close();
    await session.close();
  }
}

function summarise(logits: Float32Array, start: number, classes: number): { best: number; logSum: number } {
  let best = 0;
  for (let c = 1; c < classes; c++) if (logits[start + c] > logits[start + best]) best = c;
  const max = logits[start + best];
  let sum = 0;
  for (let c = 0; c < classes; c++) sum += Math.exp(logits[start + c] - max);
  return { best, logSum: max + Math.log(sum) };
}

/** @throws InputError if the model's input does not fit the data set's images, or its output their classes. */
export function checkInterface(model: Model, dataset: Dataset): Classifier {
  const found = classifierOf(model);
  const declared = model.graph.outputs[0].type?.shape?.at(-1);
  if (typeof declared === "number") checkClasses(model, declared, dataset);
  const expected = [dataset.channels, dataset.height, dataset.width];
  if (found.dims.length !== 3 || found.dims.some((dim, i) => dim !== expected[i])) {
    throw new InputError(
      `model "${model.graph.name}" takes images of [${found.dims.join(", ")}], ` +
        `but those of data set ${dataset.name} are [${expected.join(", ")}] (channels, height, width)`,
    );
  }
  return found;
}

function checkClasses(model: Model, classes: number, dataset: Dataset): void {
  if (classes >= dataset.classes.length) return;
  throw new InputError(
    `model "${model.graph.name}" has ${classes} classes, but data set ${dataset.name} has ${dataset.classes.length}`,
  );
}
