/**
 * Reads and writes ONNX files. Weights are views of the file's bytes, and are not copied when they are written; what
 * kofn has no use for stays undecoded and is written back.
 */

import { InputError } from "../errors.js";
import type { Graph, Model } from "./model.js";
import { joinChunks, Reader, Writer } from "./protobuf.js";
import { GRAPH, MODEL, OPSET_ID, STRING_ENTRY } from "./schema.js";
import { decodeEntry, unknownOf, normalDomain, writeText, writeUnknown } from "./codec/common.js";
import { decodeGraph, encodeGraph } from "./codec/graph.js";
import type { ExternalReader } from "./codec/tensor.js";

/**
 * Decodes an ONNX file.
 *
 * The tensors of the result are views of `bytes`: don't change either while the other is in use.
 *
 * @param bytes the whole file.
 * @param source the file's name, for error messages.
 * @param readExternal fetches tensors that are stored in files of their own; without it, such tensors are an error.
 * @throws InputError if the bytes are no ONNX model, or a damaged one, or one that kofn can't read: it names the place.
 *
 * @example
 * const model = decodeModel(readFileSync("lenet.onnx"), "lenet.onnx");
 */
export function decodeModel(bytes: Uint8Array, source: string, readExternal?: ExternalReader): Model {
  const other = recognise(bytes);
  if (other !== undefined) throw new InputError(`${source}: expected an ONNX model, found ${other}`);

  const reader = Reader.of(bytes, source, MODEL);
  const opsets = new Map<string, number>();
  const metadata = new Map<string, string>();
  let irVersion = 0;
  let producerName = "";
  let producerVersion = "";
  let graph: Graph | undefined;
  while (reader.next()) {
    switch (reader.field) {
      case MODEL.ir_version:
        irVersion = reader.integer();
        break;
      case MODEL.producer_name:
        producerName = reader.text();
        break;
      case MODEL.producer_version:
        producerVersion = reader.text();
        break;
      case MODEL.graph:
        if (graph !== undefined) reader.fail("the model has two graphs where one is expected");
        graph = decodeGraph(reader.message(GRAPH), readExternal);
        break;
      case MODEL.opset_import:
        decodeOpset(reader.message(OPSET_ID), opsets);
        break;
      case MODEL.metadata_props: {
        const [key, value] = decodeEntry(reader.message(STRING_ENTRY));
        reader.charge(100);
        metadata.set(key, value);
        break;
      }
      default:
        reader.keep();
    }
  }
  if (graph === undefined) {
    throw new InputError(
      `${source}: expected an ONNX model, but there is no graph in its ${bytes.length} bytes; ` +
        "the file is cut short or something else",
    );
  }
  return {
    irVersion,
    producerName,
    producerVersion,
    opsets,
    graph,
    metadata,
    ...unknownOf(reader),
  };
}

/** What the file is, if it is something well known that is no ONNX model. */
function recognise(bytes: Uint8Array): string | undefined {
  if (bytes.length === 0) return "an empty file";
  const start = new TextDecoder("latin1").decode(bytes.subarray(0, 64));
  if (start.startsWith("version https://git-lfs")) {
    return 'a Git LFS pointer: fetch the model itself with "git lfs pull"';
  }
  if (start.startsWith("\x1f\x8b")) return "gzipped data: unpack it first";
  if (start.startsWith("PK\x03\x04"))
    return "a zip archive (PyTorch's checkpoints are such): export it to ONNX first";
  if (start.startsWith("\x89HDF")) return "an HDF5 file (Keras's models are such): export it to ONNX first";
  if (start.slice(4, 8) === "TFL3") return "a TensorFlow Lite model: convert it to ONNX first";
  if (start.slice(4, 8) === "ORTM")
    return "a model in onnxruntime's own format: use the ONNX model it was made from";
  if (/^[\t\n\r\x20-\x7e]*$/.test(start))
    return `text, which starts with ${JSON.stringify(start.slice(0, 20))}`;
  return undefined;
}

function decodeOpset(reader: Reader, opsets: Map<string, number>): void {
  let domain = "";
  let version = 0;
  while (reader.next()) {
    if (reader.field === OPSET_ID.domain) domain = normalDomain(reader.text());
    else if (reader.field === OPSET_ID.version) version = reader.integer();
  }
  reader.charge(100);
  const before = opsets.get(domain);
  if (before !== undefined && before !== version) {
    reader.fail(`the operator set "${domain}" is imported in two versions, ${before} and ${version}`);
  }
  opsets.set(domain, version);
}

/**
 * Encodes a model as chunks that, one after the other, are an ONNX file. Large tensors are chunks of their own and not
 * copied. Tensors that were stored in other files are stored in this one.
 *
 * The same model gives the same bytes.
 *
 * @example
 * for (const chunk of encodeModel(model)) file.write(chunk);
 */
export function encodeModel(model: Model): Uint8Array[] {
  const writer = new Writer();
  writer.integer(MODEL.ir_version, model.irVersion);
  writeText(writer, MODEL.producer_name, model.producerName);
  writeText(writer, MODEL.producer_version, model.producerVersion);
  writer.message(MODEL.graph, (inner) => {
    encodeGraph(inner, model.graph);
  });
  for (const [domain, version] of model.opsets) {
    writer.message(MODEL.opset_import, (inner) => {
      writeText(inner, OPSET_ID.domain, domain);
      inner.integer(OPSET_ID.version, version);
    });
  }
  for (const [key, value] of model.metadata) {
    writer.message(MODEL.metadata_props, (inner) => {
      inner.text(STRING_ENTRY.key, key);
      inner.text(STRING_ENTRY.value, value);
    });
  }
  writeUnknown(writer, model);
  return writer.finish();
}

/**
 * The chunks of {@link encodeModel} in one array.
 *
 * @example
 * const session = await InferenceSession.create(encodeModelBytes(model)); // onnxruntime
 */
export function encodeModelBytes(model: Model): Uint8Array {
  return joinChunks(encodeModel(model));
}
