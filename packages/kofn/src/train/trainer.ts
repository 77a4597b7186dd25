/** Runs training steps: draw masks, feed a batch, run the graph, learn of its gradients. */

import type { Provider } from "@kofn/format/run/words.js";
import { checkAugmentation, mixPairs } from "../data/augment.js";
import { BatchFiller, epochOrder, stepsPerEpoch } from "../data/batches.js";
import { BatchLoader } from "../data/loader.js";
import { normalizationFor } from "../data/normalization.js";
import type { Dataset } from "../data/types.js";
import { blockOf } from "../engine/block.js";
import { Engine } from "../engine/session.js";
import { InputError, KofnError } from "../errors.js";
import { HostStep } from "../host/step.js";
import type { Model } from "../onnx/model.js";
import { optimizerOf } from "../optim/optimizer.js";
import type { Settings } from "../options/with-defaults.js";
import { unitsOfMasks } from "../prune/given-masks.js";
import { chooserOf } from "../prune/methods/methods.js";
import { type LayerMask, maskedModel, maskOfLogits } from "../prune/mask.js";
import type { PrunedLayer } from "../prune/types.js";
import type { QuantizationPlan } from "../quantize/plan.js";
import type { Quantization } from "../quantize/types.js";
import { channelView, dequantized } from "../quantize/weights.js";
import { GraphStep } from "../step/graph-step.js";
import { logitsName } from "../step/names.js";
import { type StepModels, stepModels } from "../step/models.js";
import { parametersOf, planStep, type StepOptions, type StepPlan, statisticsOf } from "../step/plan.js";
import type { State } from "../step/state.js";
import type { At, Draw, Step } from "../step/step.js";
import { type ImageBatch, imageBatch, SHARE } from "../task/classification.js";
import { activationScales } from "./first-scales.js";
import { initialValues } from "./initial-values.js";
import { MaskChoice } from "./mask-choice.js";
import { Schedule, type ScheduleOptions } from "./schedule.js";

const WINDOW_MS = 100;
/** So many batches say where the scales of activations begin, and which units matter before anything is trained. */
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

export interface TrainerOptions {
  /** Default "cpu". */
  readonly provider?: Provider | undefined;
  /** onnxruntime writes a profile of the steps to a file with this prefix when the trainer is closed. */
  readonly profile?: string | undefined;
  /** Default: nothing is quantized. */
  readonly quantization?: QuantizationPlan;
  /** Where training has Dropout. Default: nowhere. */
  readonly dropouts?: NonNullable<StepOptions["dropouts"]>;
  /**
   * Where masks are drawn and parameters updated: in the host's memory, beside the graph, or within it. The graph can do with one
   * k, and without quantized weights. Default "host".
   */
  readonly place?: "host" | "graph";
}

/** What a trainer is made of. */
interface Parts {
  readonly engine: Engine;
  readonly model: Model;
  readonly settings: Settings;
  readonly layers: readonly PrunedLayer[];
  readonly stepsPerEpoch: number;
  readonly count: number;
  readonly batches: BatchLoader;
  readonly schedule: Schedule;
  readonly step: Step;
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
  readonly #schedule: Schedule;
  readonly #step: Step;
  readonly #batch: ImageBatch;
  readonly #choice: MaskChoice | undefined;
  /** What the last step was told. */
  #last: At;
  #hasBegun = false;

  private constructor(parts: Parts) {
    const { engine, model, settings, layers, count, batches, schedule, step } = parts;
    this.engine = engine;
    this.settings = settings;
    this.layers = layers;
    this.stepsPerEpoch = parts.stepsPerEpoch;
    this.state = step.state;
    this.#model = model;
    this.#batches = batches;
    this.#count = count;
    this.#schedule = schedule;
    this.#step = step;
    this.#batch = imageBatch(step.batch);
    this.#choice = MaskChoice.of(step, schedule, settings);
    this.#last = schedule.at(0);
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
    const { threads, batch, augment, seed } = settings;
    const { provider = "cpu", profile } = options;
    const engine = await Engine.open({ provider, threads, ...(profile === undefined ? {} : { profile }) });
    const perEpoch = stepsPerEpoch(count, batch);
    if (perEpoch === 0) {
      throw new InputError(
        `a batch of ${batch} is more than the ${count} training samples; choose a smaller batch`,
      );
    }
    checkAugmentation(augment, data);
    const block = await blockOf(engine);
    const { plan, schedule } = planned(model, layers, settings, settings.epochs * perEpoch, block, options);
    const step = stepOf(engine, plan, schedule, settings);
    await step.open();
    const normalization = normalizationFor(settings.normalize ?? "none", data.channels);
    const filler = new BatchFiller(data, normalization, { of: augment, seed });
    const batches = new BatchLoader(data.train, data, filler);
    const stepsOfEpoch = { stepsPerEpoch: perEpoch };
    return new Trainer({ engine, model, settings, layers, count, batches, schedule, step, ...stepsOfEpoch });
  }

  /** Steps of the whole run. */
  get steps(): number {
    return this.#schedule.steps;
  }

  /** Whether the last step was one of what the run is to end with: every k at its target, quantized, and frozen, if so asked. */
  get atTarget(): boolean {
    return this.#hasBegun && this.#schedule.isAtTarget(this.#last.draw.step);
  }

  /** Names of the tensors that a result is made of: the model's parameters and running statistics, and learned scales. */
  parameterNames(): string[] {
    return [...this.#modelTensors(), ...this.#step.scaleNames];
  }

  /** Current values of the model's parameters and running statistics, quantized if they are by now; and what is quantized. */
  parameters(): { values: Map<string, Float32Array>; quantization: Quantization } {
    const values = new Map(this.#modelTensors().map((name) => [name, this.state.get(name)]));
    const quantization = this.quantization();
    const layers = new Map(this.#step.plan.quantizers.map(({ layer }) => [layer.weight, layer]));
    for (const { weight, codes, scale } of quantization.weights) {
      const layer = layers.get(weight);
      if (layer !== undefined) values.set(weight, dequantized(codes, scale, channelView(layer)));
    }
    return { values, quantization };
  }

  /** Codes and scales of what is quantized by now, under the deterministic masks of the current logits. */
  quantization(): Quantization {
    if (!this.#hasBegun || this.#last.phase === "float") return { weights: [], activations: [] };
    return this.#step.quantization(this.masks());
  }

  /** The graphs of the run's steps, to look at. */
  graphs(): StepModels {
    return stepModels(this.#step.plan);
  }

  /** The deterministic masks of the current logits. */
  masks(): LayerMask[] {
    const { k } = this.#last.draw;
    return this.layers.map((layer, i) => maskOfLogits(layer, this.state.get(logitsName(layer.weight)), k[i]));
  }

  /**
   * Trains for one epoch, counted from 1.
   *
   * @throws KofnError if the loss is no longer a number; the signal's reason if it is aborted.
   */
  async epoch(epoch: number, onSteps?: OnSteps, signal?: AbortSignal): Promise<EpochTotals> {
    const { batch, seed } = this.settings;
    const { stepsPerEpoch: steps } = this;
    const schedule = this.#schedule;
    const order = epochOrder(this.#count, seed, epoch).subarray(0, steps * batch);
    const begin = performance.now();
    let reported = begin;
    let loss = 0;
    let correct = 0;
    for (let i = 0; i < steps; i++) {
      signal?.throwIfAborted();
      const step = (epoch - 1) * steps + i;
      const at = schedule.at(step);
      this.#last = at;
      this.#hasBegun = true;
      if (step === 0) await this.#chooseFirst(at, order);
      // The step before has drawn the masks of this one.
      if (i === 0) this.#step.draw(at.draw);
      if (step === schedule.quantizedFrom) await this.#beginQuantization(epoch, order);
      await this.#feed(at, order, i, epoch);
      const result = await this.#step.forward(at);
      if (!Number.isFinite(result.loss)) throw this.#diverged(result.loss, step, epoch);
      this.#learn(at, i + 1 < steps ? schedule.draw(step + 1) : undefined);
      loss += result.loss;
      correct += result.counts[0];
      const now = performance.now();
      if (onSteps !== undefined && now - reported > WINDOW_MS) {
        reported = now;
        const learningRate = schedule.learningRate(step);
        onSteps({ stepInEpoch: i + 1, loss: loss / (i + 1), learningRate, tau: at.tau });
      }
    }
    const { tau, draw } = this.#last;
    return {
      loss: loss / steps,
      accuracy: correct / (steps * batch),
      learningRate: schedule.learningRate(draw.step),
      tau,
      beta: draw.beta,
      seconds: (performance.now() - begin) / 1000,
      k: draw.k,
    };
  }

  async close(): Promise<void> {
    await this.#step.close();
    await this.#batches.close();
  }

  /** Fills the batch of a step. */
  async #feed(at: At, order: Uint32Array, i: number, epoch: number): Promise<void> {
    const { images, labels, partners } = this.#batch;
    await this.#batches.load(order, i * this.settings.batch, epoch, images, labels);
    if (SHARE in at.task) mixPairs(images, labels, partners, at.task[SHARE]);
  }

  /** The masks of the first step, where the method does not learn them. */
  async #chooseFirst(at: At, order: Uint32Array): Promise<void> {
    const batches = Math.min(CALIBRATION_BATCHES, this.stepsPerEpoch);
    const forward = async (batch: number): Promise<void> => {
      await this.#feed(at, order, batch, 1);
      await this.#step.forward(at);
    };
    await this.#choice?.begin(forward, batches);
  }

  /** Learns, and draws the masks of the next step; where the method does not learn masks, it may choose these first. */
  #learn(at: At, next: Draw | undefined): void {
    const step = at.draw.step + 1;
    if (this.#choice?.chooses(step) !== true) {
      this.#step.learn(at, next);
      return;
    }
    const chosen = this.#choice.choose(step);
    this.#step.learn(at);
    this.#choice.apply(chosen);
    if (next !== undefined) this.#step.draw(next);
  }

  /** Before the first quantized step: says where learned scales begin. */
  async #beginQuantization(epoch: number, order: Uint32Array): Promise<void> {
    const masks = this.masks();
    this.#step.beginWeights(masks);
    const { activations } = this.#step.plan;
    if (activations.length === 0) return;
    const { batch, batchNorm } = this.settings;
    const batches: Float32Array<ArrayBuffer>[] = [];
    for (let i = 0; i < Math.min(CALIBRATION_BATCHES, this.stepsPerEpoch); i++) {
      const pixels = new Float32Array(this.#batch.images.length);
      await this.#batches.load(order, i * batch, epoch, pixels, this.#batch.labels);
      batches.push(pixels);
    }
    const model = maskedModel(this.#model, this.parameters().values, masks);
    this.#step.beginActivations(
      await activationScales(this.engine, model, activations, batches, batch, batchNorm),
    );
  }

  #modelTensors(): string[] {
    const { plan } = this.#step;
    return [...parametersOf(plan).map(({ name }) => name), ...statisticsOf(plan)];
  }

  #diverged(loss: number, step: number, epoch: number): KofnError {
    return new KofnError(
      `training diverged: the loss is ${loss} at step ${step + 1} of ${this.steps} (epoch ${epoch}); ` +
        `lower the learning rate, or raise tau's end`,
    );
  }
}

/** Who does what in the run's steps, and what each is told. */
function planned(
  model: Model,
  layers: readonly PrunedLayer[],
  settings: Settings,
  steps: number,
  block: number | undefined,
  { quantization, dropouts = [], place = "host" }: TrainerOptions,
): { plan: StepPlan; schedule: Schedule } {
  const { optimizer, sampler, scaleRate, batch, batchNorm, distill, augment } = settings;
  const optimizers: ScheduleOptions["optimizers"] = {
    weights: optimizerOf(optimizer),
    logits: optimizerOf(sampler.optimizer),
    scales: optimizerOf({ kind: "adam", lr: scaleRate }),
  };
  const quantizes =
    quantization !== undefined && quantization.weights.length + quantization.activations.length > 0;
  const schedule = new Schedule({ settings, layers, steps, optimizers, quantizes });
  const where: Pick<StepOptions, "weights" | "sampling"> =
    place === "host"
      ? { weights: "host", sampling: "host" }
      : {
          weights: optimizers.weights,
          sampling: { k: schedule.draw(0).k, optimizer: optimizers.logits, entropy: sampler.entropy },
        };
  const plan = planStep(model, {
    ...where,
    batch,
    layers,
    batchNorm,
    ...(distill === undefined ? {} : { distill }),
    mixup: augment.mixup !== undefined,
    ...(quantization === undefined ? {} : { quantization }),
    dropouts,
    block,
  });
  return { plan, schedule };
}

/** What runs the steps of a plan. */
function stepOf(engine: Engine, plan: StepPlan, schedule: Schedule, settings: Settings): Step {
  const { sampler, seed, threads, masks } = settings;
  const { k } = schedule.draw(0);
  const isDenseFirst = chooserOf(settings.method)?.gradient === "masks";
  const layers = plan.masks.map(({ layer }) => layer);
  const units = masks === undefined ? undefined : unitsOfMasks(layers, masks);
  const initial = initialValues(plan, k, sampler.init, seed, units);
  if (plan.sampling !== "host") return new GraphStep(engine, plan, initial, seed);
  const { optimizers } = schedule;
  return new HostStep(engine, plan, {
    optimizers,
    entropy: sampler.entropy,
    seed,
    threads,
    most: isDenseFirst ? layers.map(({ n }) => n) : k,
    initial,
  });
}
