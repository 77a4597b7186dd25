/**
 * Lowering: replaces kofn's dialect by standard ONNX operators, so that any onnxruntime runs the graph.
 *
 * Until here a graph says what is computed; here it is decided how.
 */

import { KofnError } from "../errors.js";
import { Builder } from "../onnx/builder.js";
import { emptyGraph, type Graph, type Node } from "../onnx/model.js";
import { isKofnOp, type KofnOp } from "../onnx/ops.js";
import { lowerConvGradInput, lowerConvGradWeight } from "./convolution.js";
import { lowerSoftmaxCrossEntropy, lowerSoftmaxCrossEntropyGrad } from "./loss.js";
import { lowerAveragePoolGrad, lowerMaxPoolGrad } from "./pooling.js";
import { drawInGraph, drawOnHost, type DrawsOf, lowerKofN, lowerKofNGrad } from "./sampler.js";

/** Appends the operators that compute a node of the dialect; the last one must make the value `out`, which is returned. */
type Lowering = (b: Builder, node: Node, out: string, drawsOf: DrawsOf) => string;

const LOWERINGS: Readonly<Record<KofnOp, Lowering>> = {
  ReluGrad: (b, { inputs: [dY, y] }, out) => b.mul(dY, b.op("Sign", [y]), out),
  ConvGradInput: lowerConvGradInput,
  ConvGradWeight: lowerConvGradWeight,
  MaxPoolGrad: lowerMaxPoolGrad,
  AveragePoolGrad: lowerAveragePoolGrad,
  SoftmaxCrossEntropy: lowerSoftmaxCrossEntropy,
  SoftmaxCrossEntropyGrad: lowerSoftmaxCrossEntropyGrad,
  KofN: lowerKofN,
  KofNGrad: lowerKofNGrad,
};

export interface LowerOptions {
  /**
   * Where the sampler draws: within the graph, which any provider can; or on the host, which is faster where tensors are in
   * the host's memory: then the inputs of noise give way to those of the draws (see `hostDraws`). Default "graph".
   */
  readonly draws?: "graph" | "host";
}

/**
 * A new graph that computes the same values with standard operators alone. The given graph is not changed.
 *
 * @example
 * lower(b.graph).nodes.every((node) => node.domain === ""); // true
 */
export function lower(graph: Graph, { draws = "graph" }: LowerOptions = {}): Graph {
  const drawsOf = draws === "host" ? drawOnHost : drawInGraph;
  const noise = new Set(
    draws === "host" ? graph.nodes.filter(({ op }) => op === "KofN").map(({ inputs }) => inputs[1]) : [],
  );
  const lowered = emptyGraph(graph.name);
  lowered.inputs = graph.inputs.filter(({ name }) => !noise.has(name));
  lowered.initializers = new Map(graph.initializers);
  const b = new Builder(lowered);
  for (const node of graph.nodes) b.reserve(node.outputs);
  for (const node of graph.nodes) {
    if (node.domain !== "kofn") {
      b.push({ ...node });
      continue;
    }
    if (!isKofnOp(node.op)) throw new KofnError(`there is no operator "${node.op}" in kofn's dialect`);
    const [out] = node.outputs;
    b.release(out);
    const made = LOWERINGS[node.op](b, node, out, drawsOf);
    if (made !== out)
      throw new KofnError(`the lowering of ${node.op} must make "${out}", but made "${made}"`);
  }
  for (const { name } of graph.outputs) b.output(name);
  return lowered;
}
