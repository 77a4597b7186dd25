/**
 * Who does what in a training step: where each tensor is quantized, masked, differentiated and updated.
 *
 * A plan is made once, of the model, what is to be pruned and quantized, and where the work is to be done. What executes steps
 * (`GraphStep`, `HostStep`) and what builds their graph (`stepGraph`) read it, and ask nothing of this kind themselves.
 */

import { InputError } from "../errors.js";
import type { Dropout } from "../import/dropout.js";
import type { PrunableLayer } from "../layers/types.js";
import { atBatch } from "../onnx/batch.js";
import { type Graph, type Model, OPSET } from "../onnx/model.js";
import type { Optimizer } from "../optim/optimizer.js";
import type { BatchNormMode, DistillOptions } from "../options/types.js";
import { carriersOf, membersOf, unitsAreWeights } from "../prune/units.js";
import type { PrunedLayer } from "../prune/types.js";
import type { PlannedActivation, QuantizationPlan } from "../quantize/plan.js";
import type { WeightRule } from "../quantize/types.js";
import { classification } from "../task/classification.js";
import { classifierOf } from "../task/classifier.js";
import type { BoundTask } from "../task/task.js";
import { runningStatistics } from "./batch-norm.js";
import { keptName, maskedName, unitsName } from "./names.js";
import { trainable } from "./parameters.js";
import { checkObstacles } from "./trainability.js";

/** Sampling within the step's graph: what any provider can, and what defines the step. */
export interface GraphSampling {
  /** k of each layer; another k is another graph. */
  readonly k: readonly number[];
  readonly optimizer: Optimizer;
  /** Weight of the entropy regulariser; 0 leaves it out. */
  readonly entropy: number;
}

/** What a training step is planned for. */
export interface StepOptions {
  readonly batch: number;
  readonly layers: readonly PrunedLayer[];
  /** Where the model's parameters are updated: by this optimizer in the graph, or on the host. */
  readonly weights: "host" | Optimizer;
  /** Where masks are drawn and logits learnt: on the host, which any k may be asked of, step by step; or in the graph. */
  readonly sampling: "host" | GraphSampling;
  /** Default "train". */
  readonly batchNorm?: BatchNormMode;
  /** The model as it is given teaches the one that is trained. */
  readonly distill?: DistillOptions;
  /** The images of a batch are mixed in pairs, with shares that the scalar "mixup/share" says. Default false. */
  readonly mixup?: boolean;
  /** Activations that the graph quantizes, and weights that the host does. Default: none. */
  readonly quantization?: Pick<QuantizationPlan, "weights" | "activations">;
  /** Where nodes of the model read values through Dropout: see `dropoutsOf`. Default: nowhere. */
  readonly dropouts?: readonly Dropout[];
  /** Channels in a block, if the engine that is to run the step computes convolutions in blocks: see `blockOf`. */
  readonly block?: number | undefined;
}

/** The mask of a pruned layer, or of layers whose maps are coupled. */
export interface PlannedMask {
  readonly layer: PrunedLayer;
  readonly drawnBy: "graph" | "host";
  /** The value of the graph that holds it: the units [R, n], or the weight that is masked already, of which each is a unit. */
  readonly value: string;
  readonly holds: "units" | "masked weight";
}

/** The fake quantizer of a weight on the host. */
export interface PlannedQuantizer {
  readonly layer: PrunableLayer;
  readonly rule: Required<WeightRule>;
  /** Whether scales are learned, or follow from the weights that are kept. */
  readonly scales: "learned" | "fitted";
  readonly keeps: QuantizerKeeps;
}

/** Which weights a quantizer takes for kept: all; those that it masks itself; or, for scales that are fitted, those that the graph masks. */
export type QuantizerKeeps =
  { readonly by: "none" } | { readonly by: "quantizer" | "graph"; readonly mask: PlannedMask };

/**
 * Who does what with a parameter; other mixtures can't be written.
 *
 * - `updatedBy: "graph"`: it is an input of the step, and its new value an output.
 * - `"optimizer"`: the host's optimizer updates it, of a gradient that the graph gives: that of the parameter, or, where the
 *   quantizer comes before, of what the quantizer made of it.
 * - `"sampler"`: its units are weights, one by one; the sampler holds it, masks it, and updates it beside the logits.
 */
export type Path =
  | { readonly updatedBy: "graph"; readonly maskedBy: "graph" | "none" }
  | {
      readonly updatedBy: "optimizer";
      readonly maskedBy: "graph" | "none";
      readonly quantizer?: PlannedQuantizer;
    }
  | {
      readonly updatedBy: "optimizer";
      readonly maskedBy: "quantizer";
      readonly quantizer: PlannedQuantizer;
    }
  | { readonly updatedBy: "sampler"; readonly maskedBy: "sampler"; readonly mask: PlannedMask };

/** What a stored tensor of the model is in the step. */
export type PlannedTensor =
  | {
      readonly kind: "parameter";
      readonly dims: readonly number[];
      /** Whether weight decay applies to it. */
      readonly decays: boolean;
      readonly path: Path;
    }
  /** A running mean or variance, which the graph moves. */
  | { readonly kind: "statistic"; readonly dims: readonly number[] }
  | { readonly kind: "constant" };

/** A Dropout, whose mask the host draws. */
export interface PlannedDropout extends Dropout {
  /** The input of the graph that holds the mask: 0, or 1 / (1 - ratio). */
  readonly kept: string;
  readonly dims: readonly number[];
}

export interface StepPlan {
  readonly task: BoundTask;
  readonly batchNorm: BatchNormMode;
  readonly weights: "host" | Optimizer;
  readonly sampling: "host" | GraphSampling;
  /** One for every stored tensor of the task's graph, in its order. */
  readonly tensors: ReadonlyMap<string, PlannedTensor>;
  readonly masks: readonly PlannedMask[];
  /** Of the weights that the host quantizes, in the order of the quantization plan. */
  readonly quantizers: readonly PlannedQuantizer[];
  /** What the graph quantizes once quantization has begun. */
  readonly activations: readonly PlannedActivation[];
  readonly dropouts: readonly PlannedDropout[];
  readonly block: number | undefined;
}

/** Before quantization begins, and from then on. Where no activations are quantized the graph is the same. */
export type Phase = "float" | "quantized";

/**
 * Decides who does what in a step.
 *
 * @param model a classifier with one image input [batch, C, H, W] and one output of logits [batch, classes].
 * @throws InputError if the model has another interface, an operator that can't be trained through, or a batch of its own;
 * if weights are to be quantized that the graph updates.
 *
 * @example
 * const plan = planStep(zoo.lenet5(), { batch: 64, layers, weights: "host", sampling: "host" });
 * plan.tensors.get("fc1.weight"); // { kind: "parameter", path: { updatedBy: "sampler", ... }, ... }
 */
export function planStep(model: Model, options: StepOptions): StepPlan {
  const { batch, layers, weights, sampling, batchNorm = "train", distill, mixup = false, block } = options;
  checkOpset(model);
  const view = classifierOf(model);
  checkBatch(view.model.graph, batch);
  const parameters = trainable(view.model.graph);
  checkObstacles(view.model.graph, parameters);
  const graph = atBatch(view.model.graph, view.input, [batch, ...view.dims], parameters);
  const { quantization = { weights: [], activations: [] } } = options;
  if (quantization.weights.length > 0 && weights !== "host") {
    throw new InputError(
      "a step whose graph updates the weights can't have them quantized; update them on the host",
    );
  }
  const masks = layers.map((layer) => plannedMask(layer, weights, sampling));
  const quantizers = plannedQuantizers(quantization.weights, masks);
  const pathOf = pathsOf(masks, quantizers, weights);
  const statistics = new Set(batchNorm === "train" ? runningStatistics(model.graph) : []);
  const trained = new Set(parameters);
  const tensors = new Map(
    [...graph.initializers].map(([name, { dims }]): [string, PlannedTensor] => {
      if (trained.has(name)) {
        // Weights decay; biases and other vectors do not.
        return [name, { kind: "parameter", dims, decays: dims.length > 1, path: pathOf(name) }];
      }
      return [name, statistics.has(name) ? { kind: "statistic", dims } : { kind: "constant" }];
    }),
  );
  const task = classification(view, graph, { distill, mixup });
  const { activations } = quantization;
  const dropouts = (options.dropouts ?? []).map((one) => plannedDropout(one, graph));
  return { task, batchNorm, weights, sampling, tensors, masks, quantizers, activations, dropouts, block };
}

/** The parameters of a plan, with who does what with them. */
export function parametersOf({
  tensors,
}: StepPlan): { readonly name: string; readonly tensor: Extract<PlannedTensor, { kind: "parameter" }> }[] {
  return [...tensors].flatMap(([name, tensor]) => (tensor.kind === "parameter" ? [{ name, tensor }] : []));
}

/** Names of the running statistics that a step moves. */
export function statisticsOf({ tensors }: StepPlan): string[] {
  return [...tensors].flatMap(([name, { kind }]) => (kind === "statistic" ? [name] : []));
}

function plannedDropout(dropout: Dropout, graph: Graph): PlannedDropout {
  const shape = graph.valueTypes.get(dropout.tensor)?.shape;
  if (shape?.every((dim) => typeof dim === "number") !== true) {
    throw new TypeError(`the shape of "${dropout.tensor}" is not known`);
  }
  return { ...dropout, kept: keptName(dropout.name), dims: shape };
}

function plannedMask(
  layer: PrunedLayer,
  weights: StepOptions["weights"],
  sampling: StepOptions["sampling"],
): PlannedMask {
  const { weight } = layer;
  if (weights === "host" && sampling === "host" && unitsAreWeights(layer)) {
    return { layer, drawnBy: "host", value: maskedName(weight), holds: "masked weight" };
  }
  return {
    layer,
    drawnBy: sampling === "host" ? "host" : "graph",
    value: unitsName(weight),
    holds: "units",
  };
}

function plannedQuantizers(
  weights: QuantizationPlan["weights"],
  masks: readonly PlannedMask[],
): PlannedQuantizer[] {
  const maskOf = new Map(
    masks.flatMap((mask) => membersOf(mask.layer).map(({ weight }) => [weight, mask] as const)),
  );
  return weights.map(({ layer, rule }): PlannedQuantizer => {
    const scales = rule.method === "lsq" ? "learned" : "fitted";
    const mask = maskOf.get(layer.weight);
    if (mask?.holds === "masked weight") return { layer, rule, scales, keeps: { by: "quantizer", mask } };
    if (mask === undefined || scales === "learned") return { layer, rule, scales, keeps: { by: "none" } };
    return { layer, rule, scales, keeps: { by: "graph", mask } };
  });
}

/** The path of each parameter, by its name. */
function pathsOf(
  masks: readonly PlannedMask[],
  quantizers: readonly PlannedQuantizer[],
  weights: StepOptions["weights"],
): (name: string) => Path {
  const quantizerOf = new Map(quantizers.map((one) => [one.layer.weight, one]));
  const whole = new Map(
    masks.flatMap((mask) => (mask.holds === "masked weight" ? [[mask.layer.weight, mask] as const] : [])),
  );
  const byGraph = new Set(
    masks.flatMap(({ layer, holds }) => {
      if (holds === "masked weight") return [];
      if (layer.granularity !== "maps") return [layer.weight];
      return carriersOf(layer).flatMap(({ parameter, trained }) => (trained ? [parameter] : []));
    }),
  );
  return (name) => {
    const maskedBy = byGraph.has(name) ? "graph" : "none";
    if (weights !== "host") return { updatedBy: "graph", maskedBy };
    const quantizer = quantizerOf.get(name);
    const mask = whole.get(name);
    if (mask === undefined) {
      return { updatedBy: "optimizer", maskedBy, ...(quantizer === undefined ? {} : { quantizer }) };
    }
    return quantizer === undefined
      ? { updatedBy: "sampler", maskedBy: "sampler", mask }
      : { updatedBy: "optimizer", maskedBy: "quantizer", quantizer };
  };
}

/** Operators change their meaning from version to version, and the rules of gradients are written for one. */
function checkOpset({ graph, opsets }: Model): void {
  const version = opsets.get("");
  if (version === OPSET) return;
  throw new InputError(
    `model "${graph.name}": a training step is compiled from version ${OPSET} of the standard operators (ai.onnx), ` +
      `but the model has ${version ?? "none"}; bring it there with importModel`,
  );
}

/** A graph that takes batches of one size alone can be trained with that one. */
function checkBatch({ name, inputs: [{ type }] }: Graph, batch: number): void {
  const fixed = type?.shape?.[0];
  if (typeof fixed !== "number" || fixed === batch) return;
  throw new InputError(
    `model "${name}" takes batches of ${fixed} alone, not of ${batch}; export it with a dynamic batch, or train with a batch of ${fixed}`,
  );
}
