/** Writes and reads .kofn files; docs/format.md describes them byte by byte. */

import type { Section } from "@kofn/format/file/header.js";
import { inferGraph } from "../onnx/infer.js";
import type { Model, ValueType } from "../onnx/model.js";
import { validate } from "../onnx/validate.js";
import { checkQuantization } from "../integers/check.js";
import { withQuantizedActivations } from "../integers/simulate.js";
import { recordedNormalization, withNormalization, withoutNormalization } from "../task/normalize.js";
import { ByteReader, ByteWriter } from "./bytes.js";
import { decodeContainer, encodeContainer } from "./container.js";
import {
  readActivations,
  readModel,
  readNodes,
  writeActivations,
  writeModel,
  writeNodes,
} from "./graph-section.js";
import { decodeInfo, encodeInfo } from "./info-section.js";
import { StringReader, StringTable } from "./strings.js";
import { readTensors } from "./tensor-reader.js";
import { writeTensors, type WrittenTensors } from "./tensor-writer.js";
import type { KofnContents, Packed, PackOptions, Unpacked } from "./types.js";

/**
 * Writes a .kofn file. The same contents and options give the same bytes on every machine.
 *
 * @throws InputError if masks or codes do not belong to the model, or if it has what such a file can't hold.
 * @example
 * await writeFile("model.kofn", encodeKofn(await runContents(await readRun("runs/a"))).bytes);
 */
export function encodeKofn(contents: KofnContents, options: PackOptions = {}): Packed {
  const { model, provenance, labels } = contents;
  const { written, ...sections } = writeSections(contents, options);
  const normalization = recordedNormalization(model);
  const metadata = withoutNormalization(model);
  const info = encodeInfo({ provenance, labels, metadata, ...(normalization && { normalization }) });
  return { bytes: encodeContainer({ ...sections, info }), ...written };
}

function writeSections(
  contents: KofnContents,
  options: PackOptions,
): Record<Exclude<Section, "info">, Uint8Array> & { readonly written: WrittenTensors } {
  const { graph } = contents.model;
  const types = inferGraph({ ...graph, valueTypes: new Map() });
  const strings = stringsOf(contents, types);
  const sections = { graph: new ByteWriter(), masks: new ByteWriter(), values: new ByteWriter() };
  strings.write(sections.graph);
  writeModel(sections.graph, strings, contents.model);
  const { masks, quantization } = contents;
  const written = writeTensors(sections, strings, graph, masks, quantization, options);
  writeNodes(sections.graph, strings, graph, types);
  writeActivations(sections.graph, strings, quantization.activations);
  return {
    graph: sections.graph.view(),
    masks: sections.masks.view(),
    values: sections.values.view(),
    written,
  };
}

/** All strings of the section of the graph: what its parts ask for when they are written once for nothing. */
function stringsOf(
  { model, quantization }: KofnContents,
  types: ReadonlyMap<string, ValueType>,
): StringTable {
  const strings = new StringTable();
  const writer = new ByteWriter();
  writeModel(writer, strings, model);
  for (const name of model.graph.initializers.keys()) strings.number(name);
  for (const { layer } of quantization.weights) strings.number(layer);
  writeNodes(writer, strings, model.graph, types);
  writeActivations(writer, strings, quantization.activations);
  return strings.sorted();
}

/**
 * Reads a .kofn file. Nothing in it is trusted: what is damaged, cut short or too large is named.
 *
 * @param source the file's name, for error messages.
 * @throws InputError if the bytes are no .kofn file, or a damaged one.
 * @example
 * const { model, masks, labels } = decodeKofn(await readFile("model.kofn"), "model.kofn");
 */
export function decodeKofn(bytes: Uint8Array, source: string): Unpacked {
  const sections = decodeContainer(bytes, source);
  const reader = (name: Section): ByteReader =>
    new ByteReader(sections[name], `${source}: section "${name}"`);
  const readers = { graph: reader("graph"), masks: reader("masks"), values: reader("values") };
  const strings = new StringReader(readers.graph);
  const model = readModel(readers.graph, strings);
  const { initializers, masks, weights, tensors } = readTensors(readers, strings, bytes.length);
  const { graph } = model;
  graph.initializers = initializers;
  const types = readNodes(readers.graph, strings, graph);
  const quantization = { weights, activations: readActivations(readers.graph, strings) };
  readers.graph.end();
  const { provenance, labels, normalization, metadata } = decodeInfo(reader("info"));
  const named = { ...model, metadata: new Map(metadata) };
  const isRecorded = normalization === undefined || recordedNormalization(named) !== undefined;
  const whole = isRecorded ? named : withNormalization(named, normalization);
  validate(whole, source);
  checkQuantization(whole, quantization);
  return { model: whole, masks, quantization, provenance, labels, tensors, types };
}

/** The model of a .kofn file as ONNX: weights in float32, activations quantized where they are. */
export function modelOfKofn({ model, quantization }: Pick<Unpacked, "model" | "quantization">): Model {
  const { activations } = quantization;
  return activations.length === 0 ? model : withQuantizedActivations(model, activations);
}
