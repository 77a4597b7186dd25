/**
 * Builds the graph of a training step: forward with masked weights, loss, gradients, and what of the updates the plan leaves to
 * the graph.
 *
 * Inputs: the task's feeds, parameters, running statistics, states of optimizers, a mask (or the masked weight) per pruned
 * layer, and scalars of schedules. Outputs: the new parameters, statistics and states (each named "INPUT/new"), the gradients of
 * masks and parameters that the host updates, "loss", and what the task counts.
 */

import { differentiate } from "../autodiff/differentiate.js";
import { InputError } from "../errors.js";
import { modelOf } from "../lower/model.js";
import { poolByPhases } from "../lower/pool-phases.js";
import { Builder } from "../onnx/builder.js";
import { emptyGraph, type Graph, type Model } from "../onnx/model.js";
import type { Optimizer } from "../optim/optimizer.js";
import { ActivationQuantizers } from "../quantize/activations.js";
import type { Feed } from "../task/task.js";
import { appendNode, moved } from "./batch-norm.js";
import { appendEntropy, appendMasked, appendMaskValues } from "./masks.js";
import { logitsName, noiseName, stateName } from "./names.js";
import { parametersOf, type Phase, planStep, type StepOptions, type StepPlan, statisticsOf } from "./plan.js";

/** A tensor that a step reads under `name` and writes under `updated`. */
export interface StepTensor {
  readonly name: string;
  readonly updated: string;
  readonly dims: readonly number[];
}

/** A parameter that the host updates: an input of the step, and the output with the loss's gradient in it. */
export interface StepParameter {
  readonly name: string;
  readonly gradient: string;
  readonly dims: readonly number[];
  /** Whether weight decay applies to it. */
  readonly decays: boolean;
}

/** A mask that the host draws: an input of the step, and the output with the loss's gradient in it. */
export interface StepMask {
  readonly name: string;
  readonly gradient: string;
  /** [R, n]: one number for each unit; of a masked weight, its own. */
  readonly dims: readonly number[];
  /**
   * The weight that the input holds already masked, where each unit is one weight and the host updates weights. It is not
   * among the step's parameters then, as the gradient of the masked weight says that of mask and weight.
   */
  readonly weight?: string;
}

/** A step's graph as a model, and what its inputs and outputs are. */
export interface StepGraph {
  readonly model: Model;
  readonly feeds: readonly Feed[];
  /** Parameters, optimizer states, running statistics; logits too, where the graph samples. */
  readonly tensors: readonly StepTensor[];
  /** The model's parameters, where the host updates them; they are not among `tensors` then. */
  readonly parameters: readonly StepParameter[];
  /** The scales of quantized activations, in the order of the plan; the host updates them. */
  readonly scales: readonly StepParameter[];
  /** For each pruned layer, where the host samples. */
  readonly masks: readonly StepMask[];
  /** For each pruned layer the input of Gumbel noise, already scaled, where the graph samples: [R, n]. */
  readonly noises: readonly string[];
  /** Scalars of the schedules: those of the optimizers as "weights/NAME" and "logits/NAME", "tau", and the task's. */
  readonly scalars: readonly string[];
}

/** A compiled step of a classifier. */
export interface CompiledStep extends StepGraph {
  readonly images: Feed;
  readonly labels: Feed;
  /** With mix-up: the labels of the images that were mixed in. */
  readonly partners?: Feed;
}

/**
 * Compiles one training step to one ONNX model, in standard operators.
 *
 * @param model a classifier with one image input [batch, C, H, W] and one output of logits [batch, classes].
 * @throws InputError as {@link planStep} does; if the output does not depend on a parameter.
 *
 * @example
 * const adam = optimizerOf({ kind: "adam", lr: 0.001 });
 * const step = compileStep(zoo.lenet5(), { batch: 64, layers: [], weights: adam, sampling: "host" });
 * await saveModel(step.model, "step.onnx");
 */
export function compileStep(model: Model, options: StepOptions): CompiledStep {
  const graph = stepGraph(planStep(model, options), "quantized");
  const [images, labels, partners] = graph.feeds;
  return { ...graph, images, labels, ...(graph.feeds.length > 2 ? { partners } : {}) };
}

/** The graph of a planned step, lowered. */
export function stepGraph(plan: StepPlan, phase: Phase): StepGraph {
  const { graph, ...ports } = rawStepGraph(plan, phase);
  return { model: modelOf(graph, { block: plan.block }), ...ports };
}

/**
 * The graph of a planned step as it is differentiated, in kofn's dialect: what is to be computed, before lowering decides how.
 *
 * @throws InputError if the loss does not depend on a parameter.
 */
export function rawStepGraph(
  plan: StepPlan,
  phase: Phase,
): Omit<StepGraph, "model"> & { readonly graph: Graph } {
  const { task, masks, sampling } = plan;
  const b = new Builder(emptyGraph(`${task.graph.name}/step`));
  const forward = appendForward(b, plan, phase);
  const { loss, activations } = forward;
  const parameters = parametersOf(plan).filter(({ tensor }) => isInput(tensor.path.maskedBy));
  const names = parameters.map(({ name }) => name);
  const logits = sampling === "host" ? [] : masks.map(({ layer }) => logitsName(layer.weight));
  const values = sampling === "host" ? masks.map(({ value }) => value) : [];
  const scales = [...activations.scales.values()];
  const gradients = differentiate(b, loss, [...names, ...logits, ...scales, ...values]);
  const gradientOf = (name: string): string => {
    const gradient = gradients.get(name);
    if (gradient !== undefined) return gradient;
    throw new InputError(`the model's output does not depend on its parameter "${name}"`);
  };

  const updates = new Updates(b, gradientOf);
  if (plan.weights !== "host") updates.append(parameters, "weights", plan.weights);
  if (sampling !== "host" && masks.length > 0) {
    updates.append(
      logits.map((name) => ({ name, tensor: { decays: b.shape(name).length > 1 } })),
      "logits",
      sampling.optimizer,
    );
  }
  for (const [name, value] of forward.statistics) {
    updates.tensors.push({ name, updated: b.output(value), dims: b.shape(name) });
  }
  b.output(b.op("Identity", [forward.shown], {}, "loss"));
  task.count(b, forward.value);
  const ofHost = (name: string, decays: boolean): StepParameter => ({
    name,
    gradient: b.output(gradientOf(name)),
    dims: b.shape(name),
    decays,
  });
  return {
    parameters:
      plan.weights === "host" ? parameters.map(({ name, tensor }) => ofHost(name, tensor.decays)) : [],
    scales: scales.map((name) => ofHost(name, false)),
    masks:
      sampling !== "host"
        ? []
        : masks.map(({ layer, value, holds }) => {
            const { name, gradient, dims } = ofHost(value, false);
            return { name, gradient, dims, ...(holds === "masked weight" ? { weight: layer.weight } : {}) };
          }),
    graph: b.graph,
    feeds: task.feeds,
    tensors: updates.tensors,
    noises: sampling === "host" ? [] : masks.map(({ layer }) => noiseName(layer.weight)),
    scalars: [...forward.scalars, ...updates.scalars],
  };
}

/** Whether a parameter is an input of the graph as it is, and not masked before. */
const isInput = (maskedBy: "graph" | "none" | "quantizer" | "sampler"): boolean =>
  maskedBy === "graph" || maskedBy === "none";

/** What the forward pass and the loss are called. */
interface Forward {
  /** Which is to be differentiated, and which is shown. */
  readonly loss: string;
  readonly shown: string;
  readonly scalars: readonly string[];
  readonly activations: ActivationQuantizers;
  /** The new value of each running statistic. */
  readonly statistics: ReadonlyMap<string, string>;
  readonly value: (name: string) => string;
}

function appendForward(b: Builder, plan: StepPlan, phase: Phase): Forward {
  const { task, masks, sampling } = plan;
  const planned = phase === "quantized" ? plan.activations : [];
  // Quantizers of activations look for the nodes of the model.
  const block = planned.length === 0 && !dropsPooled(plan) ? plan.block : undefined;
  const model = block === undefined ? task.graph : poolByPhases(task.graph, block);
  for (const { name, dtype, dims } of task.feeds) b.input(name, dtype, dims);
  for (const { kept, dims } of plan.dropouts) b.input(kept, "float32", dims);
  declareTensors(b, plan, model);
  // What the forward pass sees in place of the model's values: its own inputs first, and then what is masked.
  const seen = new Map(task.inputs);
  appendMaskValues(b, masks, sampling);
  appendMasked(b, masks, seen);
  const activations = new ActivationQuantizers(b, planned);
  const statistics = appendModel(b, plan, model, activations, seen);
  const value = (name: string): string => seen.get(name) ?? name;
  const { trained, shown, scalars } = task.loss(b, value);
  const regularised = sampling !== "host" && sampling.entropy > 0 && masks.length > 0;
  return {
    loss: regularised ? appendEntropy(b, trained, masks, sampling.entropy) : trained,
    shown,
    scalars: [...(sampling !== "host" && masks.length > 0 ? ["tau"] : []), ...scalars],
    activations,
    statistics,
    value,
  };
}

/** Whether a convolution or a pool reads its input through Dropout: its node is to stay as it is then. */
function dropsPooled({ dropouts, task }: StepPlan): boolean {
  const readers = new Set(dropouts.flatMap((one) => one.readers.map(({ node }) => node)));
  return task.graph.nodes.some(
    ({ op, outputs }) => (op === "Conv" || op === "MaxPool") && readers.has(outputs[0]),
  );
}

/** Parameters and statistics as inputs, constants as they are; what reaches the graph masked has an input of its own. */
function declareTensors(b: Builder, { tensors }: StepPlan, model: Graph): void {
  for (const [name, value] of model.initializers) {
    const planned = tensors.get(name);
    if (planned === undefined || planned.kind === "constant") b.initializer(name, value);
    else if (planned.kind === "statistic" || isInput(planned.path.maskedBy)) {
      b.input(name, "float32", value.dims);
    }
  }
}

/**
 * Appends the model's nodes, with batch normalisation as in training.
 *
 * @param seen gets the names that values have in the step.
 * @returns the value of each running statistic behind all nodes.
 */
function appendModel(
  b: Builder,
  plan: StepPlan,
  model: Graph,
  activations: ActivationQuantizers,
  seen: Map<string, string>,
): Map<string, string> {
  const isTraining = plan.batchNorm === "train";
  const statistics = statisticsOf(plan);
  const running = new Map(statistics.map((name) => [name, name]));
  // Values of the model that are called like one of the step's own get another name.
  const own = ["loss", ...plan.task.counts];
  const dropped = droppedValues(b, plan);
  b.reserve(own);
  for (const node of model.nodes) {
    const inputs = node.inputs.map((name, i) => {
      const value = seen.get(name) ?? name;
      return dropped(node.outputs[0], i, i === 0 ? activations.read(node, value) : value);
    });
    const outputs = node.outputs.map((name) => (name === "" ? name : b.unique(name)));
    node.outputs.forEach((name, i) => seen.set(name, outputs[i]));
    const batch = appendNode(b, { ...node, inputs, outputs }, isTraining ? statistics : undefined);
    if (batch === undefined) continue;
    for (const of of ["mean", "variance"] as const) {
      const name = batch.running[of];
      running.set(name, moved(b, node, name, running.get(name) ?? name, batch[of]));
    }
  }
  for (const name of own) b.release(name);
  return running;
}

/** Gives what an input of a node reads in place of a value: that, where there is Dropout times its mask. */
function droppedValues(
  b: Builder,
  { dropouts }: StepPlan,
): (node: string, input: number, value: string) => string {
  const made = new Map<string, string>();
  return (node, input, value) => {
    let read = value;
    for (const { kept, name, readers } of dropouts) {
      if (!readers.some((reader) => reader.node === node && reader.input === input)) continue;
      const key = JSON.stringify([read, kept]);
      const product = made.get(key) ?? b.mul(read, kept, `${name}/dropped`);
      made.set(key, product);
      read = product;
    }
    return read;
  };
}

/** The updates that the graph makes. */
class Updates {
  readonly tensors: StepTensor[] = [];
  readonly scalars: string[] = [];
  readonly #b: Builder;
  readonly #gradientOf: (name: string) => string;

  constructor(b: Builder, gradientOf: (name: string) => string) {
    this.#b = b;
    this.#gradientOf = gradientOf;
  }

  append(
    parameters: readonly { readonly name: string; readonly tensor: { readonly decays: boolean } }[],
    prefix: "weights" | "logits",
    optimizer: Optimizer,
  ): void {
    const b = this.#b;
    const scalars = new Map(
      optimizer.scalarNames.map((name) => [name, b.input(`${prefix}/${name}`, "float32", [])]),
    );
    this.scalars.push(...scalars.values());
    for (const { name: parameter, tensor } of parameters) {
      const dims = b.shape(parameter);
      const state = optimizer.state.map((name) => b.input(stateName(parameter, name), "float32", dims));
      const gradient = this.#gradientOf(parameter);
      const { decays } = tensor;
      const updated = optimizer.update(b, { parameter, gradient, state, scalars, decays });
      [parameter, ...state].forEach((name, i) => {
        const value = i === 0 ? updated.parameter : updated.state[i - 1];
        this.tensors.push({ name, updated: b.output(value), dims });
      });
    }
  }
}
