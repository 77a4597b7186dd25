/** `kofn export --format qdq`: writes a quantized model, as it was trained or quantized now. */

import { parseNormalization } from "../data/normalization.js";
import type { Dataset } from "../data/types.js";
import { InputError } from "../errors.js";
import { type FusedKernel, fusedKernels } from "../files/fused-kernels.js";
import { importModel } from "../import/import.js";
import { calibrate, calibrateResults } from "../integers/calibrate.js";
import { bareModel } from "../integers/export-trained.js";
import { exportQuantized } from "../integers/export.js";
import { withoutQuantizedActivations } from "../integers/simulate.js";
import { CALIBRATION_METHODS, type CalibrationMethod } from "../integers/types.js";
import { prunableLayers } from "../layers/layers.js";
import type { Model } from "../onnx/model.js";
import type { Config } from "../options/config.js";
import { optionsOf } from "../options/settings.js";
import { removeDeadChannels } from "../prune/structure/remove.js";
import { resolveQuantize } from "../quantize/spec.js";
import type { Quantization } from "../quantize/types.js";
import type { StoredRun } from "../run/types.js";
import { chooseNormalization, withNormalization } from "../task/normalize.js";
import { commandData } from "./dataset.js";

/** A quantized model, ready to be written. */
export interface Quantized {
  readonly model: Model;
  readonly kernels: readonly FusedKernel[];
  /** Names of layers whose activations were left out because they are the first and the last. */
  readonly exempt: readonly string[];
}

/**
 * The model with integers, as stock onnxruntime runs it: {@link quantizedModel} exported.
 *
 * @throws InputError if nothing says what to quantize, or two things do.
 */
export async function quantizedExport(
  path: string,
  run: StoredRun | undefined,
  loaded: Model,
  given: Config,
  method: string | undefined,
): Promise<Quantized> {
  const { model, quantization, exempt } = await quantizedModel(path, run, loaded, given, method);
  const exported = exportQuantized(model, quantization);
  return { model: exported.model, kernels: await fusedKernels(exported), exempt };
}

/** A model and its quantization. */
export interface ModelToQuantize {
  /** In operator set 21, its activations not quantized. */
  readonly model: Model;
  readonly quantization: Quantization;
  readonly exempt: readonly string[];
}

/**
 * A model and its quantization, as it was trained or chosen now.
 *
 * @param loaded the model of the run at the shapes of its masks, or that of a file.
 * @param given the options of the command.
 * @param method of calibration, if one was given.
 * @param cuts whether channels without effect are cut out.
 * @throws InputError if nothing says what to quantize, or two things do.
 */
export async function quantizedModel(
  path: string,
  run: StoredRun | undefined,
  loaded: Model,
  given: Config,
  method: string | undefined,
  cuts = true,
): Promise<ModelToQuantize> {
  const chosen = CALIBRATION_METHODS.find((known) => known === method);
  if (method !== undefined && chosen === undefined) {
    throw new InputError(`--calibrate: expected ${CALIBRATION_METHODS.join(", ")}, got "${method}".`);
  }
  const source = run === undefined ? given : { ...run.config, ...given };
  const trained = run?.quantization ?? { weights: [], activations: [] };
  if (trained.weights.length === 0 && trained.activations.length === 0) {
    return quantizedNow(path, loaded, given, source, chosen, cuts);
  }
  if (given.quantize !== undefined) {
    throw new InputError(
      `--quantize: "${path}" was trained quantized, and is exported as it was trained. Leave --quantize out.`,
    );
  }
  return asTrained(loaded, trained, source, chosen, cuts);
}

async function asTrained(
  loaded: Model,
  trained: Quantization,
  source: Config,
  method: CalibrationMethod | undefined,
  cuts: boolean,
): Promise<ModelToQuantize> {
  const { model, quantization } = cuts
    ? bareModel(loaded, trained)
    : { model: importModel(withoutQuantizedActivations(loaded, trained.activations)), quantization: trained };
  if (method === undefined) return { model, quantization, exempt: [] };
  const data = await dataOf(source, model);
  const complete = await calibrateResults(model, data, quantization, observation(source, method));
  return { model, quantization: complete, exempt: [] };
}

async function quantizedNow(
  path: string,
  loaded: Model,
  given: Config,
  source: Config,
  method: CalibrationMethod | undefined,
  cuts: boolean,
): Promise<ModelToQuantize> {
  const { quantize } = optionsOf({ quantize: given.quantize ?? [] });
  if (quantize === undefined) {
    throw new InputError(
      `kofn export ${path}: the model was not trained quantized. Say what to quantize with --quantize, as in --quantize '*=int8' --quantize activations=uint8.`,
    );
  }
  const imported = importModel(loaded);
  const model = cuts ? removeDeadChannels(imported) : imported;
  const { layers, exempt } = resolveQuantize(prunableLayers(model.graph), quantize);
  const reads = layers.some(({ activations }) => activations !== undefined);
  const data = reads ? await dataOf(source, model) : undefined;
  const options = observation(source, method);
  const quantization = await calibrate(model, data, { ...options, quantize });
  if (data === undefined) return { model, quantization, exempt };
  const { normalization } = await chooseNormalization(model, data, options);
  return { model: withNormalization(model, normalization), quantization, exempt };
}

async function dataOf(source: Config, model: Model): Promise<Dataset> {
  const { data } = source;
  if (data !== undefined) return commandData({ ...source, data }, model);
  throw new InputError(
    "quantizing activations takes training images to observe them on; name a data set with --data.",
  );
}

function observation(
  { normalize, threads }: Config,
  method: CalibrationMethod = "mse",
): NonNullable<Parameters<typeof calibrateResults>[3]> {
  return {
    method,
    ...(normalize === undefined ? {} : { normalize: parseNormalization(normalize) }),
    ...(threads === undefined ? {} : { threads }),
  };
}
