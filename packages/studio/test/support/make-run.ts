/** Makes run directories as kofn train leaves them, with as many epochs and layers as a test wants. */

import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

export interface RunShape {
  readonly epochs?: number;
  /** Pruned layers; 0 for metrics of older versions, that have none, and no heatmaps. */
  readonly layers?: number;
  readonly plannedEpochs?: number;
  /** Whether the run is finished: has a report, report.html and all. */
  readonly finished?: boolean;
  readonly data?: string;
  readonly model?: string;
  /** Varies accuracy, k and seed. */
  readonly seed?: number;
}

const ROWS = 300;
const N = 784;
const SIDE = 64;

/** The layers of a run with so many. */
function layersOf(count: number): { name: string; rows: number; n: number; height: number; width: number }[] {
  return Array.from({ length: count }, (_, i) => {
    const [rows, n] = i % 3 === 2 ? [10, 300] : [ROWS, N];
    return { name: `fc${i + 1}`, rows, n, height: Math.min(rows, SIDE), width: Math.min(n, SIDE) };
  });
}

/** A number from 0 to 1 that depends on its arguments alone. */
function noise(...values: readonly number[]): number {
  const x = Math.sin(values.reduce((sum, value, i) => sum + value * (12.9898 + 65.32 * i), 1)) * 43758.5453;
  return x - Math.floor(x);
}

/** One line of metrics.jsonl, without its newline. */
export function metricsLine(epoch: number, shape: RunShape = {}): string {
  const { epochs = 8, layers = 2, seed = 1 } = shape;
  const share = epoch / epochs;
  const loss = 0.1 + 1.2 * Math.exp(-4 * share) + 0.02 * noise(epoch, seed);
  return JSON.stringify({
    epoch,
    step: epoch * 10,
    train: { loss, accuracy: 1 - loss / 5 },
    validation: { loss: loss * 1.2 + 0.05 * share, accuracy: 1 - loss / (4.2 - 0.004 * seed) },
    learningRate: 0.002 * (0.5 + 0.5 * Math.cos(Math.PI * share)),
    tau: 5 - 4.5 * share,
    beta: 0.1,
    samplesPerSecond: 10000,
    seconds: epoch * 1.5,
    k: { fc1: 40 },
    ...(layers === 0
      ? {}
      : {
          layers: layersOf(layers).map(({ name, rows, n }, i) => ({
            name,
            rows,
            n,
            k: Math.max(1, Math.round(n / 20)),
            confidence: Math.min(1, share * (0.9 + 0.1 * noise(i))),
            diversity: 0.6 * share * noise(i, 2),
            softmaxConfidence: 0.8 * share,
            jensenShannon: 0.4 * share,
            churn: (1 - share) * (0.3 + 0.2 * noise(i, epoch)),
            overlapMagnitude: 0.3 + 0.4 * share,
            neverChosen: Math.round(1000 * (1 - share)),
          })),
        }),
    best: true,
  });
}

/** The header of heatmaps.bin, with its newline. */
export function heatmapHeader(layers: number): string {
  return `${JSON.stringify({ kofn: "heatmaps", version: 1, layers: layersOf(layers) })}\n`;
}

/** One record of heatmaps.bin: masks that gather in the middle while training goes on. */
export function heatmapRecord(epoch: number, { epochs = 8, layers = 2 }: RunShape = {}): Uint8Array {
  const maps = layersOf(layers).map(({ height, width }, layer) =>
    Uint8Array.from({ length: height * width }, (_, at) => {
      const [y, x] = [Math.floor(at / width) / height - 0.5, (at % width) / width - 0.5];
      const near = Math.exp(-(4 + 26 * (epoch / epochs)) * (x * x + 0.25 * y * y));
      return Math.round(255 * Math.min(1, near * (0.3 + noise(at, layer, epoch >> 2))));
    }),
  );
  return Buffer.concat(maps);
}

/** Writes a run into a folder, which is made. */
export async function makeRun(folder: string, shape: RunShape = {}): Promise<void> {
  const { epochs = 8, layers = 2, finished = true, seed = 1 } = shape;
  const { plannedEpochs = epochs, data = "glyphs", model = "lenet-300-100" } = shape;
  await mkdir(folder, { recursive: true });
  const numbers = Array.from({ length: epochs }, (_, i) => i + 1);
  const k = 10 + 7 * (seed % 23);
  const config = { model, data, prune: [`fc1=weights:${k}`], epochs: plannedEpochs, seed, batch: 64 };
  await writeFile(join(folder, "config.json"), JSON.stringify(config));
  await writeFile(
    join(folder, "metrics.jsonl"),
    numbers.map((epoch) => `${metricsLine(epoch, shape)}\n`).join(""),
  );
  if (layers > 0) {
    const records = numbers.map((epoch) => heatmapRecord(epoch, shape));
    await writeFile(join(folder, "heatmaps.bin"), [heatmapHeader(layers), ...records]);
  }
  if (!finished) return;
  const accuracy = 0.985 - 0.12 * Math.exp(-k / 40) + 0.01 * noise(seed);
  const report = {
    kofn: "0.1.0",
    model,
    seed,
    provider: "cpu",
    data: { name: data, train: 5000, validation: 500, test: 1000 },
    result: {
      validation: { loss: 0.1, accuracy },
      test: { loss: 0.11, accuracy: accuracy - 0.004 },
    },
    totals: {
      weights: 266200,
      kept: 300 * k,
      compression: 266200 / (300 * k),
      macs: 266200,
      macsKept: 300 * k,
      bytesDense: 1_066_440,
      bytesPacked: 300 * k * 5 + Math.round(2000 * noise(seed, 3)),
      bytesLimit: 300 * k * 4.6,
    },
    layers: layersOf(layers).map(({ name, rows, n }) => ({
      name,
      weight: `${name}.weight`,
      granularity: "weights",
      groups: rows,
      n,
      k,
      weights: rows * n,
      kept: rows * k,
      confidence: 0.9,
      diversity: 0.4,
      inclusion: Array.from(
        { length: 20 },
        (_, bin) => Math.round(rows * n * 0.6 ** bin) + (bin > 17 ? 900 : 0),
      ),
    })),
    training: { epochs, steps: epochs * 10, seconds: epochs * 1.5, samplesPerSecond: 10000 },
  };
  await writeFile(join(folder, "report.json"), JSON.stringify(report));
  await writeFile(
    join(folder, "report.html"),
    `<!doctype html><html lang="en"><title>Report</title><h1>Report of ${dirname(folder)}</h1><script>document.title="scripted"</script></html>`,
  );
}
