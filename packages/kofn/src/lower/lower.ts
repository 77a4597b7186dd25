/**
 * Lowering: replaces kofn's dialect by standard ONNX operators, so that any onnxruntime runs the graph.
 *
 * Until here a graph says what is computed; here it is decided how.
 */

import { KofnError } from "../errors.js";
import { Builder } from "../onnx/builder.js";
import { emptyGraph, type Graph, type Node } from "../onnx/model.js";
import { isKofnOp, type KofnOp } from "../onnx/ops.js";
import { lowerMish, lowerReluGrad, lowerSoftplus } from "./activations.js";
import { lowerBatchNorm, lowerBatchNormGrad } from "./batch-norm.js";
import { BlockedLowering } from "./blocked/lower.js";
import { lowerConvGradInput, lowerConvGradWeight } from "./convolution.js";
import { lowerSoftmaxCrossEntropy, lowerSoftmaxCrossEntropyGrad } from "./loss.js";
import { lowerAveragePoolGrad, lowerMaxPoolGrad } from "./pooling.js";
import {
  lowerFakeBinarize,
  lowerFakeBinarizeGrad,
  lowerFakeQuantize,
  lowerFakeQuantizeGrad,
} from "./quantize.js";
import { lowerKofN, lowerKofNGrad } from "./sampler.js";

/**
 * Appends the operators that compute a node of the dialect. They must make values of the names of the node's outputs, the
 * first of which is `out`, and return these.
 */
type Lowering = (b: Builder, node: Node, out: string) => string | readonly string[];

const LOWERINGS: Readonly<Record<KofnOp, Lowering>> = {
  ReluGrad: lowerReluGrad,
  ConvGradInput: lowerConvGradInput,
  ConvGradWeight: lowerConvGradWeight,
  MaxPoolGrad: lowerMaxPoolGrad,
  AveragePoolGrad: lowerAveragePoolGrad,
  BatchNorm: lowerBatchNorm,
  BatchNormGrad: lowerBatchNormGrad,
  SoftmaxCrossEntropy: lowerSoftmaxCrossEntropy,
  SoftmaxCrossEntropyGrad: lowerSoftmaxCrossEntropyGrad,
  FakeQuantize: lowerFakeQuantize,
  FakeQuantizeGrad: lowerFakeQuantizeGrad,
  FakeBinarize: lowerFakeBinarize,
  FakeBinarizeGrad: lowerFakeBinarizeGrad,
  KofN: lowerKofN,
  KofNGrad: lowerKofNGrad,
};

/** Standard operators that onnxruntime computes faster in other words. */
const FASTER: Partial<Record<string, Lowering>> = { Mish: lowerMish, Softplus: lowerSoftplus };

export interface LowerOptions {
  /**
   * Compute convolutions and what lies between them in onnxruntime's blocked layout, with so many channels in a block: see
   * `blockOf` of the engine. Default: in the plain layout, which every provider knows.
   */
  readonly block?: number | undefined;
}

/**
 * A new graph that computes the same values with standard operators alone. The given graph is not changed.
 *
 * @example
 * lower(b.graph).nodes.every((node) => node.domain === ""); // true
 */
export function lower(graph: Graph, { block }: LowerOptions = {}): Graph {
  const lowered = emptyGraph(graph.name);
  lowered.inputs = [...graph.inputs];
  lowered.initializers = new Map(graph.initializers);
  const b = new Builder(lowered);
  for (const node of graph.nodes) b.reserve(node.outputs);
  const blocked = block === undefined ? undefined : new BlockedLowering(b, block);
  for (const node of graph.nodes) {
    if (blocked?.lower(node) === true) continue;
    const lowering = loweringOf(node);
    if (lowering === undefined) {
      b.push({ ...node });
      continue;
    }
    for (const output of node.outputs) b.release(output);
    const made = [lowering(b, node, node.outputs[0])].flat();
    const wrong = node.outputs.findIndex((output, i) => made[i] !== output);
    if (wrong >= 0) {
      throw new KofnError(
        `the lowering of ${node.op} must make "${node.outputs[wrong]}", but made "${made[wrong]}"`,
      );
    }
  }
  blocked?.finish(graph.outputs.map(({ name }) => name));
  for (const { name } of graph.outputs) b.output(name);
  return lowered;
}

/** How a node is computed in other operators; undefined for one that stays as it is. */
function loweringOf({ op, domain }: Node): Lowering | undefined {
  if (domain === "") return FASTER[op];
  if (domain !== "kofn") return undefined;
  if (!isKofnOp(op)) throw new KofnError(`there is no operator "${op}" in kofn's dialect`);
  return LOWERINGS[op];
}
