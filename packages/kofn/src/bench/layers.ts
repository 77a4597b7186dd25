/** What the runtime makes of each layer of a file, with what the file says of it. */

import type { LayerInfo } from "@kofn/runtime";
import { sizeOf } from "../onnx/tensor.js";
import type { Subject } from "./subject.js";

/** A layer, as the runtime computes it. */
export interface LayerFigures extends LayerInfo {
  /** Of a stored value, before range coding. */
  readonly bits: number;
  /** Multiply-accumulates of one sample, with kept weights alone. */
  readonly macsKept: number;
}

const FLOAT_BITS = 32;

export function layersOf({
  net,
  model,
  tensors,
}: Pick<Subject, "net" | "model" | "tensors">): LayerFigures[] {
  const weights = new Map(model.graph.nodes.map(({ name, inputs }) => [name, inputs[1]]));
  const stored = new Map(tensors.map(({ name, bits }) => [name, bits]));
  return net.info.layers.map((layer) => {
    const { name, operator, output, kept } = layer;
    const channels = (operator === "Conv" ? output[1] : output.at(-1)) ?? 1;
    return {
      ...layer,
      bits: stored.get(weights.get(name) ?? "") ?? FLOAT_BITS,
      macsKept: (kept * sizeOf(output)) / channels,
    };
  });
}
