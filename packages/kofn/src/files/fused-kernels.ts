/** Finds out which kernels onnxruntime makes of an export. */

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Engine } from "../engine/session.js";
import { decodeModel } from "../onnx/codec.js";
import type { Model } from "../onnx/model.js";
import type { QuantizedExport } from "../integers/export.js";

/** What multiplies the weights of a layer. */
export interface FusedKernel {
  readonly layer: string;
  /** onnxruntime's integer operator, such as QLinearConv; undefined where floats are multiplied. */
  readonly op?: string;
  /** Why floats are multiplied. */
  readonly reason?: string;
}

/**
 * The kernels of all nodes that apply weights, as onnxruntime-node chooses them on this machine: it loads the model and
 * writes down what it has made of it.
 *
 * @throws KofnError if onnxruntime refuses the model.
 * @example
 * await fusedKernels(exportQuantized(model, quantization));
 * // [{ layer: "conv1", reason: "what it reads is not quantized" }, { layer: "conv2", op: "QLinearConv" }, ...]
 */
export async function fusedKernels({ model, kernels }: QuantizedExport): Promise<FusedKernel[]> {
  if (kernels.every((kernel) => "reason" in kernel)) return [...kernels];
  const { graph } = await optimized(model);
  return kernels.map((kernel) => {
    if ("reason" in kernel) return kernel;
    const { layer, codes } = kernel;
    const op = graph.nodes.find((node) => node.inputs.includes(codes))?.op;
    return op === undefined || op === "DequantizeLinear"
      ? { layer, reason: "onnxruntime has no integer kernel for it" }
      : { layer, op };
  });
}

/** The model as onnxruntime runs it. */
async function optimized(model: Model): Promise<Model> {
  const folder = await mkdtemp(join(tmpdir(), "kofn-"));
  try {
    const path = join(folder, "optimized.onnx");
    const engine = await Engine.open({ threads: 1 });
    const session = await engine.session(model, path);
    await session.close();
    return decodeModel(await readFile(path), path);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
