/** What is timed: a .kofn file as a network of @kofn/runtime and as a dense ONNX model, with a batch of random samples. */

import type { Network } from "@kofn/runtime";
import { InputError } from "../errors.js";
import type { Model } from "../onnx/model.js";
import { sizeOf } from "../onnx/tensor.js";
import { decodeKofn, modelOfKofn } from "../pack/file.js";
import { loadNetwork, readKofn } from "../files/network.js";
import type { StoredTensor } from "../pack/types.js";
import { Random } from "../random.js";
import type { Batch, Names } from "./engines.js";

export interface Subject {
  readonly path: string;
  readonly net: Network;
  /** The same network with its removed weights as zeros, for onnxruntime. */
  readonly model: Model;
  readonly names: Names;
  /** How weights are stored in the file. */
  readonly tensors: readonly StoredTensor[];
  /** Whether activations are rounded to codes. */
  readonly hasCodes: boolean;
  readonly batch: Batch;
}

/**
 * Opens a .kofn file.
 *
 * @param samples of the batch.
 * @param threads of the runtime.
 * @throws InputError if it can't be read, is damaged, can't be run, or takes batches of another size.
 */
export async function openSubject(path: string, samples: number, threads: number): Promise<Subject> {
  const bytes = await readKofn(path);
  const contents = decodeKofn(bytes, path);
  const net = await loadNetwork(path, bytes, threads);
  const model = modelOfKofn(contents);
  const [input] = model.graph.inputs;
  const [output] = model.graph.outputs;
  const fixed = input.type?.shape?.[0];
  if (typeof fixed === "number" && fixed !== samples) {
    throw new InputError(
      `--batch ${samples}: the network of ${path} takes batches of ${fixed} in onnxruntime; give --batch ${fixed}.`,
    );
  }
  return {
    path,
    net,
    model,
    names: { input: input.name, output: output.name },
    tensors: contents.tensors,
    hasCodes: contents.quantization.activations.length > 0,
    batch: randomBatch(net, samples),
  };
}

/** Random pixels, normalised as the network expects it; numbers from -1 to 1 where that is not known. */
export function randomBatch({ info }: Network, samples: number): Batch {
  const dims = [samples, ...info.input.slice(1)];
  const [, channels, ...rest] = dims;
  const random = new Random(1, "bench");
  const { mean, std } = info.normalization ?? {
    mean: Array.from({ length: channels }, () => 0.5),
    std: Array.from({ length: channels }, () => 0.5),
  };
  const plane = sizeOf(rest);
  const values = Float32Array.from({ length: sizeOf(dims) }, (_, i) => {
    const channel = Math.floor(i / plane) % channels;
    return (random.uniform() - mean[channel]) / std[channel];
  });
  return { dims, values };
}
