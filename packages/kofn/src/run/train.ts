/** Trains and prunes a model: the library's main function. */

import { dropoutsOf } from "../import/dropout.js";
import { importModel } from "../import/import.js";
import { withDefaults } from "../options/with-defaults.js";
import { trainable } from "../step/parameters.js";
import { checkFinite } from "../step/trainability.js";
import { checkInterface } from "../task/evaluate.js";
import { chooseNormalization } from "../task/normalize.js";
import { Trainer } from "../train/trainer.js";
import { type Setup, trainEpochs } from "./epochs.js";
import { planRun, type RunPlan } from "./plan.js";
import { finish } from "./result.js";
import type { Run } from "./run.js";
import type { TrainOptions } from "./types.js";

/**
 * Trains a classifier while learning which weights to keep, exactly k of n in every group, by Dynamic Probabilistic
 * Pruning (Gonzalez-Carabarin et al., arXiv 2105.12686).
 *
 * After each epoch the deterministic mask (the k largest logits of each group) is evaluated on the validation split;
 * the best epoch with every k at its target is kept, and evaluated on the test split once, at the end.
 *
 * @param plan what {@link planRun} gave for the same model and options, if it is at hand.
 * @throws InputError if an option, the model or the data does not fit.
 * @throws KofnError if training diverges or onnxruntime fails; the signal's reason if it is aborted.
 *
 * @example
 * const run = await train({
 *   model: zoo.lenet300100(),
 *   data: datasets.glyphs(),
 *   prune: { fc1: weights({ k: 40 }), fc2: weights({ k: 30 }) },
 *   epochs: 5,
 * });
 * console.log(run.report.result.test.accuracy, run.report.totals.compression); // 0.97..., 16.6...
 * await run.save("runs/a");
 */
export async function train(options: TrainOptions, plan?: RunPlan): Promise<Run> {
  const setup = await prepare(options, plan);
  try {
    return await finish(setup, await trainEpochs(setup));
  } finally {
    await setup.trainer.close();
  }
}

/** Settles all that is open in the options, checks it, and opens a trainer. */
async function prepare(options: TrainOptions, plan?: RunPlan): Promise<Setup> {
  const { data } = options;
  const model = importModel(options.model);
  checkInterface(model, data);
  checkFinite(model.graph, trainable(model.graph));
  const { normalization } = await chooseNormalization(model, data, options);
  const prepared = {
    ...options,
    augment: options.augment ?? data.augmentation ?? {},
    normalize: normalization,
  };
  const settings = withDefaults(prepared);
  const { provider, limit = Infinity } = settings;
  const { pruning, quantization } = plan ?? planRun(model, options);
  const { layers, budget } = pruning;
  const count = Math.min(limit, data.train.count);
  const dropouts = dropoutsOf(options.model);
  const how = { provider, quantization, dropouts };
  const trainer = await Trainer.create(model, data, count, layers, settings, how);
  return { options: prepared, model, data, normalization, count, budget, provider, trainer };
}
