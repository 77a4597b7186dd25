/** The figures of `kofn bench` as text. */

import { type Comparison, type EngineFigures, type FileFigures, ROUNDS } from "../bench/compare.js";
import { type LayerFigures, layersOf } from "../bench/layers.js";
import type { Subject } from "../bench/subject.js";
import { bytes, duration, percent, ratio, whole } from "../figures.js";
import { type Column, styled, table } from "./terminal.js";

const right = { align: "right" } as const;

/** A table for each file and a line for each peer; for several files a table of all of them. */
export function benchReport(
  figures: readonly FileFigures[],
  { batch, threads }: { readonly batch: number; readonly threads: number },
): string[] {
  const runs = figures.flatMap(({ kofn, peers }) => [kofn, ...peers].map((engine) => engine.runs));
  return [
    `batch ${whole(batch)}, ${threads === 1 ? "1 thread" : `${threads} threads`} each; latency: median [quartiles] of ` +
      `${whole(Math.min(...runs))} runs or more in ${ROUNDS} rounds by turns`,
    ...figures.flatMap((file) => ["", ...fileLines(file)]),
    ...(figures.length > 1 ? ["", ...overview(figures)] : []),
  ];
}

function fileLines({ subject, kofn, peers }: FileFigures): string[] {
  const { path, net, model } = subject;
  const { input, layers } = net.info;
  const kept = layers.reduce((sum, layer) => sum + layer.kept, 0);
  const weights = layers.reduce((sum, layer) => sum + layer.weights, 0);
  const columns: Column[] = [
    { title: "engine" },
    { title: "latency" },
    { title: "samples/s", ...right },
    { title: "load", ...right },
    { title: "memory", ...right },
    { title: "file", ...right },
  ];
  const row = ({
    engine,
    latencyMs,
    samplesPerSecond,
    loadMs,
    memoryBytes,
    fileBytes,
  }: EngineFigures): string[] => [
    engine,
    `${duration(latencyMs.median)} [${duration(latencyMs.low)}, ${duration(latencyMs.high)}]`,
    whole(samplesPerSecond),
    duration(loadMs),
    bytes(memoryBytes),
    bytes(fileBytes),
  ];
  return [
    `${path}: ${model.graph.name}, input ${input.slice(1).join("x")}, ` +
      `${whole(kept)} of ${whole(weights)} weights (${percent(kept / weights)})`,
    ...table(columns, [kofn, ...peers].map(row)),
    ...peers.map(({ comparison }) => verdict(comparison)),
  ];
}

/** "beside onnxruntime-node: 5.21x as fast (fastest runs: 5.02x); loads slower, 0.400x as fast; 0.310x its memory, 0.06x its file; the same results, to 3.0e-7" */
function verdict(comparison: Comparison): string {
  const { peer, speed, bestSpeed, loading, memory, file, largestDifference, tolerance, agrees } = comparison;
  const difference = largestDifference.toExponential(1);
  const results = agrees
    ? `the same results, to ${difference}`
    : styled("red", `OTHER RESULTS, by ${difference} of the largest where ${tolerance} is the limit`);
  return (
    `beside ${peer}: ${fast(speed)} (fastest runs: ${ratio(bestSpeed)}${bestSpeed < 1 ? ", slower" : ""}); loads ${fast(loading)}; ` +
    `${ratio(memory)} its memory${memory > 1 ? ", more" : ""}, ${ratio(file)} its file; ${results}`
  );
}

/** "5.21x as fast", or "slower, 0.21x as fast" in yellow. */
function fast(speed: number): string {
  const text = `${ratio(speed)} as fast`;
  return speed < 1 ? styled("yellow", `slower, ${text}`) : text;
}

/** All files, a row each. */
function overview(figures: readonly FileFigures[]): string[] {
  const [{ peers }] = figures;
  const columns: Column[] = [
    { title: "file" },
    { title: "weights", ...right },
    { title: "latency", ...right },
    { title: "samples/s", ...right },
    ...peers.map(({ engine }) => ({ title: `over ${engine}`, ...right })),
    { title: "load", ...right },
    { title: "memory", ...right },
    { title: "size", ...right },
  ];
  return table(
    columns,
    figures.map(({ subject, kofn, peers: others }) => [
      subject.path,
      whole(subject.net.info.layers.reduce((sum, { kept }) => sum + kept, 0)),
      duration(kofn.latencyMs.median),
      whole(kofn.samplesPerSecond),
      ...others.map(({ comparison: { speed } }) => `${ratio(speed)}${speed < 1 ? ", slower" : ""}`),
      duration(kofn.loadMs),
      bytes(kofn.memoryBytes),
      bytes(kofn.fileBytes),
    ]),
  );
}

/** What computes each layer, and why. */
export function layerTable(subject: Subject): string[] {
  const layers = layersOf(subject);
  const macs = layers.reduce((sum, { macsKept }) => sum + macsKept, 0);
  const columns: Column[] = [
    { title: "layer" },
    { title: "granularity" },
    { title: "k of n", ...right },
    { title: "density", ...right },
    { title: "bits", ...right },
    { title: "MACs", ...right },
    { title: "of all", ...right },
    { title: "kernel" },
    { title: "why" },
  ];
  return [
    `${subject.path}: layers, their multiply-accumulates (MACs) with kept weights, and which kernel computes them`,
    ...table(
      columns,
      layers.map((layer) => [
        layer.name,
        `${layer.granularity}${layer.share > 1 ? `, share ${layer.share}` : ""}`,
        kOfN(layer),
        percent(layer.density),
        String(layer.bits),
        whole(layer.macsKept),
        percent(layer.macsKept / macs),
        layer.kernel,
        layer.why,
      ]),
    ),
  ];
}

function kOfN({ n, k }: LayerFigures): string {
  if (n === undefined || k === undefined) return "";
  const [least, most] = k;
  return `${least === most ? whole(most) : `${whole(least)}-${whole(most)}`} of ${whole(n)}`;
}
