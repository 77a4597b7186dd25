/** What the options of a run mean for its model. */

import type { Model } from "../onnx/model.js";
import type { PlainOptions } from "../options/types.js";
import { checkMethod } from "../prune/methods/methods.js";
import { planPruning, type PrunePlan } from "../prune/budget.js";
import { planQuantization, type QuantizationPlan } from "../quantize/plan.js";

/** Which layers of a model are pruned to what, and what is quantized. */
export interface RunPlan {
  readonly pruning: PrunePlan;
  readonly quantization: QuantizationPlan;
}

/**
 * Resolves the prune specs, the budget and the quantize specs of a run.
 *
 * @param model as `importModel` gives it.
 * @throws InputError for a spec that does not fit the model, or a budget that can't be met.
 * @example
 * planRun(zoo.lenet5(), { keep: { keep: 0.05 } }).pruning.layers.map(({ name, k }) => [name, k]);
 * // [["conv1", 1], ["conv2", 25], ["fc1", 40]]
 */
export function planRun({ graph }: Model, options: PlainOptions): RunPlan {
  const { method = "dpp" } = options;
  const pruning = planPruning(graph, method === "dense" ? {} : options);
  checkMethod(method, pruning.layers);
  return {
    pruning,
    quantization: planQuantization(graph, options.quantize),
  };
}
