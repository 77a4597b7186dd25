/** Why a model can't be trained, for `kofn inspect`. */

import { InputError, messageOf } from "../errors.js";
import { importModel } from "../import/import.js";
import { describeNode } from "../onnx/infer/support.js";
import type { Model } from "../onnx/model.js";
import { classifierOf } from "../task/classifier.js";
import { trainable } from "../step/parameters.js";
import { checkFinite, obstaclesIn } from "../step/trainability.js";

/** A model as training would see it, and what stands against training it. */
export interface Inspected {
  /** Imported, or as it is in the file if it can't be imported. */
  readonly model: Model;
  /** One sentence each; none if the model can be trained. */
  readonly reasons: readonly string[];
}

/** Imports a model as far as that goes, and says what no training could be begun with. */
export function inspected(loaded: Model): Inspected {
  const imported = attempt(() => importModel(loaded));
  if (typeof imported === "string") return { model: loaded, reasons: [imported] };
  const { graph } = imported;
  const parameters = trainable(graph);
  const checks = [
    attempt(() => classifierOf(imported)),
    attempt(() => {
      checkFinite(graph, parameters);
    }),
  ];
  const obstacles = obstaclesIn(graph, parameters).map(
    ({ node, reason }) => `${describeNode(node)}: ${reason}`,
  );
  return { model: imported, reasons: [...checks.filter((found) => typeof found === "string"), ...obstacles] };
}

/** What the work gives, or the message of its InputError. */
function attempt<T>(work: () => T): T | string {
  try {
    return work();
  } catch (error) {
    if (error instanceof InputError) return messageOf(error);
    throw error;
  }
}
