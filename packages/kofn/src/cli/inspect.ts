/** `kofn inspect`: shows a model's inputs, outputs and layers, and the masks of a run. */

import type { MaskMetrics, Report } from "@kofn/format/run/types.js";
import type { Command } from "commander";
import { InputError, messageOf } from "../errors.js";
import { bytes, percent, whole } from "../figures.js";
import { isFolder } from "../files/folder.js";
import { isKofnFile } from "../files/kofn.js";
import { loadModel } from "../files/models.js";
import { withoutQuantizedActivations } from "../integers/simulate.js";
import { prunableLayers } from "../layers/layers.js";
import type { PrunableLayer } from "../layers/types.js";
import { sizesOf } from "../metrics/size.js";
import type { Graph, ValueInfo } from "../onnx/model.js";
import { sizeOf, type Tensor } from "../onnx/tensor.js";
import { encodeKofn } from "../pack/file.js";
import { countPerGroup, keptWeights } from "../prune/units.js";
import { countMacs, type Macs } from "../prune/macs.js";
import { mapSets } from "../prune/structure/map-sets.js";
import { type Remains, removeMaps } from "../prune/structure/remove.js";
import type { MapSet, PrunedLayer } from "../prune/types.js";
import { granularityOf, kOfN } from "../report/text.js";
import { readRun } from "../run/read.js";
import type { StoredRun } from "../run/types.js";
import { runContents } from "../run/packed.js";
import { type FixedTensor, storedTensors } from "../step/parameters.js";
import { inspectKofn } from "./inspect-kofn.js";
import { type PrunableBy, prunableBy } from "./prunable-by.js";
import { evaluation, shapeTable, sizeTable } from "./summary.js";
import { print, printJson, sparkline, styled, table } from "./terminal.js";
import { inspected } from "./untrainable.js";

const EXAMPLES = `
Examples:
  kofn inspect runs/a
  kofn inspect model.onnx
  kofn inspect model.kofn
  kofn inspect runs/a --json`;

/** So many names of tensors are listed on a line. */
const MOST_NAMES = 4;

export function addInspectCommand(program: Command): void {
  program
    .command("inspect")
    .summary("show a model's layers and masks")
    .description(
      "Shows a model's inputs, outputs and layers: shapes, multiply-accumulates, zeros, and how each layer can be pruned; of a run directory also the masks, and how sure and different they are; of a .kofn file what each layer takes in it.",
    )
    .argument("<path>", "run directory, .kofn file or .onnx file")
    .option("--json", "print it as JSON")
    .addHelpText("after", EXAMPLES)
    .action(inspectCommand);
}

interface MaskCounts extends Pick<PrunedLayer, "granularity" | "per" | "share" | "groups" | "n" | "k"> {
  /** The smallest and the largest number of units that a group's mask keeps. */
  readonly keptPerGroup: readonly [smallest: number, largest: number];
}

interface LayerView extends PrunableBy {
  readonly name: string;
  readonly weight: string;
  readonly dims: readonly number[];
  readonly macs?: number;
  readonly zeros: number;
  readonly mask?: MaskCounts;
}

async function inspectCommand(path: string, { json }: { readonly json?: true }): Promise<void> {
  if (!(await isFolder(path)) && (await isKofnFile(path))) {
    await inspectKofn(path, json === true, describe);
    return;
  }
  const run = (await isFolder(path)) ? await readRun(path) : undefined;
  const loaded = await loadModel(run?.maskedPath ?? path);
  const { model, reasons } = inspected(
    withoutQuantizedActivations(loaded, run?.quantization.activations ?? []),
  );
  const { graph } = model;
  const layers = prunableLayers(graph);
  const pruned = run === undefined ? [] : prunedLayers(run, graph, layers);
  const remains = run?.report.shapes === undefined ? undefined : removeMaps(model, run.masks);
  const macs = macsOf(graph, pruned, remains);
  const ways = prunableBy(graph, layers);
  const views = layers.map((layer, i) => {
    const rule = pruned.find(({ weight }) => weight === layer.weight);
    const count = "layers" in macs ? { macs: macs.layers[i].macs } : {};
    return {
      name: layer.name,
      weight: layer.weight,
      dims: layer.dims,
      ...count,
      zeros: zerosIn(graph.initializers.get(layer.weight)),
      ...ways[i],
      ...(run === undefined || rule === undefined ? {} : { mask: countMask(run, rule) }),
    };
  });
  const parameters = [...graph.initializers.values()].reduce((sum, { size }) => sum + size, 0);
  const stored = reasons.length === 0 ? storedTensors(graph) : undefined;
  const trained = sizeOfAll(graph, stored?.parameters ?? []);
  const sizes = sizesOf(graph, pruned, remains, run?.quantization);
  const packed = run === undefined ? undefined : encodeKofn(await runContents(run)).bytes.length;
  const total = "layers" in macs ? { macs: macs.macs, macsKept: macs.macsKept } : {};
  const values = {
    inputs: graph.inputs.filter(({ name }) => !graph.initializers.has(name)),
    outputs: graph.outputs,
  };
  const producer = `${loaded.producerName} ${loaded.producerVersion}`.trim();
  if (json === true) {
    const named = (list: readonly ValueInfo[]): unknown => list.map(({ name, type }) => ({ name, ...type }));
    printJson({
      path,
      model: graph.name,
      opset: loaded.opsets.get(""),
      producer,
      trainable: reasons.length === 0,
      untrainable: reasons,
      inputs: named(values.inputs),
      outputs: named(values.outputs),
      parameters,
      ...(stored === undefined ? {} : { trained, fixed: stored.fixed }),
      ...total,
      ...sizes,
      ...(packed === undefined ? {} : { bytesPacked: packed }),
      layers: views,
      ...(run?.report.sizes === undefined ? {} : { sizes: run.report.sizes }),
      ...(run?.report.shapes === undefined ? {} : { shapes: run.report.shapes }),
      ...(run === undefined ? {} : { ...masksAtBest(run), result: run.report.result }),
    });
    return;
  }
  const origin = producer === "" ? "" : `, from ${producer}`;
  print(
    `model    ${graph.name} (${graph.nodes.length} nodes, operator set ${loaded.opsets.get("") ?? "?"}${origin})`,
  );
  for (const value of values.inputs) print(`input    ${describe(value)}`);
  for (const value of values.outputs) print(`output   ${describe(value)}`);
  const small = packed === undefined ? "" : `, ${bytes(packed)} packed (limit ${bytes(sizes.bytesLimit)})`;
  print(`params   ${whole(parameters)}, ${bytes(sizes.bytesDense)} dense${small}`);
  if (stored !== undefined) {
    print(`trained  ${whole(trained)} numbers in ${whole(stored.parameters.length)} tensors`);
    for (const line of fixedLines(stored.fixed)) print(`fixed    ${line}`);
  }
  if ("layers" in macs) {
    const kept = pruned.length === 0 ? "" : `, ${whole(macs.macsKept)} with kept weights alone`;
    print(`MACs     ${whole(macs.macs)} per sample${kept}`);
  } else {
    print(`MACs     not known: ${macs.reason}`);
  }
  for (const reason of reasons) print(`${styled("yellow", "can't be trained")}: ${reason}`);
  print();
  for (const line of layerTable(views)) print(line);
  if (run === undefined) return;
  print();
  for (const line of maskTable(views)) print(line);
  for (const line of metricsTable(run)) print(line);
  if (run.report.shapes !== undefined) {
    print();
    for (const line of shapeTable(run.report.shapes)) print(line);
  }
  print();
  for (const line of sizeTable(run.report.sizes)) print(line);
  print(`test     ${evaluation(run.report.result.test)} (${run.report.data.name})`);
}

function sizeOfAll({ initializers }: Graph, names: readonly string[]): number {
  return names.reduce((sum, name) => sum + (initializers.get(name)?.size ?? 0), 0);
}

/** A line for each reason for which tensors are not trained. */
function fixedLines(fixed: readonly FixedTensor[]): string[] {
  return [...new Set(fixed.map(({ reason }) => reason))].map((reason) => {
    const names = fixed.filter((each) => each.reason === reason).map(({ name }) => name);
    const more = names.length > MOST_NAMES ? ` and ${names.length - MOST_NAMES} more` : "";
    return `${reason}: ${names.slice(0, MOST_NAMES).join(", ")}${more}`;
  });
}

/** Multiply-accumulates, or why they can't be counted. */
function macsOf(
  graph: Graph,
  pruned: readonly PrunedLayer[],
  remains: Remains | undefined,
): Macs | { readonly reason: string } {
  try {
    return countMacs(graph, pruned, remains);
  } catch (error) {
    if (error instanceof InputError) return { reason: error.message };
    throw error;
  }
}

/** The report's layers, as layers of the model. */
function prunedLayers(
  { report, path }: StoredRun,
  graph: Graph,
  layers: readonly PrunableLayer[],
): PrunedLayer[] {
  const setOf = setsIn(graph, report);
  return report.layers.map(({ weight, granularity, per, share = 1, groups, n, k }) => {
    const layer = layers.find((candidate) => candidate.weight === weight);
    if (layer === undefined) {
      throw new InputError(
        `run directory "${path}": report.json has a layer with the weight "${weight}", which the model has not. The files are not of one run.`,
      );
    }
    const set = setOf(weight);
    const rule = {
      ...layer,
      granularity,
      ...(per === undefined ? {} : { per }),
      share,
      groups,
      n,
      k,
      ...(set === undefined ? {} : { set }),
    };
    if (keptWeights({ ...rule, k: n }) !== sizeOf(layer.dims)) {
      throw new InputError(
        `run directory "${path}": in report.json, ${groups} groups of ${n} do not make up the weight "${weight}" of [${layer.dims.join(", ")}].`,
      );
    }
    return rule;
  });
}

/** For the weight of a layer that was pruned by maps, its set without the other layers. */
function setsIn(graph: Graph, report: Report): (weight: string) => MapSet | undefined {
  const sets = report.layers.some(({ granularity }) => granularity === "maps") ? mapSets(graph) : [];
  return (weight) => {
    for (const set of sets) {
      const member = set.layers.find(({ layer }) => layer.weight === weight);
      if (member !== undefined) return { ...set, layers: [member] };
    }
    return undefined;
  };
}

function countMask({ masks, path }: StoredRun, layer: PrunedLayer): MaskCounts {
  const mask = masks.get(layer.weight);
  if (mask?.dims.join() !== layer.dims.join()) {
    const found = mask === undefined ? "none" : `one of [${mask.dims.join(", ")}]`;
    throw new InputError(
      `run directory "${path}": expected a mask of [${layer.dims.join(", ")}] for "${layer.weight}" in masks.safetensors, found ${found}.`,
    );
  }
  let [smallest, largest] = [Infinity, 0];
  for (const count of countsOf(layer, mask, path)) {
    smallest = Math.min(smallest, count);
    largest = Math.max(largest, count);
  }
  const { granularity, per, share, groups, n, k } = layer;
  return {
    granularity,
    ...(per === undefined ? {} : { per }),
    share,
    groups,
    n,
    k,
    keptPerGroup: [smallest, largest],
  };
}

function countsOf(layer: PrunedLayer, mask: Tensor<"uint8">, path: string): Uint32Array {
  try {
    return countPerGroup(layer, mask.array());
  } catch (error) {
    throw new InputError(`run directory "${path}": masks.safetensors: ${messageOf(error)}`, { cause: error });
  }
}

/** Values of a weight that are exactly 0. */
function zerosIn(weight: Tensor | undefined): number {
  if (weight?.dtype !== "float32") return 0;
  let zeros = 0;
  for (const value of (weight as Tensor<"float32">).array()) if (value === 0) zeros++;
  return zeros;
}

function describe({ name, type }: ValueInfo): string {
  const shape = type?.shape?.map((dim) => dim ?? "?").join(", ");
  return `${name}: ${type === undefined ? "no tensor" : `${type.dtype} ${shape === undefined ? "of unknown shape" : `[${shape}]`}`}`;
}

function layerTable(layers: readonly LayerView[]): string[] {
  const grouped = layers.some(({ n, mapsWith }) => n.maps !== undefined && mapsWith.length > 0);
  const rows = layers.map(({ name, dims, macs, zeros, granularities, n, mapsWith }) => {
    const size = sizeOf(dims);
    const share = `${whole(zeros)} (${percent(zeros / size)})`;
    return [
      name,
      `[${dims.join(", ")}]`,
      whole(size),
      macs === undefined ? "?" : whole(macs),
      share,
      granularities.map((each) => `${each} ${n[each] ?? "?"}`).join(", "),
      ...(grouped ? [n.maps === undefined ? "" : mapsWith.join(", ")] : []),
    ];
  });
  const columns = [
    { title: "layer" },
    { title: "weight" },
    { title: "weights", align: "right" as const },
    { title: "MACs", align: "right" as const },
    { title: "zeros", align: "right" as const },
    { title: "prunable by (units per group)" },
    ...(grouped ? [{ title: "maps go with" }] : []),
  ];
  return table(columns, rows);
}

function maskTable(layers: readonly LayerView[]): string[] {
  const rows = layers.flatMap(({ name, mask }) => {
    if (mask === undefined) return [];
    const [smallest, largest] = mask.keptPerGroup;
    const kept = smallest === largest ? whole(smallest) : `${whole(smallest)} to ${whole(largest)}`;
    return [[name, granularityOf(mask), whole(mask.groups), kOfN(mask), kept]];
  });
  const columns = [
    { title: "mask" },
    { title: "granularity" },
    { title: "groups", align: "right" as const },
    { title: "k of n", align: "right" as const },
    { title: "counted per group", align: "right" as const },
  ];
  return rows.length === 0 ? ["no layer is pruned"] : table(columns, rows);
}

/** The masks of the best epoch, with which the run ends; nothing for runs of versions that did not measure them. */
function masksAtBest({ metrics }: StoredRun): { epoch?: number; masks?: readonly MaskMetrics[] } {
  const best = metrics.findLast((line) => line.best);
  return best?.layers === undefined ? {} : { epoch: best.epoch, masks: best.layers };
}

/** What the masks are like, after an empty line. */
function metricsTable(run: StoredRun): string[] {
  const { epoch, masks = [] } = masksAtBest(run);
  if (epoch === undefined || masks.length === 0) return [];
  const rows = masks.map((mask) => {
    const confidences = run.metrics.flatMap(
      ({ layers = [] }) => layers.find(({ name }) => name === mask.name)?.confidence ?? [],
    );
    return [
      mask.name,
      mask.confidence.toFixed(3),
      sparkline(confidences),
      mask.diversity.toFixed(3),
      percent(mask.churn),
      percent(mask.overlapMagnitude),
      `${whole(mask.neverChosen)} (${percent(mask.neverChosen / (mask.rows * mask.n))})`,
    ];
  });
  const columns = [
    { title: `epoch ${epoch}` },
    { title: "confidence", align: "right" as const },
    { title: "over epochs" },
    { title: "diversity", align: "right" as const },
    { title: "churn", align: "right" as const },
    { title: "as by magnitude", align: "right" as const },
    { title: "never chosen", align: "right" as const },
  ];
  return ["", ...table(columns, rows)];
}
