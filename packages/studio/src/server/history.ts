/** A run's epochs as columns: of the run, and of the mask of each layer. */

import {
  type EpochColumns,
  LAYER_SERIES,
  LAYER_VALUES,
  type LayerHistory,
  type LayerRow,
  type LayerSeries,
  type LayerValue,
} from "../api.js";
import type { Line, LineLayer, Report } from "./schemas.js";

const SPARK_POINTS = 64;
const LAYER_NUMBERS = [...LAYER_SERIES, ...LAYER_VALUES] as const;

type Numbers = (number | null)[];

/** A layer's series, one entry per epoch; null where a line lacks the layer. */
interface LayerColumns {
  last: LineLayer;
  readonly series: Record<LayerSeries | LayerValue, Numbers>;
}

export class History {
  readonly #epoch: number[] = [];
  readonly #trainLoss: Numbers = [];
  readonly #trainAccuracy: Numbers = [];
  readonly #validationLoss: Numbers = [];
  readonly #validationAccuracy: Numbers = [];
  readonly #learningRate: Numbers = [];
  readonly #tau: Numbers = [];
  readonly #beta: Numbers = [];
  readonly #confidence: Numbers = [];
  readonly #best: number[] = [];
  readonly #layers = new Map<string, LayerColumns>();
  #seconds: number | null = null;

  get length(): number {
    return this.#epoch.length;
  }

  /** How long the run took so far. */
  get seconds(): number | null {
    return this.#seconds;
  }

  /** Of the best epoch; of the one with the highest where none counts as the best yet. */
  get validationAccuracy(): number | null {
    const best = this.#best.at(-1);
    if (best !== undefined) return this.#validationAccuracy[best];
    return this.#validationAccuracy.reduce(
      (highest, value) => (value !== null && (highest === null || value > highest) ? value : highest),
      null,
    );
  }

  /** @throws Error if the epoch does not come after the ones before. */
  add(line: Line): void {
    const last = this.#epoch.at(-1);
    if (last !== undefined && line.epoch <= last) {
      throw new Error(`epoch ${line.epoch} comes after epoch ${last}`);
    }
    const index = this.length;
    this.#epoch.push(line.epoch);
    this.#trainLoss.push(line.train.loss);
    this.#trainAccuracy.push(line.train.accuracy);
    this.#validationLoss.push(line.validation.loss);
    this.#validationAccuracy.push(line.validation.accuracy);
    this.#learningRate.push(line.learningRate);
    this.#tau.push(line.tau);
    this.#beta.push(line.beta);
    this.#confidence.push(mean(line.layers ?? []));
    if (line.best) this.#best.push(index);
    this.#seconds = line.seconds;
    for (const layer of line.layers ?? []) this.#addLayer(layer, index);
  }

  #addLayer(layer: LineLayer, index: number): void {
    let columns = this.#layers.get(layer.name);
    if (columns === undefined) {
      columns = { last: layer, series: seriesOf(() => []) };
      this.#layers.set(layer.name, columns);
    }
    columns.last = layer;
    for (const key of LAYER_NUMBERS) {
      const column = columns.series[key];
      while (column.length < index) column.push(null);
      column[index] = layer[key];
    }
  }

  columns(): EpochColumns {
    return {
      epoch: this.#epoch,
      trainLoss: this.#trainLoss,
      trainAccuracy: this.#trainAccuracy,
      validationLoss: this.#validationLoss,
      validationAccuracy: this.#validationAccuracy,
      learningRate: this.#learningRate,
      tau: this.#tau,
      beta: this.#beta,
      confidence: this.#confidence,
      best: this.#best,
    };
  }

  /** @param report where the run is finished. */
  layerRows(report: Report | undefined): LayerRow[] {
    const inclusion = new Map(report?.layers.map((layer) => [layer.name, layer.inclusion]));
    return [...this.#layers.values()].map(({ last, series }) => ({
      name: last.name,
      rows: last.rows,
      n: last.n,
      k: last.k,
      members: last.members,
      last: seriesOf((key) => last[key]),
      spark: {
        confidence: thinned(series.confidence, this.length),
        diversity: thinned(series.diversity, this.length),
        churn: thinned(series.churn, this.length),
      },
      inclusion: inclusion.get(last.name) ?? null,
    }));
  }

  /** Of the layer at an index of {@link layerRows}; undefined if there is none. */
  layerHistory(index: number): LayerHistory | undefined {
    const columns = [...this.#layers.values()].at(index);
    if (columns === undefined) return undefined;
    const whole = (column: Numbers): Numbers => this.#epoch.map((_, i) => column[i] ?? null);
    return {
      name: columns.last.name,
      epoch: this.#epoch,
      series: seriesOf((key) => whole(columns.series[key])),
    };
  }
}

function seriesOf<T>(value: (key: LayerSeries | LayerValue) => T): Record<LayerSeries | LayerValue, T> {
  return {
    confidence: value("confidence"),
    diversity: value("diversity"),
    churn: value("churn"),
    softmaxConfidence: value("softmaxConfidence"),
    jensenShannon: value("jensenShannon"),
    overlapMagnitude: value("overlapMagnitude"),
    neverChosen: value("neverChosen"),
  };
}

/** The mean confidence of the layers that have one. */
function mean(layers: readonly LineLayer[]): number | null {
  const values = layers.flatMap(({ confidence }) => confidence ?? []);
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Evenly spread values of a column of so many epochs, the first and the last among them, with four decimals. */
function thinned(column: Numbers, length: number): Numbers {
  const points = Math.min(SPARK_POINTS, length);
  return Array.from({ length: points }, (_, i) => {
    const value = column[points === 1 ? 0 : Math.round((i * (length - 1)) / (points - 1))] ?? null;
    return value === null ? null : Math.round(value * 1e4) / 1e4;
  });
}
