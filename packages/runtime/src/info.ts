/** What a network says of itself. */

import type { FileInfo } from "./file/info.js";
import type { Fused } from "./graph/fuse.js";
import { constantOf } from "./graph/node.js";
import type { Constant, Dims, Graph, StoredMask } from "./graph/types.js";
import type { Choice } from "./plan/operation.js";

/** A layer with weights. */
export interface LayerInfo {
  readonly name: string;
  /** Conv, Gemm or MatMul. */
  readonly operator: string;
  /** Of one sample, the batch being 1. */
  readonly input: Dims;
  readonly output: Dims;
  /** Shape of the weight. */
  readonly weight: Dims;
  readonly weights: number;
  /** Weights that are not 0. */
  readonly kept: number;
  /** kept / weights */
  readonly density: number;
  /** "weights", "weights per kernel", "weights k:n", "kernels"; "dense" without a mask. */
  readonly granularity: string;
  /** Units of a group and how many are kept, the least and the most; undefined without a mask. */
  readonly n: number | undefined;
  readonly k: readonly [number, number] | undefined;
  /** Output channels that have one mask. */
  readonly share: number;
  /** How weights are stored in the file; kernels compute with float32. */
  readonly format: string;
  /** Which kernel computes the layer, and why. */
  readonly kernel: string;
  readonly why: string;
  /** Names of the nodes that are computed in the same pass. */
  readonly fused: readonly string[];
}

export interface NetworkInfo extends FileInfo {
  /** Shape of a sample and of its result, the batch being 1. */
  readonly input: Dims;
  readonly output: Dims;
  readonly layers: readonly LayerInfo[];
  /** Bytes of the file, of values between layers, and of all memory of the network. */
  readonly bytes: { readonly file: number; readonly values: number; readonly memory: number };
}

export function layerInfo(
  graph: Graph,
  { node, output, taken }: Fused,
  dims: (name: string) => Dims,
  choice: Choice,
): LayerInfo {
  const weight: Constant | undefined = constantOf(graph, node, 1);
  const [data, shape] = [weight?.data ?? [], weight?.dims ?? []];
  const mask = weight?.stored?.mask;
  return {
    name: node.name,
    operator: node.op,
    input: dims(node.inputs[0]),
    output: dims(output),
    weight: shape,
    weights: data.length,
    kept: choice.kept,
    density: choice.kept / data.length,
    granularity: mask === undefined ? "dense" : granularityOf(mask, shape),
    n: mask?.n,
    k: mask?.k,
    share: mask?.share ?? 1,
    format: weight?.stored?.format ?? "float32",
    kernel: choice.kernel,
    why: choice.why,
    fused: taken,
  };
}

function granularityOf({ span, n, k }: StoredMask, [maps, ...rest]: Dims): string {
  if (span > 1) return "kernels";
  const fanIn = rest.reduce((product, dim) => product * dim, 1);
  const kernel = rest.slice(1).reduce((product, dim) => product * dim, 1);
  // A weight [in, out] has its fan-in in front.
  if (n === fanIn || (rest.length === 1 && n === maps)) return "weights";
  return n === kernel && kernel > 1 ? "weights per kernel" : `weights ${k[0]}:${n}`;
}
