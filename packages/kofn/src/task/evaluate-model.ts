/** The library's evaluation of a model on a split, normalised as the model wants it. */

import type { Evaluation } from "@kofn/format/run/types.js";
import type { Provider } from "@kofn/format/run/words.js";
import type { Normalization } from "../data/normalization.js";
import type { Dataset, Split } from "../data/types.js";
import { Engine } from "../engine/session.js";
import type { Model } from "../onnx/model.js";
import { checkInterface, evaluateOn } from "./evaluate.js";
import { chooseNormalization } from "./normalize.js";

export interface EvaluateOptions {
  readonly provider?: Provider;
  readonly threads?: number;
  /** Images at a time, where the model leaves that open. Default 250. */
  readonly batch?: number;
  /**
   * How pixels are normalised. Default: as the model's metadata says; without it the data set's own for a network that
   * kofn has built, and for others what they do best with on some validation images.
   */
  readonly normalize?: Normalization | "none";
}

/**
 * Mean cross-entropy and share of right answers (the largest logit, ties to the lower class) over a split.
 *
 * @param dataset gives the geometry of the split's images.
 * @throws InputError if the model is no classifier, or one of images of another size or of fewer classes.
 *
 * @example
 * const { accuracy } = await evaluateModel(model, data.test, data);
 */
export async function evaluateModel(
  model: Model,
  split: Split,
  dataset: Dataset,
  options: EvaluateOptions = {},
): Promise<Evaluation> {
  checkInterface(model, dataset);
  const { normalization } = await chooseNormalization(model, dataset, options);
  const engine = await Engine.open(options);
  return evaluateOn(engine, model, split, dataset, normalization, options.batch);
}
