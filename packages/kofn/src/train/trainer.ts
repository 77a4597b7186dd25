/** Runs training steps: draws masks, feeds them with batches and schedules to the compiled step, and updates the logits. */

import type { Provider } from "@kofn/format/run/words.js";
import { checkAugmentation, mixPairs, mixupShare } from "../data/augment.js";
import { BatchFiller, epochOrder, stepsPerEpoch } from "../data/batches.js";
import { BatchLoader } from "../data/loader.js";
import { normalizationFor } from "../data/normalization.js";
import type { Dataset } from "../data/types.js";
import { blockOf } from "../engine/block.js";
import { Engine, type Session, type Value } from "../engine/session.js";
import { InputError, KofnError } from "../errors.js";
import type { Model } from "../onnx/model.js";
import { type HostArrays, HostOptimizer } from "../host/optimizer.js";
import { type Optimizer, optimizerOf } from "../optim/optimizer.js";
import { type LayerMask, maskedModel, maskOfLogits } from "../prune/mask.js";
import { unitsOfMasks } from "../prune/given-masks.js";
import { type HostSamplers, hostSamplers, type Sample } from "../host/samplers.js";
import { membersOf, unitOfWeights } from "../prune/groups.js";
import type { Learned } from "../host/sampler-memory.js";
import type { PrunedLayer } from "../prune/types.js";
import type { QuantizationPlan } from "../quantize/plan.js";
import type { Quantization } from "../quantize/types.js";
import { activationScales } from "./first-scales.js";
import { compileStep, logitsName, SHARE, type Step } from "../step/compile.js";
import { runningStatistics } from "../step/batch-norm.js";
import { trainable } from "../step/parameters.js";
import { Quantizers, type WriteKept } from "../host/quantizers.js";
import { kAt, learningRateFactor, linear } from "./schedule.js";
import { type HeldTensor, initialValues, State } from "../step/state.js";
import type { Settings } from "../options/with-defaults.js";

const WINDOW_MS = 100;
/** So many batches say where the scales of activations begin. */
const CALIBRATION_BATCHES = 4;

/** What one epoch of training steps gave. */
export interface EpochTotals {
  readonly loss: number;
  readonly accuracy: number;
  readonly learningRate: number;
  readonly tau: number;
  /** Scale of the noise in the last step; 0 where masks are frozen. */
  readonly beta: number;
  readonly seconds: number;
  readonly k: readonly number[];
}

/** Called after steps, a few times a second. */
export type OnSteps = (progress: {
  readonly stepInEpoch: number;
  readonly loss: number;
  readonly learningRate: number;
  readonly tau: number;
}) => void;

/** What a step reads and writes, by the names of its inputs and outputs. */
interface Binding {
  readonly feeds: Record<string, Value>;
  readonly results: Record<string, Value>;
}

type Phase = "float" | "quantized";

/** A step that onnxruntime has opened; it has a binding for each of the state's buffers being current. */
interface Opened {
  readonly phase: Phase;
  readonly session: Session;
  readonly bindings: readonly Binding[];
}

export interface TrainerOptions {
  /** Default "cpu". */
  readonly provider?: Provider;
  /** onnxruntime writes a profile of the steps to a file with this prefix when the trainer is closed. */
  readonly profile?: string | undefined;
  /** Default: nothing is quantized. */
  readonly quantization?: QuantizationPlan;
}

export class Trainer {
  readonly settings: Settings;
  readonly layers: readonly PrunedLayer[];
  readonly stepsPerEpoch: number;
  readonly state: State;
  readonly engine: Engine;

  readonly #model: Model;
  readonly #batches: BatchLoader;
  readonly #count: number;
  readonly #weights: Optimizer;
  readonly #logits: Optimizer;
  /** Before quantization begins, and from then on. The same where that changes nothing in the graph. */
  readonly #steps: Readonly<Record<Phase, Step>>;
  readonly #parameters: HostOptimizer;
  /** One for each layer. */
  readonly #samplers: HostSamplers;
  /**
   * For each weight that the step masks and whose scales are fitted to what is kept, by name: the unit that each of its weights
   * belongs to, and the mask [R, n] of the last step.
   */
  readonly #unitOfWeights: ReadonlyMap<string, { readonly units: Int32Array; readonly mask: Float32Array }>;
  readonly #pixels: Float32Array;
  readonly #labels: BigInt64Array;
  readonly #partners: BigInt64Array;
  readonly #scalars: ReadonlyMap<string, Float32Array>;
  readonly #loss = new Float32Array(1);
  readonly #correct = new Float32Array(1);
  readonly #quantizers: Quantizers | undefined;
  #opened: Opened | undefined;
  /** Of each layer, in the last step. */
  #k: readonly number[];
  /** Whether the last step was quantized, and its masks frozen. */
  #isQuantized = false;
  #isFrozen = false;

  private constructor(
    engine: Engine,
    model: Model,
    data: Dataset,
    count: number,
    layers: readonly PrunedLayer[],
    settings: Settings,
    block: number | undefined,
    quantization: QuantizationPlan | undefined,
  ) {
    this.engine = engine;
    this.settings = settings;
    this.layers = layers;
    this.#model = model;
    const { augment, batch, normalize = "none", sampler, seed } = settings;
    checkAugmentation(augment, data);
    const normalization = normalizationFor(normalize, data.channels);
    const filler = new BatchFiller(data, normalization, { of: augment, seed });
    this.#batches = new BatchLoader(data.train, data, filler);
    this.#count = count;
    this.stepsPerEpoch = stepsPerEpoch(count, settings.batch);
    this.#weights = optimizerOf(settings.optimizer);
    this.#logits = optimizerOf(settings.sampler.optimizer);
    this.#k = this.#kAt(0);
    const compiled = (plan: QuantizationPlan): Step =>
      compileStep(model, {
        batch,
        layers,
        weights: "host",
        sampling: "host",
        batchNorm: settings.batchNorm,
        ...(settings.distill === undefined ? {} : { distill: settings.distill }),
        mixup: augment.mixup !== undefined,
        quantization: plan,
        block,
      });
    const plan = quantization ?? { weights: [], activations: [], exempt: [] };
    const float = compiled({ ...plan, activations: [] });
    this.#steps = { float, quantized: plan.activations.length === 0 ? float : compiled(plan) };
    const quantized = new Set(plan.weights.map(({ layer }) => layer.weight));
    // What is quantized is so before it is masked, which the sampler can't do then.
    const maskedByQuantizer = new Set(
      float.masks.flatMap(({ weight }) => (weight !== undefined && quantized.has(weight) ? [weight] : [])),
    );
    const parameters = [
      ...float.parameters,
      ...layers
        .filter(({ weight }) => maskedByQuantizer.has(weight))
        .map(({ weight, dims }) => ({ name: weight, dims, decays: true })),
    ];
    this.#parameters = new HostOptimizer(
      this.#weights,
      parameters,
      Quantizers.bytes(plan, (weight) => maskedByQuantizer.has(weight)),
    );
    const options = layers.map(({ weight, groups, n }, i) => {
      const size = { rows: groups, n, most: this.#k[i] };
      const { entropy } = sampler;
      const { weight: masked } = float.masks[i];
      const own = masked === undefined || quantized.has(masked) ? {} : { weights: this.#weights };
      return { ...size, seed, name: weight, optimizer: this.#logits, entropy, ...own };
    });
    this.#samplers = hostSamplers(options, settings.threads);
    const fitted = new Set(
      plan.weights.flatMap(({ layer, rule }) => (rule.method === "dpp" ? [layer.weight] : [])),
    );
    this.#unitOfWeights = new Map(
      layers.flatMap((layer, i) =>
        membersOf(layer)
          .filter(({ weight }) => fitted.has(weight) && !maskedByQuantizer.has(weight))
          .map(
            (member) =>
              [member.weight, { units: unitOfWeights(member), mask: this.#samplers.all[i].mask }] as const,
          ),
      ),
    );
    const held = this.#samplers.all.flatMap(({ logits, states, weights }, i) => {
      const { weight, groups, n, dims } = layers[i];
      const ofLogits = heldTensors(logitsName(weight), [groups, n], { values: logits, states });
      return weights === undefined ? ofLogits : [...ofLogits, ...heldTensors(weight, dims, weights)];
    });
    const units = settings.masks === undefined ? undefined : unitsOfMasks(layers, settings.masks);
    const initial = initialValues(model, layers, this.#k, sampler.init, seed, units);
    for (const { name, dims } of parameters) {
      held.push(...heldTensors(name, dims, this.#arraysOf(name)));
    }
    if (plan.weights.length > 0 || plan.activations.length > 0) {
      const masks = layers.flatMap(({ weight }, i) => {
        const { mask: values, gradient } = this.#samplers.all[i];
        return maskedByQuantizer.has(weight) ? [[weight, { values, gradient }] as const] : [];
      });
      this.#quantizers = new Quantizers(plan, this.#parameters, new Map(masks), settings.scaleRate);
      held.push(...this.#quantizers.held);
    }
    this.state = new State(engine, float.tensors, held, initial);
    this.#pixels = new Float32Array(settings.batch * data.channels * data.height * data.width);
    this.#labels = new BigInt64Array(settings.batch);
    this.#partners = new BigInt64Array(settings.batch);
    this.#scalars = new Map(float.scalars.map((name) => [name, new Float32Array(1)]));
  }

  /**
   * @param count train on the first so many samples.
   * @throws InputError if a setting is wrong, or the model can't be trained on the data.
   */
  static async create(
    model: Model,
    data: Dataset,
    count: number,
    layers: readonly PrunedLayer[],
    settings: Settings,
    options: TrainerOptions = {},
  ): Promise<Trainer> {
    const { threads } = settings;
    const { provider = "cpu", profile, quantization } = options;
    const engine = await Engine.open({ provider, threads, ...(profile === undefined ? {} : { profile }) });
    if (stepsPerEpoch(count, settings.batch) === 0) {
      throw new InputError(
        `a batch of ${settings.batch} is more than the ${count} training samples; choose a smaller batch`,
      );
    }
    const block = await blockOf(engine);
    const trainer = new Trainer(engine, model, data, count, layers, settings, block, quantization);
    await trainer.#samplers.open();
    return trainer;
  }

  /** Steps of the whole run. */
  get steps(): number {
    return this.settings.epochs * this.stepsPerEpoch;
  }

  /** Whether the last step was one of what the run is to end with: every k at its target, quantized, and frozen, if so asked. */
  get atTarget(): boolean {
    const { settings } = this;
    return (
      this.layers.every(({ k }, i) => this.#k[i] === k) &&
      (this.#quantizers === undefined || this.#isQuantized) &&
      (settings.freezeFrom === undefined || this.#isFrozen)
    );
  }

  /** Names of the tensors that a result is made of: the model's parameters and running statistics, and learned scales. */
  parameterNames(): string[] {
    return [...this.#modelTensors(), ...(this.#quantizers?.scaleNames ?? [])];
  }

  /** Current values of the model's parameters and running statistics, quantized if they are by now; and what is quantized. */
  parameters(): { values: Map<string, Float32Array>; quantization: Quantization } {
    const values = new Map(this.#modelTensors().map((name) => [name, this.state.get(name)]));
    const quantization = this.quantization();
    for (const [name, quantized] of this.#quantizers?.valuesOf(quantization) ?? [])
      values.set(name, quantized);
    return { values, quantization };
  }

  /** Codes and scales of what is quantized by now, under the deterministic masks of the current logits. */
  quantization(): Quantization {
    if (this.#quantizers === undefined || !this.#isQuantized) return { weights: [], activations: [] };
    return this.#quantizers.quantization(this.masks());
  }

  #modelTensors(): string[] {
    const { graph } = this.#model;
    const statistics = this.settings.batchNorm === "train" ? runningStatistics(graph) : [];
    return [...trainable(graph), ...statistics];
  }

  /** The deterministic masks of the current logits. */
  masks(): LayerMask[] {
    return this.layers.map((layer, i) =>
      maskOfLogits(layer, this.state.get(logitsName(layer.weight)), this.#k[i]),
    );
  }

  /**
   * Trains for one epoch, counted from 1.
   *
   * @throws KofnError if the loss is no longer a number; the signal's reason if it is aborted.
   */
  async epoch(epoch: number, onSteps?: OnSteps, signal?: AbortSignal): Promise<EpochTotals> {
    const { batch, seed, sampler, optimizer, schedule, warmup, augment, quantizeFrom } = this.settings;
    const order = epochOrder(this.#count, seed, epoch).subarray(0, this.stepsPerEpoch * batch);
    const begin = performance.now();
    let reported = begin;
    let loss = 0;
    let correct = 0;
    let [factor, tau, beta] = [0, 0, 0];
    for (let i = 0; i < this.stepsPerEpoch; i++) {
      signal?.throwIfAborted();
      const step = (epoch - 1) * this.stepsPerEpoch + i;
      const progress = this.#progressAt(step);
      factor = learningRateFactor(schedule, warmup, progress);
      tau = linear(sampler.tau, progress);
      const sample = this.#sampleAt(step);
      beta = sample.beta;
      this.#k = sample.k;
      this.#isFrozen = this.#isFrozenAt(step);
      // The step before has drawn the masks of this one.
      if (i === 0) this.#samplers.sample(sample);
      if (this.#quantizers !== undefined) await this.#quantize(this.#quantizers, step, epoch, order);
      await this.#batches.load(order, i * batch, epoch, this.#pixels, this.#labels);
      if (augment.mixup !== undefined) {
        const share = mixupShare(augment.mixup, seed, step);
        this.#setScalar(SHARE, share);
        mixPairs(this.#pixels, this.#labels, this.#partners, share);
      }
      await this.#run();
      if (!Number.isFinite(this.#loss[0])) {
        throw new KofnError(
          `training diverged: the loss is ${this.#loss[0]} at step ${step + 1} of ${this.steps} (epoch ${epoch}); ` +
            `lower the learning rate, or raise tau's end`,
        );
      }
      const ofLogits = this.#logits.scalars(step + 1, this.#isFrozen ? 0 : sampler.optimizer.lr * factor);
      const ofWeights = this.#weights.scalars(step + 1, optimizer.lr * factor);
      if (this.#isQuantized) {
        const t = step - this.#stepAt(quantizeFrom) + 1;
        this.#quantizers?.backward(t, factor);
      } else this.#quantizers?.maskBackward();
      const next = i + 1 < this.stepsPerEpoch ? this.#sampleAt(step + 1) : undefined;
      this.#samplers.update(tau, ofLogits, ofWeights, next);
      this.#parameters.update(ofWeights);
      loss += this.#loss[0];
      correct += this.#correct[0];
      const now = performance.now();
      if (onSteps !== undefined && now - reported > WINDOW_MS) {
        reported = now;
        onSteps({ stepInEpoch: i + 1, loss: loss / (i + 1), learningRate: optimizer.lr * factor, tau });
      }
    }
    return {
      loss: loss / this.stepsPerEpoch,
      accuracy: correct / (this.stepsPerEpoch * batch),
      learningRate: optimizer.lr * factor,
      tau,
      beta,
      seconds: (performance.now() - begin) / 1000,
      k: this.#k,
    };
  }

  async close(): Promise<void> {
    await this.#samplers.close();
    await this.#batches.close();
    await this.#opened?.session.close();
    this.#opened = undefined;
  }

  async #run(): Promise<void> {
    const phase = this.#isQuantized ? "quantized" : "float";
    if (this.#opened?.phase !== phase) {
      await this.#opened?.session.close();
      this.#opened = await this.#open(phase);
    }
    const { feeds, results } = this.#opened.bindings[this.state.current];
    await this.#opened.session.run(feeds, results);
    this.state.swap();
  }

  /** Before a step of an epoch: quantizes weights, if it is time, and masks those of which each is a unit. */
  async #quantize(quantizers: Quantizers, step: number, epoch: number, order: Uint32Array): Promise<void> {
    const first = this.#stepAt(this.settings.quantizeFrom);
    this.#isQuantized = step >= first;
    if (!this.#isQuantized) {
      quantizers.mask();
      return;
    }
    if (step === first) {
      quantizers.begin(this.masks());
      await this.#beginActivations(quantizers, epoch, order);
    }
    quantizers.forward(this.#writeKept);
  }

  async #beginActivations(quantizers: Quantizers, epoch: number, order: Uint32Array): Promise<void> {
    const activations = [...quantizers.activations.values()].map(({ activation }) => activation);
    if (activations.length === 0) return;
    const { batch, batchNorm } = this.settings;
    const batches: Float32Array<ArrayBuffer>[] = [];
    for (let i = 0; i < Math.min(CALIBRATION_BATCHES, this.stepsPerEpoch); i++) {
      const pixels = new Float32Array(this.#pixels.length);
      await this.#batches.load(order, i * batch, epoch, pixels, this.#labels);
      batches.push(pixels);
    }
    const model = maskedModel(this.#model, this.parameters().values, this.masks());
    const { engine } = this;
    quantizers.beginActivations(
      await activationScales(engine, model, activations, batches, batch, batchNorm),
    );
  }

  /** Which weights the masks of this step keep. Those of other layers than pruned ones stay kept. */
  readonly #writeKept: WriteKept = (weight, kept) => {
    const found = this.#unitOfWeights.get(weight);
    if (found === undefined) return;
    const { units, mask } = found;
    for (let i = 0; i < kept.length; i++) kept[i] = mask[units[i]];
  };

  /** The first step after a share of training. */
  #stepAt(share: number): number {
    return Math.ceil(share * (this.steps - 1));
  }

  #arraysOf(parameter: string): HostArrays {
    const arrays = this.#parameters.arrays.get(parameter);
    if (arrays === undefined) throw new TypeError(`there is no parameter "${parameter}" in the step`);
    return arrays;
  }

  #setScalar(name: string, value: number): void {
    const scalar = this.#scalars.get(name);
    if (scalar !== undefined) scalar[0] = value;
  }

  #progressAt(step: number): number {
    return this.steps > 1 ? step / (this.steps - 1) : 1;
  }

  #isFrozenAt(step: number): boolean {
    const { freezeFrom } = this.settings;
    return freezeFrom !== undefined && step >= this.#stepAt(freezeFrom);
  }

  /** How a step's masks are drawn. */
  #sampleAt(step: number): Sample {
    const progress = this.#progressAt(step);
    const beta = this.#isFrozenAt(step) ? 0 : linear(this.settings.sampler.beta, progress);
    return { step, beta, k: this.#kAt(progress) };
  }

  /** k of each layer at a progress. */
  #kAt(progress: number): number[] {
    return this.layers.map(({ n, k }) => kAt(n, k, this.settings.sampler.shrink, progress));
  }

  async #open(phase: Phase): Promise<Opened> {
    const { engine } = this;
    const step = this.#steps[phase];
    const session = await engine.session(step.model);
    const shared: Record<string, Value> = {
      [step.images.name]: engine.value("float32", step.images.dims, this.#pixels),
      [step.labels.name]: engine.value("int64", step.labels.dims, this.#labels),
    };
    if (step.partners !== undefined) {
      shared[step.partners.name] = engine.value("int64", step.partners.dims, this.#partners);
    }
    const results: Record<string, Value> = {
      loss: engine.value("float32", [], this.#loss),
      correct: engine.value("float32", [], this.#correct),
    };
    for (const { name, gradient, dims } of step.parameters) {
      const arrays = this.#arraysOf(name);
      shared[name] = engine.value("float32", dims, arrays.values);
      results[gradient] = engine.value("float32", dims, arrays.gradient);
    }
    const seen = this.#quantizers?.seen ?? new Map<string, Float32Array>();
    step.masks.forEach(({ name, gradient, dims, weight }, i) => {
      const masked = weight === undefined ? undefined : seen.get(weight);
      const own =
        weight === undefined || masked === undefined ? this.#samplers.all[i] : this.#arraysOf(weight);
      shared[name] = engine.value("float32", dims, masked ?? this.#samplers.all[i].mask);
      results[gradient] = engine.value("float32", dims, own.gradient);
    });
    for (const [name, scalar] of this.#scalars) shared[name] = engine.value("float32", [], scalar);
    if (phase === "quantized") {
      for (const { name } of step.parameters) {
        const array = seen.get(name);
        if (array === undefined) continue;
        shared[name] = engine.value("float32", this.#model.graph.initializers.get(name)?.dims ?? [], array);
      }
      for (const { name, gradient: output } of step.scales) {
        const own = this.#quantizers?.activations.get(name);
        if (own === undefined) continue;
        shared[name] = engine.value("float32", [], own.scale);
        results[output] = engine.value("float32", [], own.gradient);
      }
    }
    const bindings = this.state.bindings().map((own) => ({
      feeds: { ...own.feeds, ...shared },
      results: { ...own.results, ...results },
    }));
    return { phase, session, bindings };
  }
}

/** A tensor that the host updates, and its optimizer's states. */
function heldTensors(name: string, dims: readonly number[], { values, states }: Learned): HeldTensor[] {
  const ofStates = [...states].map(([state, array]) => ({ name: `${name}/${state}`, dims, array }));
  return [{ name, dims, array: values }, ...ofStates];
}
