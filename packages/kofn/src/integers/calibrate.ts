/** Quantizes a trained model without training it further. */

import type { Provider, WeightFormat } from "@kofn/format/run/words.js";
import type { Normalization } from "../data/normalization.js";
import type { Dataset } from "../data/types.js";
import { Engine } from "../engine/session.js";
import { InputError } from "../errors.js";
import { prunableLayers } from "../layers/layers.js";
import type { PrunableLayer } from "../layers/types.js";
import type { Graph, Model } from "../onnx/model.js";
import type { Tensor } from "../onnx/tensor.js";
import { activationReads } from "../quantize/plan.js";
import { type LayerQuantization, resolveQuantize } from "../quantize/spec.js";
import type { Quantization, QuantizedActivation, QuantizedWeight, QuantizeSpec } from "../quantize/types.js";
import { channelAxis, channelView, codesOf } from "../quantize/weights.js";
import { checkInterface } from "../task/evaluate.js";
import { chooseNormalization } from "../task/normalize.js";
import { integerResults } from "./integer-results.js";
import { observe } from "./observe.js";
import { calibratedRange } from "./ranges.js";
import { withQuantizedWeights } from "./simulate.js";
import { CALIBRATION_METHODS, type CalibrationMethod } from "./types.js";
import { calibratedScales } from "./weight-scales.js";

const IMAGES = 1024;

/** How activations are observed. */
export interface ObservationOptions {
  /** Default "mse". */
  readonly method?: CalibrationMethod;
  /** Training images on which activations are observed. Default 1024. */
  readonly images?: number;
  /** Chooses the images. Default 1. */
  readonly seed?: number;
  /** As in `train`. */
  readonly normalize?: Normalization | "none";
  readonly provider?: Provider;
  readonly threads?: number;
}

export interface CalibrateOptions extends ObservationOptions {
  /** What to quantize, in which formats. Methods of training (lsq, dpp) make no difference here. */
  readonly quantize: QuantizeSpec;
}

/**
 * Post-training quantization: scales of weights from the weights, ranges of activations from some training images. Weights
 * that are 0 count as pruned: scales are fitted to the others, and their codes are 0.
 *
 * Besides the activations that layers read, results of convolutions are quantized where integer kernels demand it.
 *
 * @param model in operator set 21, masked; it is not changed.
 * @param data where activations are quantized.
 * @throws InputError if the spec, the model or the data does not fit.
 * @throws KofnError if an activation is not finite.
 * @example
 * const quantization = await calibrate(run.model, data, { quantize: { "*": int8(), activations: uint8() } });
 * const { model } = exportQuantized(run.model, quantization);
 */
export async function calibrate(
  model: Model,
  data: Dataset | undefined,
  options: CalibrateOptions,
): Promise<Quantization> {
  const method = checkedMethod(options);
  const { layers } = resolveQuantize(prunableLayers(model.graph), options.quantize);
  const weights = layers.flatMap(({ layer, weights: rule }) =>
    rule === undefined ? [] : [quantizedWeight(model.graph, layer, rule.format, method)],
  );
  const sites = sitesOf(model.graph, layers);
  return { weights, activations: await calibrated(model, data, weights, sites, options) };
}

/**
 * A quantization of weights and activations, as training learns it, with the results of convolutions besides that integer kernels
 * demand, calibrated on some training images.
 *
 * @param model in operator set 21, its activations not quantized.
 * @throws InputError as {@link calibrate}.
 * @example
 * const complete = await calibrateResults(model, data, run.quantization);
 */
export async function calibrateResults(
  model: Model,
  data: Dataset | undefined,
  { weights, activations }: Quantization,
  options: ObservationOptions = {},
): Promise<Quantization> {
  checkedMethod(options);
  const names = new Set(weights.map(({ weight }) => weight));
  const sites = integerResults(model.graph, activations, names).map(({ layer, tensor: name }): Site => {
    const format = activations.some((one) => one.format === "int8") ? "int8" : "uint8";
    return { tensor: name, layer, format, result: true };
  });
  const results = await calibrated(model, data, weights, sites, options);
  return { weights, activations: [...activations, ...results] };
}

function checkedMethod({ method = "mse", images = IMAGES }: ObservationOptions): CalibrationMethod {
  if (!CALIBRATION_METHODS.includes(method)) {
    throw new InputError(
      `calibration method: expected ${CALIBRATION_METHODS.join(", ")}, got "${method as string}".`,
    );
  }
  if (!Number.isSafeInteger(images) || images < 1) {
    throw new InputError(`calibration images: expected a whole number of at least 1, got ${images}.`);
  }
  return method;
}

/** Gives activations their scales and zero points. */
async function calibrated(
  model: Model,
  data: Dataset | undefined,
  weights: readonly QuantizedWeight[],
  sites: readonly Site[],
  options: ObservationOptions,
): Promise<QuantizedActivation[]> {
  if (sites.length === 0) return [];
  if (data === undefined) {
    throw new InputError(
      `model "${model.graph.name}": quantizing activations takes training images to observe them on. Name a data set.`,
    );
  }
  const { method = "mse", images = IMAGES, seed = 1 } = options;
  checkInterface(model, data);
  const { normalization } = await chooseNormalization(model, data, options);
  const engine = await Engine.open(options);
  const observed = await observe(
    withQuantizedWeights(model, weights),
    data,
    [...new Set(sites.map((site) => site.tensor))],
    { engine, normalization, images: Math.min(images, data.train.count), seed },
  );
  return sites.flatMap((site): QuantizedActivation[] => {
    const seen = observed.get(site.tensor);
    return seen === undefined ? [] : [{ ...site, ...calibratedRange(seen, site.format, method) }];
  });
}

function quantizedWeight(
  graph: Graph,
  layer: PrunableLayer,
  format: WeightFormat,
  method: CalibrationMethod,
): QuantizedWeight {
  const values = (graph.initializers.get(layer.weight) as Tensor<"float32">).array();
  const view = channelView(layer);
  const scale = calibratedScales(values, format, view, method);
  const codes = codesOf(
    values,
    scale,
    format,
    view,
    Uint8Array.from(values, (value) => (value === 0 ? 0 : 1)),
  );
  return { layer: layer.name, weight: layer.weight, format, axis: channelAxis(layer), scale, codes };
}

type Site = Omit<QuantizedActivation, "scale" | "zeroPoint">;

/** The activations that are to be quantized: what layers read, and what integer kernels make. */
function sitesOf(graph: Graph, layers: readonly LayerQuantization[]): Site[] {
  const read = activationReads(graph, layers).map(({ tensor, layer, format }): Site => ({
    tensor,
    layer,
    format,
  }));
  const formats = new Map(layers.map(({ layer, activations }) => [layer.name, activations]));
  const unscaled = read.map((site) => ({ ...site, scale: 1, zeroPoint: 0 }));
  const weights = new Set(layers.flatMap((one) => (one.weights === undefined ? [] : [one.layer.weight])));
  const results = integerResults(graph, unscaled, weights).map(({ layer, tensor: name }): Site => {
    return { tensor: name, layer, format: formats.get(layer) ?? "uint8", result: true };
  });
  return [...read, ...results];
}
