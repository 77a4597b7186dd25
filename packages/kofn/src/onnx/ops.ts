/**
 * The operators that kofn knows: those of ONNX (domain "", at {@link OPSET}) and its own dialect (domain "kofn").
 *
 * Tables over these names are total (`OpTable`), so the compiler names a missing rule. The dialect exists only inside
 * the compiler: a gradient or a sampler stays one node, with one meaning, until `lower` chooses standard ops for it.
 */

import { InputError } from "../errors.js";
import type { Node } from "./model.js";

/** The standard operators that kofn knows. */
export const ONNX_OPS = [
  "Abs",
  "Add",
  "And",
  "ArgMax",
  "ArgMin",
  "AveragePool",
  "BatchNormalization",
  "Cast",
  "Ceil",
  "Celu",
  "Clip",
  "Concat",
  "Constant",
  "ConstantOfShape",
  "Conv",
  "ConvTranspose",
  "Cos",
  "CumSum",
  "DepthToSpace",
  "Div",
  "Dropout",
  "Elu",
  "Equal",
  "Erf",
  "Exp",
  "Expand",
  "EyeLike",
  "Flatten",
  "Floor",
  "Gather",
  "GatherElements",
  "GatherND",
  "Gelu",
  "Gemm",
  "GlobalAveragePool",
  "GlobalLpPool",
  "GlobalMaxPool",
  "Greater",
  "GreaterOrEqual",
  "GroupNormalization",
  "HardSigmoid",
  "HardSwish",
  "Identity",
  "InstanceNormalization",
  "IsInf",
  "IsNaN",
  "LRN",
  "LayerNormalization",
  "LeakyRelu",
  "Less",
  "LessOrEqual",
  "Log",
  "LogSoftmax",
  "LpNormalization",
  "MatMul",
  "Max",
  "MaxPool",
  "Mean",
  "Min",
  "Mish",
  "Mod",
  "Mul",
  "Neg",
  "Not",
  "OneHot",
  "Or",
  "PRelu",
  "Pad",
  "Pow",
  "Range",
  "Reciprocal",
  "ReduceL1",
  "ReduceL2",
  "ReduceLogSum",
  "ReduceLogSumExp",
  "ReduceMax",
  "ReduceMean",
  "ReduceMin",
  "ReduceProd",
  "ReduceSum",
  "ReduceSumSquare",
  "Relu",
  "Reshape",
  "Resize",
  "Round",
  "ScatterElements",
  "Selu",
  "Shape",
  "Shrink",
  "Sigmoid",
  "Sign",
  "Sin",
  "Slice",
  "Softmax",
  "Softplus",
  "Softsign",
  "SpaceToDepth",
  "Split",
  "Sqrt",
  "Squeeze",
  "Sub",
  "Sum",
  "Tanh",
  "ThresholdedRelu",
  "Tile",
  "TopK",
  "Transpose",
  "Unsqueeze",
  "Where",
] as const;

/** The operators of kofn's dialect, each with its inputs and what it computes. */
export const KOFN_OPS = [
  /** (dY, Y) -> dX: dY where the activation Y = Relu(X) is positive, else 0. */
  "ReluGrad",
  /** (dY, W; attributes of the Conv; input_shape) -> dX. */
  "ConvGradInput",
  /** (dY, X; attributes of the Conv; kernel_shape) -> dW of shape [Cout, Cin / group, ...kernel_shape]. */
  "ConvGradWeight",
  /**
   * (dY, X, Y; attributes of the MaxPool) -> dX: each dY goes to its window's maximum. Where several elements are the
   * maximum there is no gradient; then it goes to the first, or to all in equal parts, as lowering finds faster.
   */
  "MaxPoolGrad",
  /** (dY; attributes of the AveragePool; input_shape) -> dX. */
  "AveragePoolGrad",
  /**
   * (X [N, C, ...], scale [C], bias [C]; epsilon) -> Y, mean [C], var [C]: normalised by the mean and the biased variance
   * of the channel in this batch.
   */
  "BatchNorm",
  /** (dY, X, scale, mean, var; epsilon) -> dX, dScale, dBias of BatchNorm's Y, mean and var being those of X. */
  "BatchNormGrad",
  /** (logits [B, C], labels int64 [B]) -> mean over the batch of -log softmax(logits)[label], a scalar. */
  "SoftmaxCrossEntropy",
  /** (logits [B, C], labels int64 [B]) -> (softmax(logits) - onehot(labels)) / B. */
  "SoftmaxCrossEntropyGrad",
  /**
   * (X, scale [] or, with an axis, [C]; axis, low, high) -> scale clamp(round(X / scale), low, high), ties to even. Its gradient is
   * that of learned step sizes (LSQ, arXiv 1902.08153).
   */
  "FakeQuantize",
  /**
   * (dY, X, scale; axis, low, high) -> dX, dY where low <= X / scale <= high, else 0; and dScale, the sum of dY times
   * round(X / scale) - X / scale there, else low or high.
   */
  "FakeQuantizeGrad",
  /** (X, scale [] or, with an axis, [C]; axis) -> -scale where X < 0, else scale. */
  "FakeBinarize",
  /**
   * (dY, X, scale; axis) -> dX, scale dY where |X| <= 1, else 0 (the derivative of hard-tanh in place of the sign's); and
   * dScale, the sum of dY sign(X).
   */
  "FakeBinarizeGrad",
  /**
   * (phi [R, n], noise [R, n], tau scalar; attribute k) -> mask [R, n]: 1 for the k largest of phi + noise in each row,
   * ties by lower index, else 0. Its gradient is that of the relaxed k-hot sample (straight-through).
   */
  "KofN",
  /** (dMask [R, n], phi, noise, tau; attribute k) -> dPhi [R, n]: the relaxed sample's transposed Jacobian times dMask. */
  "KofNGrad",
] as const;

export type OnnxOp = (typeof ONNX_OPS)[number];
export type KofnOp = (typeof KOFN_OPS)[number];
export type OpName = OnnxOp | KofnOp;

/** A table with an entry for every operator. */
export type OpTable<Entry> = Readonly<Record<OpName, Entry>>;

const ONNX_SET: ReadonlySet<string> = new Set(ONNX_OPS);
const KOFN_SET: ReadonlySet<string> = new Set(KOFN_OPS);

/** Whether the name is one of kofn's dialect. */
export function isKofnOp(op: string): op is KofnOp {
  return KOFN_SET.has(op);
}

/** Whether the operator is one that kofn knows, in the domain in which it knows it. */
export function isKnown(node: Node): boolean {
  return (node.domain === "" && ONNX_SET.has(node.op)) || (node.domain === "kofn" && KOFN_SET.has(node.op));
}

/**
 * The node's operator, as a key of an {@link OpTable}.
 *
 * @throws InputError naming the node, if kofn does not know its operator.
 */
export function opOf(node: Node): OpName {
  if (isKnown(node)) return node.op as OpName;
  const where = node.name === "" ? `the node that makes "${node.outputs[0]}"` : `node "${node.name}"`;
  const domain = node.domain === "" ? "" : ` of domain "${node.domain}"`;
  throw new InputError(`${where} has the operator ${node.op}${domain}, which kofn does not know`);
}
