/** The task of classifiers: the cross-entropy of their logits, also of mixed images and beside a teacher, and right answers. */

import type { Builder } from "../onnx/builder.js";
import { DATA_TYPES } from "../onnx/dtype.js";
import { type Graph, int } from "../onnx/model.js";
import type { DistillOptions } from "../options/types.js";
import type { Classifier } from "./classifier.js";
import { appendTeacher, distilledLoss } from "./distill.js";
import type { BoundTask, Feed, FeedArray } from "./task.js";

/** With mix-up: the scalar with which images keep their own pixels and label. */
export const SHARE = "mixup/share";

export interface ClassificationOptions {
  /** The model as it is given teaches the one that is trained. */
  readonly distill?: DistillOptions | undefined;
  /** The images of a batch are mixed in pairs, with shares that the scalar {@link SHARE} says. */
  readonly mixup: boolean;
}

/** What a batch of images and labels lies in. */
export interface ImageBatch {
  /** [batch, channels, height, width] */
  readonly images: Float32Array<ArrayBuffer>;
  /** [batch] */
  readonly labels: BigInt64Array<ArrayBuffer>;
  /** With mix-up: the labels of the images that were mixed in. */
  readonly partners: BigInt64Array<ArrayBuffer>;
}

/**
 * @param classifier the view of the model.
 * @param graph that view for batches of one size.
 */
export function classification(
  classifier: Classifier,
  graph: Graph,
  { distill, mixup }: ClassificationOptions,
): BoundTask {
  const { input, output, dims } = classifier;
  const [batch] = graph.inputs.find(({ name }) => name === input)?.type?.shape ?? [];
  if (typeof batch !== "number") throw new TypeError(`the batch of "${input}" is not known`);
  const feeds: Feed[] = [
    { name: "images", dtype: "float32", dims: [batch, ...dims] },
    { name: "labels", dtype: "int64", dims: [batch] },
    ...(mixup ? [{ name: "partners", dtype: "int64", dims: [batch] } as const] : []),
  ];
  return {
    graph,
    feeds,
    inputs: new Map([[input, "images"]]),
    counts: ["correct"],
    loss(b, value) {
      const logits = value(output);
      const own = b.op("SoftmaxCrossEntropy", [logits, "labels"], {}, "cross_entropy");
      const shown = mixup ? mixedLoss(b, own, logits) : own;
      const scalars = mixup ? [SHARE] : [];
      if (distill === undefined) return { trained: shown, shown, scalars };
      const teacher = appendTeacher(b, graph, input, "images", output);
      return { trained: distilledLoss(b, shown, logits, teacher, distill), shown, scalars };
    },
    count(b, value) {
      b.output(correctCount(b, value(output), "labels"));
    },
  };
}

// share CE(logits, labels) + (1 - share) CE(logits, partners)
function mixedLoss(b: Builder, loss: string, logits: string): string {
  const share = b.input(SHARE, "float32", []);
  const other = b.op("SoftmaxCrossEntropy", [logits, "partners"], {}, "partners/cross_entropy");
  return b.op("Add", [b.mul(share, b.sub(loss, other)), other], {}, "mixed_loss");
}

function correctCount(b: Builder, logits: string, labels: string): string {
  const best = b.op("ArgMax", [logits], { axis: int(1), keepdims: int(0) });
  const right = b.op("Cast", [b.op("Equal", [best, labels])], { to: int(DATA_TYPES.float32.code) });
  return b.sum(right, [0], false, "correct");
}

/**
 * The arrays of the task's feeds, by what they hold.
 *
 * @throws TypeError if they are not those of this task.
 */
export function imageBatch(arrays: ReadonlyMap<string, FeedArray>): ImageBatch {
  const images = arrays.get("images");
  const labels = arrays.get("labels");
  const partners = arrays.get("partners") ?? new BigInt64Array(0);
  if (
    images instanceof Float32Array &&
    labels instanceof BigInt64Array &&
    partners instanceof BigInt64Array
  ) {
    return { images, labels, partners };
  }
  throw new TypeError("expected a batch of images and labels");
}
