/** A layer whose weight can be pruned. */

/** A layer of a model whose weight can be pruned. */
export interface PrunableLayer {
  /** Name of the layer, as the user writes it: "fc1". */
  readonly name: string;
  /** Name of the weight tensor: "fc1.weight". */
  readonly weight: string;
  /** Name of the bias tensor, where the layer has one. */
  readonly bias?: string;
  /** Dimensions of the weight tensor as stored. */
  readonly dims: readonly number[];
  /** Whether the weight is stored [in, out] (MatMul, Gemm without transB) instead of [out, in, ...kernel]. */
  readonly transposed: boolean;
}
