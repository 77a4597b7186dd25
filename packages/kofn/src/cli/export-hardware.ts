/** `kofn export --format c` and `--format mem`: writes a network as C code, or its weights as memory images for hardware. */

import { mkdir, stat } from "node:fs/promises";
import { basename, dirname, extname, join } from "node:path";
import { canonicalDims } from "@kofn/format/file/units.js";
import { normalizationFor, parseNormalization } from "../data/normalization.js";
import { CATALOG } from "../datasets/catalog.js";
import { InputError, messageOf } from "../errors.js";
import { bytes, whole } from "../figures.js";
import { writeAtomically } from "../files/atomic.js";
import { identifier } from "../hardware/c/names.js";
import type { LayerTables } from "../hardware/c/options.js";
import { writeC } from "../hardware/c/source.js";
import { writeImages } from "../hardware/images.js";
import type { LayerImages } from "../hardware/layer-images.js";
import { lowerProgram } from "../hardware/lower.js";
import { imagePacking, type Pruned, smallestPacking } from "../hardware/packing.js";
import { importModel } from "../import/import.js";
import { withoutQuantizedActivations } from "../integers/simulate.js";
import { prunableLayers } from "../layers/layers.js";
import type { Model } from "../onnx/model.js";
import type { Config } from "../options/config.js";
import { removeMaps } from "../prune/structure/remove.js";
import type { Quantization } from "../quantize/types.js";
import type { StoredRun } from "../run/types.js";
import { withNormalization } from "../task/normalize.js";
import { quantizedModel } from "./export-quantized.js";
import { note, print, printJson, table } from "./terminal.js";

/** What is exported, and where to. */
interface HardwareExport {
  readonly path: string;
  readonly output: string;
  readonly format: "c" | "mem";
  readonly run: StoredRun | undefined;
  /** The model of the run at the shapes of its masks, or that of a file. */
  readonly loaded: Model;
  readonly given: Config;
  /** Method of calibration, if one was given. */
  readonly calibrate: string | undefined;
  readonly json: boolean;
}

/** @throws InputError if the model has what C or memory images have not, or the files can't be where they are to be. */
export async function exportHardware(wanted: HardwareExport): Promise<void> {
  if (wanted.format === "c") await exportC(wanted);
  else await exportImages(wanted);
}

/** A network without what its masks leave unused, and how it was pruned. */
interface Network {
  readonly model: Model;
  readonly quantization: Quantization;
  readonly pruned: Pruned;
}

/**
 * @param cuts whether channels without effect are cut out. Where maps were pruned they are.
 */
async function networkOf(
  { path, run, loaded, given, calibrate }: HardwareExport,
  cuts: boolean,
): Promise<Network> {
  const trained = run?.quantization ?? { weights: [], activations: [] };
  const bare = importModel(withoutQuantizedActivations(loaded, trained.activations));
  const isQuantized =
    trained.weights.length > 0 || trained.activations.length > 0 || given.quantize !== undefined;
  if (!isQuantized && calibrate !== undefined) {
    throw new InputError(
      `--calibrate: "${path}" was not trained quantized, and nothing says what to quantize. Say so with --quantize, as in --quantize '*=int8'.`,
    );
  }
  const isCut = cuts || (run?.report.layers.some(({ granularity }) => granularity === "maps") ?? false);
  const remains = isCut
    ? removeMaps(bare, run?.masks ?? new Map())
    : { model: bare, masks: run?.masks ?? new Map() };
  const { model, quantization } = isQuantized
    ? await quantizedModel(path, run, loaded, given, calibrate, isCut)
    : { model: remains.model, quantization: trained };
  const fanIns = new Map(
    prunableLayers(bare.graph).map((layer) => {
      const [, inputs, kernel] = canonicalDims(layer);
      return [layer.weight, inputs * kernel];
    }),
  );
  const pruned = { masks: remains.masks, layers: run?.report.layers ?? [], fanIns };
  if (given.normalize === undefined) return { model, quantization, pruned };
  const shape = model.graph.inputs.find(({ name }) => !model.graph.initializers.has(name))?.type?.shape;
  const channels = Number(shape?.at(-3) ?? 1);
  const normalization = normalizationFor(parseNormalization(given.normalize), channels);
  return { model: withNormalization(model, normalization), quantization, pruned };
}

async function exportC(wanted: HardwareExport): Promise<void> {
  const { path, output, run, json } = wanted;
  const file = extname(output).toLowerCase() === ".c" ? output : join(output, "model.c");
  const stem = file.slice(0, -extname(file).length);
  const { model, quantization, pruned } = await networkOf(wanted, true);
  const program = lowerProgram(model, quantization, smallestPacking(pruned));
  const labels = labelsOf(run, program.output.size);
  const options = { name: identifier(basename(stem)), file: basename(stem), title: model.graph.name };
  const written = writeC(program, { ...options, ...(labels === undefined ? {} : { labels }) });
  await makeFolder(dirname(file));
  await writeText(file, written.source);
  await writeText(`${stem}.h`, written.header);
  const { layers, tableBytes, memoryBytes } = written;
  if (json) {
    const omitted = program.omitted === undefined ? {} : { omitted: program.omitted };
    printJson({
      path,
      output: file,
      header: `${stem}.h`,
      format: "c",
      function: `${options.name}_run`,
      tableBytes,
      memoryBytes,
      ...omitted,
      layers,
    });
    return;
  }
  print(
    `${file} and ${stem}.h: ${options.name}_run(input, output), ${bytes(tableBytes)} of tables (${whole(tableBytes)} B), ${bytes(memoryBytes)} of static memory`,
  );
  if (program.omitted !== undefined) {
    note(`the last ${program.omitted} is left out: the outputs are what it reads, in the same order`);
  }
  print();
  for (const line of layerTable(layers)) print(line);
}

function layerTable(layers: readonly LayerTables[]): string[] {
  const parts = ["values", "indices", "rest"] as const;
  const rows = layers.map((layer) => [
    layer.layer,
    layer.arithmetic,
    layer.kept,
    ...parts.map((part) => bytes(layer[part])),
  ]);
  const sum = (part: (typeof parts)[number]): string =>
    bytes(layers.reduce((total, layer) => total + layer[part], 0));
  const columns = [
    { title: "layer" },
    { title: "arithmetic" },
    { title: "weights kept" },
    ...["values", "indices", "biases, scales"].map((title) => ({ title, align: "right" as const })),
  ];
  return table(columns, [...rows, ["total", "", "", ...parts.map(sum)]]);
}

/** The names of a run's classes, if its data set is a known one. */
function labelsOf(run: StoredRun | undefined, classes: number): readonly string[] | undefined {
  const name = run?.report.data.name;
  const known = Object.entries(CATALOG).find(([key]) => key === name)?.[1].classes;
  return known?.length === classes ? known : undefined;
}

async function exportImages(wanted: HardwareExport): Promise<void> {
  const { path, output, json } = wanted;
  const { model, quantization, pruned } = await networkOf(wanted, false);
  const program = lowerProgram(model, quantization, imagePacking(pruned));
  const { files, layers } = writeImages(program, quantization, model.graph.name);
  await makeFolder(output);
  for (const [name, text] of files) await writeText(join(output, name), text);
  if (json) {
    printJson({ path, output, format: "mem", files: [...files.keys()], layers });
    return;
  }
  print(`${output}: ${whole(files.size)} files; layers.json says what is in them`);
  print();
  for (const line of imageTable(layers)) print(line);
}

function imageTable(layers: readonly LayerImages[]): string[] {
  const rows = layers.map(({ name, rows: count, entriesPerRow, values, indices, bits, test }) => [
    name,
    whole(count),
    whole(entriesPerRow),
    `${values.width} (${values.format})`,
    indices === null ? "dense" : String(indices.width),
    whole(bits),
    test?.bench ?? "",
  ]);
  const columns = [
    { title: "layer" },
    { title: "rows", align: "right" as const },
    { title: "entries per row", align: "right" as const },
    { title: "value width" },
    { title: "index width" },
    { title: "bits", align: "right" as const },
    { title: "test bench" },
  ];
  return table(columns, rows);
}

/** Makes a folder, and those around it. */
async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    if ((await stat(folder)).isDirectory()) return;
  } catch (cause) {
    throw new InputError(
      `--output: can't make the folder "${folder}": ${messageOf(cause)}. Choose another place.`,
      {
        cause,
      },
    );
  }
}

async function writeText(path: string, text: string): Promise<void> {
  await writeAtomically(path, [new TextEncoder().encode(text)]);
}
