/** Finds out which normalization a model expects of its input, and records it in the model. */

import type { Provider } from "@kofn/format/run/words.js";
import { sequentialOrder } from "../data/batches.js";
import {
  formatNormalization,
  imagenetNormalization,
  measureNormalization,
  noNormalization,
  type Normalization,
  normalizationFor,
  uniformNormalization,
} from "../data/normalization.js";
import type { Dataset, ResidentSplit } from "../data/types.js";
import { Engine } from "../engine/session.js";
import { InputError } from "../errors.js";
import type { Model } from "../onnx/model.js";
import { evaluateOn } from "./evaluate.js";

/** Keys of a model's metadata: JSON arrays of a number per channel, in units of pixel / 255. */
const MEAN_KEY = "kofn.input.mean";
const STD_KEY = "kofn.input.std";
/** Validation images on which candidates are compared. */
const SAMPLE = 500;
/** By how much a model must beat the most common class to count as trained. */
const MARGIN = 0.05;

/** A normalization that a model may have been trained with, and how the model does with it. */
export interface NormalizationCandidate {
  readonly name: string;
  readonly normalization: Normalization;
  /** A fraction of the images that were tried. */
  readonly accuracy: number;
}

/** What {@link chooseNormalization} goes by. */
export interface NormalizationOptions {
  /** The one that is asked for. */
  readonly normalize?: Normalization | "none";
  readonly provider?: Provider;
  readonly threads?: number;
}

/** Which normalization a model gets, and why. */
export interface NormalizationChoice {
  readonly normalization: Normalization;
  /**
   * "asked": it was given; "metadata": the model's metadata has it; "data": it is the data set's, for a model that is
   * yet to be trained; "tried": the model does best with it; "untrained": the model does no better than chance with any,
   * so it is the data set's.
   */
  readonly reason: "asked" | "metadata" | "data" | "tried" | "untrained";
  /** What was tried: the chosen one first, the others by accuracy. */
  readonly candidates: readonly NormalizationCandidate[];
  /** Images that were tried. */
  readonly samples: number;
}

/**
 * Chooses the normalization of a model's input: the one that is asked for; else the one in the model's metadata; for
 * networks that kofn has built the data set's own. A model that another program has exported does not say what its
 * training used: it is tried on some hundreds of validation images with the candidates that are in use.
 *
 * @throws InputError if what was asked for, or the metadata, does not fit the images, or the model not the data set.
 *
 * @example
 * const { normalization, reason } = await chooseNormalization(await loadModel("net.onnx"), data);
 */
export async function chooseNormalization(
  model: Model,
  data: Dataset,
  options: NormalizationOptions = {},
): Promise<NormalizationChoice> {
  const { channels } = data;
  const untried = { candidates: [], samples: 0 };
  if (options.normalize !== undefined) {
    return { normalization: normalizationFor(options.normalize, channels), reason: "asked", ...untried };
  }
  const recorded = recordedNormalization(model);
  if (recorded !== undefined) {
    return { normalization: normalizationFor(recorded, channels), reason: "metadata", ...untried };
  }
  const own = data.normalization ?? noNormalization(channels);
  if (model.producerName === "kofn") return { normalization: own, reason: "data", ...untried };

  const engine = await Engine.open(options);
  const sample = await sampleOf(data);
  const tried: NormalizationCandidate[] = [];
  for (const [name, normalization] of candidatesFor(data, sample)) {
    if (tried.some((other) => sameNormalization(other.normalization, normalization))) continue;
    const { accuracy } = await evaluateOn(engine, model, sample, data, normalization);
    tried.push({ name, normalization, accuracy });
  }
  const best = Math.max(...tried.map(({ accuracy }) => accuracy));
  const error = Math.sqrt((best * (1 - best)) / sample.count);
  const chosen = tried.find(({ accuracy }) => accuracy >= best - error) ?? tried[0];
  const others = tried.filter((candidate) => candidate !== chosen).sort((a, b) => b.accuracy - a.accuracy);
  const trained = best > commonest(sample) + MARGIN;
  return {
    normalization: trained ? chosen.normalization : own,
    reason: trained ? "tried" : "untrained",
    candidates: [chosen, ...others],
    samples: sample.count,
  };
}

/** A sentence for the user on how a normalization was found out, and what to do if it is wrong; undefined if nothing was guessed. */
export function describeChoice(choice: NormalizationChoice): string | undefined {
  const { normalization, reason, candidates, samples } = choice;
  if (reason !== "tried" && reason !== "untrained") return undefined;
  const percent = (accuracy: number): string => `${(100 * accuracy).toFixed(1)} %`;
  const results = candidates.map(({ name, accuracy }) => `${name} ${percent(accuracy)}`).join(", ");
  const text = formatNormalization(normalization);
  const tried = `the model does not say how its input is normalised; its accuracy on ${samples} validation images: ${results}.`;
  return reason === "tried"
    ? `${tried} Chosen: ${candidates[0].name} (--normalize ${text}); set another with --normalize.`
    : `${tried} All are near chance, so the model counts as untrained. Chosen: the data set's own ` +
        `(--normalize ${text}); set another with --normalize.`;
}

/** The model with a normalization in its metadata, where {@link chooseNormalization} finds it again. */
export function withNormalization(model: Model, { mean, std }: Normalization): Model {
  const metadata = new Map(model.metadata);
  metadata.set(MEAN_KEY, JSON.stringify(mean)).set(STD_KEY, JSON.stringify(std));
  return { ...model, metadata };
}

/** A model's metadata without its normalization, where that is as {@link withNormalization} writes it. */
export function withoutNormalization(model: Model): Map<string, string> {
  const metadata = new Map(model.metadata);
  const normalization = recordedNormalization(model);
  if (normalization === undefined) return metadata;
  const written = withNormalization(model, normalization).metadata;
  if ([MEAN_KEY, STD_KEY].some((key) => written.get(key) !== metadata.get(key))) return metadata;
  for (const key of [MEAN_KEY, STD_KEY]) metadata.delete(key);
  return metadata;
}

/**
 * The normalization that a model's metadata says.
 *
 * @throws InputError if it says something that can't be read.
 */
export function recordedNormalization(model: Model): Normalization | undefined {
  const [mean, std] = [MEAN_KEY, STD_KEY].map((key) => numbersIn(model, key));
  if (mean === undefined || std === undefined) return undefined;
  if (mean.length === std.length && std.every((value) => value > 0)) return { mean, std };
  throw new InputError(
    `model "${model.graph.name}": expected as many means (${MEAN_KEY}) as standard deviations above 0 (${STD_KEY}) ` +
      `in its metadata, found [${mean.join(", ")}] and [${std.join(", ")}].`,
  );
}

function numbersIn(model: Model, key: string): number[] | undefined {
  const text = model.metadata.get(key);
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    if (Array.isArray(value) && value.every((x) => typeof x === "number")) return value;
  } catch {
    // Reported below.
  }
  throw new InputError(
    `model "${model.graph.name}": expected a JSON array of numbers under "${key}" in its metadata, found ${JSON.stringify(text)}.`,
  );
}

/** Some hundreds of validation images, evenly from the whole split. */
async function sampleOf(data: Dataset): Promise<ResidentSplit> {
  const { validation } = data;
  const count = Math.min(SAMPLE, validation.count);
  const size = data.channels * data.height * data.width;
  const numbers = sequentialOrder(count).map((i) => Math.floor((i * validation.count) / count));
  const images = new Uint8Array(count * size);
  const stored = validation.images;
  if (stored instanceof Uint8Array) {
    numbers.forEach((from, i) => {
      images.set(stored.subarray(from * size, (from + 1) * size), i * size);
    });
  } else {
    await stored.decode(numbers, images);
  }
  return { count, images, labels: Uint16Array.from(numbers, (i) => validation.labels[i]) };
}

/** In the order in which they win where a model does equally well with several, within the standard error of the accuracy. */
function candidatesFor(data: Dataset, sample: ResidentSplit): [name: string, Normalization][] {
  const { channels, normalization } = data;
  return [
    ["none", noNormalization(channels)],
    normalization === undefined || sameNormalization(normalization, noNormalization(channels))
      ? ["measured", measureNormalization(sample.images, data)]
      : ["the data set's own", normalization],
    ["ImageNet's", imagenetNormalization(channels)],
    ["0.5/0.5", uniformNormalization(channels, 0.5, 0.5)],
    ["0 to 255", uniformNormalization(channels, 0, 1 / 255)],
  ];
}

function sameNormalization(a: Normalization, b: Normalization): boolean {
  return a.mean.every((x, i) => x === b.mean[i]) && a.std.every((x, i) => x === b.std[i]);
}

/** Accuracy of always answering with the most common class. */
function commonest({ count, labels }: ResidentSplit): number {
  const counts = new Map<number, number>();
  for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
  return Math.max(...counts.values()) / count;
}
