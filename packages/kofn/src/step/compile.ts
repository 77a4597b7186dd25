/**
 * Compiles one training step to one ONNX model: forward with masked weights, loss, gradients, optimizer.
 *
 * Inputs: a batch, the parameters, running statistics, the optimizer's states, a mask (or the masked weight) per pruned
 * layer, and scalars of schedules. Outputs: the new parameters, statistics and states (each named "INPUT/new"), the gradients of the masks, "loss"
 * and "correct". Who draws the masks and learns from their gradients is a choice: the host (`HostSampler`), or the step's
 * own graph, which then has logits and noise for inputs instead of masks, and new logits for outputs instead of gradients.
 */

import { differentiate } from "../autodiff/differentiate.js";
import { InputError } from "../errors.js";
import { modelOf } from "../lower/model.js";
import { poolByPhases } from "../lower/pool-phases.js";
import { atBatch } from "../onnx/batch.js";
import { Builder } from "../onnx/builder.js";
import { DATA_TYPES } from "../onnx/dtype.js";
import { emptyGraph, type Graph, int, type Model, OPSET } from "../onnx/model.js";
import type { Optimizer } from "../optim/optimizer.js";
import type { BatchNormMode, DistillOptions } from "../options/types.js";
import { arrangement, carriersOf, unitsAreWeights } from "../prune/groups.js";
import type { MapCarrier, PrunedLayer } from "../prune/types.js";
import { ActivationQuantizers } from "../quantize/activations.js";
import type { QuantizationPlan } from "../quantize/plan.js";
import { classifierOf } from "../task/classifier.js";
import { appendTeacher, distilledLoss } from "../task/distill.js";
import { appendBatchNorm, isBatchNormalization, moved, runningStatistics } from "./batch-norm.js";
import { trainable } from "./parameters.js";
import { checkObstacles } from "./trainability.js";

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

/** A compiled training step: its model, and what its inputs and outputs are. */
export interface Step {
  readonly model: Model;
  readonly images: { readonly name: string; readonly dims: readonly number[] };
  readonly labels: { readonly name: string; readonly dims: readonly number[] };
  /** With mix-up: the labels of the images that were mixed in. */
  readonly partners?: { readonly name: string; readonly dims: readonly number[] };
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
  /** Scalars of the schedules: those of the optimizers as "weights/NAME" and "logits/NAME", and "tau". */
  readonly scalars: readonly string[];
}

/** Sampling within the step's graph: what any provider can, and what defines the step. */
export interface GraphSampling {
  /** k of each layer; another k is another graph. */
  readonly k: readonly number[];
  readonly optimizer: Optimizer;
  /** Weight of the entropy regulariser; 0 leaves it out. */
  readonly entropy: number;
}

/** What a training step is compiled for. */
export interface StepOptions {
  readonly batch: number;
  readonly layers: readonly PrunedLayer[];
  /** Where the model's parameters are updated: by this optimizer in the graph, or on the host (`HostOptimizer`). */
  readonly weights: "host" | Optimizer;
  /** Where masks are drawn and logits learnt: on the host, which any k may be asked of, step by step; or in the graph. */
  readonly sampling: "host" | GraphSampling;
  /** Default "train". */
  readonly batchNorm?: BatchNormMode;
  /** The model as it is given teaches the one that is trained. */
  readonly distill?: DistillOptions;
  /** The images of a batch are mixed in pairs, with shares that the scalar "mixup/share" says. Default false. */
  readonly mixup?: boolean;
  /** Activations that the step quantizes; and weights that the host does, before it masks them or the step does. Default: none. */
  readonly quantization?: QuantizationPlan;
  /** Channels in a block, if the engine that is to run the step computes convolutions in blocks: see `blockOf`. */
  readonly block?: number | undefined;
}

/** The name of the mask logits of a weight among the tensors of a run. */
export const logitsName = (weight: string): string => `${weight}/logits`;

/** With mix-up: the scalar with which images keep their own pixels and label. */
export const SHARE = "mixup/share";

/** Outputs of a step that are not tensors of its state. */
const RESULTS = ["loss", "correct"] as const;

/**
 * @param model a classifier with one image input [batch, C, H, W] and one output of logits [batch, classes].
 * @throws InputError if the model has another interface, or an operator that can't be trained through.
 *
 * @example
 * const adam = optimizerOf({ kind: "adam", lr: 0.001 });
 * const step = compileStep(zoo.lenet5(), { batch: 64, layers: [], weights: adam, sampling: "host" });
 * await saveModel(step.model, "step.onnx");
 */
export function compileStep(model: Model, options: StepOptions): Step {
  const { batch, layers, weights, sampling, batchNorm = "train" } = options;
  checkOpset(model);
  const { model: view, input, output, dims } = classifierOf(model);
  checkBatch(view.graph, batch);
  const all = trainable(view.graph);
  checkObstacles(view.graph, all);
  const graph = atBatch(view.graph, input, [batch, ...dims], all);
  const { quantization = { weights: [], activations: [] } } = options;
  if (quantization.weights.length > 0 && weights !== "host") {
    throw new InputError(
      "a step whose graph updates the weights can't have them quantized; update them on the host",
    );
  }
  // Quantizers of activations look for the nodes of the model.
  const block = quantization.activations.length === 0 ? options.block : undefined;
  const student = block === undefined ? graph : poolByPhases(graph, block);
  const direct = weights === "host" && sampling === "host" ? layers.filter(unitsAreWeights) : [];
  const maskedByHost = new Set(direct.map(({ weight }) => weight));
  const parameters = all.filter((name) => !maskedByHost.has(name));
  const b = new Builder(emptyGraph(`${graph.name}/step`));
  const images = { name: b.input("images", "float32", [batch, ...dims]), dims: [batch, ...dims] };
  const labels = { name: b.input("labels", "int64", [batch]), dims: [batch] };

  const statistics = batchNorm === "train" ? runningStatistics(model.graph) : [];
  for (const [name, value] of student.initializers) {
    if (parameters.includes(name) || statistics.includes(name)) b.input(name, "float32", value.dims);
    else if (!maskedByHost.has(name)) b.initializer(name, value);
  }

  // The weights that the forward pass sees: masked where a layer is pruned.
  const seen = new Map<string, string>([[input, images.name]]);
  const scalarNames: string[] = [];
  const units =
    sampling === "host"
      ? layers.map((layer) => inputMask(b, layer, maskedByHost.has(layer.weight)))
      : addSampling(b, layers, sampling);
  if (sampling !== "host" && layers.length > 0) scalarNames.push("tau");
  layers.forEach(({ weight }, i) => {
    if (maskedByHost.has(weight)) seen.set(weight, units[i]);
  });
  layers.forEach((layer, i) => {
    if (maskedByHost.has(layer.weight)) return;
    const mask = (parameter: string, kept: string): void => {
      seen.set(parameter, b.mul(seen.get(parameter) ?? parameter, kept, `${parameter}/masked`));
    };
    if (layer.granularity !== "maps") mask(layer.weight, maskOf(b, layer, units[i]));
    for (const carrier of carriersOf(layer)) {
      if (carrier.trained) mask(carrier.parameter, maskOfCarrier(b, carrier, units[i], layer.n));
    }
  });

  const activations = new ActivationQuantizers(b, quantization.activations);
  // The value of each running statistic after the nodes so far.
  const running = new Map(statistics.map((name) => [name, name]));
  // Values of the model that are called like one of the step's own get another name.
  b.reserve(RESULTS);
  for (const node of student.nodes) {
    const inputs = node.inputs.map((name, i) => {
      const value = seen.get(name) ?? name;
      return i === 0 ? activations.read(node, value) : value;
    });
    const outputs = node.outputs.map((name) => (name === "" ? name : b.unique(name)));
    node.outputs.forEach((name, i) => seen.set(name, outputs[i]));
    const own = { ...node, inputs, outputs };
    if (batchNorm === "frozen" || !isBatchNormalization(node)) b.push(own);
    else {
      const batchOf = appendBatchNorm(b, own, statistics);
      const [, , , mean, variance] = node.inputs;
      for (const [name, value] of [
        [mean, batchOf.mean],
        [variance, batchOf.variance],
      ]) {
        running.set(name, moved(b, node, name, running.get(name) ?? name, value));
      }
    }
  }
  for (const name of RESULTS) b.release(name);
  const modelOutput = seen.get(output) ?? output;
  const ownLoss = b.op("SoftmaxCrossEntropy", [modelOutput, labels.name], {}, "cross_entropy");
  const partners =
    options.mixup === true ? { name: b.input("partners", "int64", [batch]), dims: [batch] } : undefined;
  const crossEntropy = partners === undefined ? ownLoss : mixedLoss(b, ownLoss, modelOutput, partners.name);
  if (partners !== undefined) scalarNames.push(SHARE);
  const fitted =
    options.distill === undefined
      ? crossEntropy
      : distilledLoss(
          b,
          crossEntropy,
          modelOutput,
          appendTeacher(b, graph, input, images.name, output),
          options.distill,
        );
  const regularised = sampling !== "host" && sampling.entropy > 0 && layers.length > 0;
  const total = regularised ? addEntropy(b, fitted, layers, sampling.entropy) : fitted;

  const logits = sampling === "host" ? [] : layers.map(({ weight }) => logitsName(weight));
  const trained = [...parameters, ...logits, ...activations.scales.values()];
  const gradients = differentiate(b, total, sampling === "host" ? [...trained, ...units] : trained);
  const gradientOf = (name: string): string => {
    const gradient = gradients.get(name);
    if (gradient !== undefined) return gradient;
    throw new InputError(`the model's output does not depend on its parameter "${name}"`);
  };

  const scalarsOf = (prefix: string, optimizer: Optimizer): Map<string, string> =>
    new Map(
      optimizer.scalarNames.map((name) => {
        const input = b.input(`${prefix}/${name}`, "float32", []);
        scalarNames.push(input);
        return [name, input];
      }),
    );
  const tensors: StepTensor[] = [];
  const update = (names: readonly string[], prefix: string, optimizer: Optimizer): void => {
    const scalars = scalarsOf(prefix, optimizer);
    for (const parameter of names) {
      const dims = b.shape(parameter);
      const state = optimizer.state.map((name) => b.input(`${parameter}/${name}`, "float32", dims));
      const gradient = gradientOf(parameter);
      const decays = decaysOf(dims);
      const updated = optimizer.update(b, { parameter, gradient, state, scalars, decays });
      [parameter, ...state].forEach((name, i) => {
        const value = i === 0 ? updated.parameter : updated.state[i - 1];
        tensors.push({ name, updated: b.output(value), dims });
      });
    }
  };
  if (weights !== "host") update(parameters, "weights", weights);
  if (sampling !== "host" && layers.length > 0) update(logits, "logits", sampling.optimizer);
  for (const [name, value] of running) {
    tensors.push({ name, updated: b.output(value), dims: b.shape(name) });
  }
  b.output(b.op("Identity", [crossEntropy], {}, "loss"));
  b.output(correctCount(b, modelOutput, labels.name));

  const updatedByHost = (weights === "host" ? parameters : []).map((name): StepParameter => {
    const shape = b.shape(name);
    return { name, gradient: b.output(gradientOf(name)), dims: shape, decays: decaysOf(shape) };
  });
  const scales = [...activations.scales.values()].map((name) => ({
    name,
    gradient: b.output(gradientOf(name)),
    dims: [],
    decays: false,
  }));
  const masks: StepMask[] = [];
  if (sampling === "host") {
    layers.forEach(({ weight }, i) => {
      const own = maskedByHost.has(weight) ? { weight } : {};
      masks.push({
        name: units[i],
        gradient: b.output(gradientOf(units[i])),
        dims: b.shape(units[i]),
        ...own,
      });
    });
  }
  const noises = sampling === "host" ? [] : layers.map(noiseName);
  return {
    model: modelOf(b.graph, { block: options.block }),
    images,
    labels,
    ...(partners === undefined ? {} : { partners }),
    tensors,
    parameters: updatedByHost,
    scales,
    masks,
    noises,
    scalars: scalarNames,
  };
}

/** Weights decay; biases and other vectors do not. */
const decaysOf = (dims: readonly number[]): boolean => dims.length > 1;

const unitsName = ({ weight }: PrunedLayer): string => `${weight}/units`;
const noiseName = ({ weight }: PrunedLayer): string => `${weight}/noise`;

/** The input of a mask, or of the weight that is masked already. */
function inputMask(b: Builder, layer: PrunedLayer, masked: boolean): string {
  if (masked) return b.input(`${layer.weight}/masked`, "float32", layer.dims);
  return b.input(unitsName(layer), "float32", [layer.groups, layer.n]);
}

/** Inputs of logits and noise, and the masks [R, n] that the graph draws from them. */
function addSampling(b: Builder, layers: readonly PrunedLayer[], { k }: GraphSampling): string[] {
  if (layers.length === 0) return [];
  const tau = b.input("tau", "float32", []);
  return layers.map((layer, i) => {
    const shape = [layer.groups, layer.n];
    const phi = b.input(logitsName(layer.weight), "float32", shape);
    const noise = b.input(noiseName(layer), "float32", shape);
    return b.op("KofN", [phi, noise, tau], { k: int(k[i]) }, unitsName(layer));
  });
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

/** Brings the mask of units [R, n] to a shape that broadcasts against the layer's weight. */
export function maskOf(b: Builder, layer: PrunedLayer, units: string): string {
  const { unitDims, expandDims, maskDims, perm } = arrangement(layer);
  let mask = b.reshape(units, unitDims, `${layer.weight}/mask`);
  if (expandDims !== undefined) mask = b.reshape(b.expand(mask, expandDims), maskDims);
  return perm === undefined ? mask : b.transpose(mask, perm);
}

/** Brings the mask of maps [1, n] to a shape that broadcasts against a parameter that carries them. */
function maskOfCarrier(
  b: Builder,
  { parameter, axis, units }: MapCarrier,
  sampled: string,
  n: number,
): string {
  const dims = b.shape(parameter).map((_, i) => (i === axis ? units.length : 1));
  if (units.length === n && units.every((unit, i) => unit === i)) {
    return b.reshape(sampled, dims, `${parameter}/mask`);
  }
  // Channels of other groups are kept, as far as this mask goes.
  const kept = b.constant("float32", [1, 1], [1]);
  const withKept = units.includes(-1) ? b.op("Concat", [sampled, kept], { axis: int(1) }) : sampled;
  const indices = b.vector(Array.from(units, (unit) => (unit < 0 ? n : unit)));
  const picked = b.op("Gather", [withKept, indices], { axis: int(1) });
  return b.reshape(picked, dims, `${parameter}/mask`);
}

/** loss + weight * sum over groups of H(softmax(phi)), H(p) = -sum p log p. */
function addEntropy(b: Builder, loss: string, layers: readonly PrunedLayer[], weight: number): string {
  const terms = layers.map((layer) => {
    const phi = logitsName(layer.weight);
    const axis = { axis: int(1) };
    const plogp = b.mul(b.op("Softmax", [phi], axis), b.op("LogSoftmax", [phi], axis));
    return b.mul(b.sum(plogp, [0, 1], false), b.scalar(-weight, phi));
  });
  return b.op("Sum", [loss, ...terms], {}, "regularised_loss");
}

// share CE(logits, labels) + (1 - share) CE(logits, partners)
function mixedLoss(b: Builder, loss: string, logits: string, partners: string): string {
  const share = b.input(SHARE, "float32", []);
  const other = b.op("SoftmaxCrossEntropy", [logits, partners], {}, `${partners}/cross_entropy`);
  return b.op("Add", [b.mul(share, b.sub(loss, other)), other], {}, "mixed_loss");
}

function correctCount(b: Builder, logits: string, labels: string): string {
  const best = b.op("ArgMax", [logits], { axis: int(1), keepdims: int(0) });
  const right = b.op("Cast", [b.op("Equal", [best, labels])], { to: int(DATA_TYPES.float32.code) });
  return b.sum(right, [0], false, "correct");
}
