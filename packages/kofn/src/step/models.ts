/** The graphs of a step as models that can be saved and looked at: as it is differentiated, and as onnxruntime runs it. */

import { type Graph, IR_VERSION, type Model, OPSET } from "../onnx/model.js";
import { VERSION } from "../version.js";
import { rawStepGraph, stepGraph } from "./graph.js";
import type { StepPlan } from "./plan.js";

export interface StepModels {
  /** What is to be computed, in standard operators and those of the domain "kofn", which no engine runs. */
  readonly step: Model;
  /** How: in operators of onnxruntime. */
  readonly lowered: Model;
}

/**
 * The models of a plan's step once quantization, if there is any, has begun.
 *
 * @example
 * const { step, lowered } = stepModels(planStep(model, options));
 * console.log(printGraph(step)); // ... = SoftmaxCrossEntropy(%fc3, %labels) ...
 */
export function stepModels(plan: StepPlan): StepModels {
  return {
    step: inDialect(rawStepGraph(plan, "quantized").graph),
    lowered: stepGraph(plan, "quantized").model,
  };
}

function inDialect(graph: Graph): Model {
  return {
    irVersion: IR_VERSION,
    producerName: "kofn",
    producerVersion: VERSION,
    opsets: new Map([
      ["", OPSET],
      ["kofn", 1],
    ]),
    graph,
    metadata: new Map(),
  };
}
